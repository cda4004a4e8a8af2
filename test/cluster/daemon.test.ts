import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { scratchCgroup, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { until } from '../datapath/paths.ts';

test('a daemon does not run if the process that starts it ends too early to end the daemon too', skipIf(whyNoKernel()), async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-daemon-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const [started, ran] = [join(dir, 'started'), join(dir, 'ran')];
  // Asks for the signal only after the parent has ended
  const late = `#!/bin/sh\n: >${started}\nwhile kill -0 $PPID; do sleep 0.01; done\nPATH=$USUAL_PATH exec setpriv "$@"\n`;
  writeFileSync(join(dir, 'setpriv'), late, { mode: 0o755 });
  const place = { name: 'n1', netns: basename(scratchNetns(t)), cgroup: scratchCgroup(t) };
  const script = `import { Daemon } from './daemon.ts';
    new Daemon(${JSON.stringify(place)}, '${dir}', 'late', ['touch', '${ran}']).start(); setInterval(() => {}, 1000);`;
  const env = { ...process.env, PATH: `${dir}:${process.env.PATH}`, USUAL_PATH: process.env.PATH };
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit', cwd: import.meta.dirname, env });
  await until('the daemon is about to ask for the signal', () => existsSync(started));
  const exit = once(starter, 'exit');
  starter.kill('SIGKILL');
  await exit;
  await until('the daemon has ended', () => readFileSync(join(place.cgroup, 'cgroup.procs'), 'utf8') === '');
  assert.equal(existsSync(ran), false);
});
