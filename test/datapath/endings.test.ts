/** What the agent cannot work with: one line that says why, and an exit code that says who can help. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { manifestsDir, WEIR } from '#lab/paths.ts';
import { raise, stateDir } from './ground.ts';
import { until } from './paths.ts';

const lab = await raise('e', { nodes: ['n1'], agents: false });

/** How `weir run` ends on n1, with flags after the usual ones. */
async function ending(...flags: string[]): Promise<{ readonly code: number | null; readonly last: string }> {
  const usual = ['--source', 'manifests', '--dir', manifestsDir(lab.topology.name), '--node-name', 'n1', ...stateDir(lab, 'n1')];
  const { code, stderr } = await lab.exec('n1', [
    'timeout',
    '30',
    WEIR,
    'run',
    ...usual,
    '--cgroup-root',
    lab.place('n1').cgroup,
    ...flags,
  ]);
  return { code, last: stderr.trim().split('\n').at(-1) ?? '' };
}

test('a cgroup root or a table size that cannot be ends it with 2', async () => {
  assert.deepEqual(await ending('--cgroup-root', '/tmp'), {
    code: 2,
    last: 'weir: Cannot use --cgroup-root /tmp: it should be a folder of cgroup v2',
  });
  const { code, last } = await ending('--map-size', 'counters=5');
  assert.deepEqual([code, /^weir: --map-size: Cannot size map "counters": its size is fixed/.test(last)], [2, true], last);
});

test('a node that lacks something ends it with 3', async () => {
  const { code, last } = await ending('--state-dir', '/sys/weir');
  assert.deepEqual(
    [code, /^weir: This node cannot run weir as it is, "weir doctor" says what it lacks: .*\/sys\/weir/.test(last)],
    [3, true],
    last,
  );
});

test('a port that is taken ends it with 5 where that was asked for', async () => {
  const squat = `require('node:net').createServer().listen(10249, '127.0.0.1', () => console.log('listens'))`;
  const squatter = lab.spawn('n1', [process.execPath, '-e', squat], { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.ok(squatter.stdout);
  await once(squatter.stdout, 'data');
  const { code, last } = await ending('--bind-address-hard-fail');
  squatter.kill();
  assert.deepEqual(
    [
      code,
      /ERROR Cannot open --metrics-bind-address 127\.0\.0\.1:10249: another process listens there, .*; ended, because bindAddressHardFail is set$/.test(
        last,
      ),
    ],
    [5, true],
    last,
  );
});

test('a configuration file that says something else ends it with 6, so that it is started again', async () => {
  const file = join(manifestsDir(lab.topology.name), '..', 'kube-proxy.conf');
  const write = (verbosity: number): void =>
    writeFileSync(
      file,
      `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nlogging: { verbosity: ${verbosity} }\n`,
    );
  write(1);
  const ended = ending('--config', file);
  await until('it is ready', async () => (await lab.exec('n1', ['ss', '-Hltn', 'sport = :10249'])).stdout !== '');
  write(2);
  const { code, last } = await ended;
  assert.deepEqual(
    [code, /ERROR Ended, because .*kube-proxy\.conf has changed: the supervisor should start weir again$/.test(last)],
    [6, true],
    last,
  );
});
