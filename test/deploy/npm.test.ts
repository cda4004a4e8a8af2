import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CHECKOUT } from '#lab/paths.ts';
import { outcomeOf } from '#lab/place.ts';
import { labExists, removeLab } from '#lab/removal.ts';
import { run, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { clusterIP, node, numbered, podAddress, slices } from '../datapath/objects.ts';
import { whyNoImage } from './image.ts';
import { openRegistry, type Registry } from './registry.ts';

const NAME = `p${process.pid}`;
const { version } = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8'));

const ground = skipIf(whyNoImage() ?? whyNoDatapath());

let work: string;
let registry: Registry;

before(async () => {
  work = mkdtempSync(join(tmpdir(), 'weir-npm-'));
  registry = await openRegistry();
});

after(async () => {
  registry.close();
  if (labExists(NAME)) await removeLab(NAME);
  rmSync(work, { recursive: true });
});

/** Runs a command outside the checkout, with nothing of its environment; returns what it prints. */
async function outside(command: string, ...argv: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, HOME: work, npm_config_cache: join(work, 'cache') };
  const { code, stdout, stderr } = await outcomeOf(spawn(command, argv, { cwd: work, env, stdio: 'pipe' }));
  assert.equal(code, 0, `${command} ${argv.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

const weir = (...argv: string[]): Promise<string> => outside(join(work, 'prefix/bin/weir'), ...argv);

test('the package holds what runs, and no sources', ground, async () => {
  await outside('npm', 'pack', CHECKOUT, '--ignore-scripts', '--pack-destination', work);
  const files = run('tar', '-tf', join(work, `weir-${version}.tgz`))
    .trimEnd()
    .split('\n');
  assert.deepEqual(
    files.map((path) => path.replace('package/', '')).sort(),
    [
      ...['LICENSE', 'README.md', 'bin/weir', 'package.json', 'test/fixtures/shop-cluster.yaml'],
      ...['kfuncs', 'netfilter', 'socket', 'stale_sockets'].map((name) => `dist/bpf/${name}.bpf.o`),
      ...['lab-keeper', 'lab-prober', 'weir'].map((name) => `dist/${name}.mjs`),
    ].sort(),
  );
});

test('installed in an empty place, it fetches Node and koffi, and nothing else', ground, async () => {
  const where = ['--global', '--prefix', join(work, 'prefix'), '--registry', registry.url];
  await outside('npm', 'install', ...where, '--no-audit', '--no-fund', join(work, `weir-${version}.tgz`));
  const cpu = process.arch;
  assert.deepEqual([...registry.fetched].sort(), [`@koromix/koffi-linux-${cpu}`, 'koffi', `node-linux-${cpu}`]);
  assert.equal(await weir('--version'), `${version}\n`);
  assert.match(await weir('doctor'), /, 0 missing$/m);
});

test('the installed weir raises a lab, serves and takes it down', ground, async () => {
  const file = join(work, 'objects.json');
  const pod = { name: 'p1', node: 'n1' };
  const items = [node('n1'), numbered('web', 10), ...slices({ of: 'web', pods: [pod] })];
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await weir('lab', 'up', '--name', NAME, file);
  const dial = `exec 3<>/dev/tcp/${clusterIP(10)}/80 && read -r line <&3; echo "$line"`;
  const said = await weir('lab', 'exec', '--name', NAME, 'n1', 'bash', '-c', dial);
  assert.ok(said.includes(podAddress(pod)), said);
  await weir('lab', 'down', '--name', NAME);
  assert.ok(!labExists(NAME));
});
