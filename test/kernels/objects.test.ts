import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { before, test } from 'node:test';

const objects = globSync('dist/bpf/*.bpf.o');

/** A bpffs of its own, gone with its mount namespace. */
const LOAD = 'mount -t bpf bpf /mnt && bpftool prog loadall "$1" /mnt/loaded';

before(() => {
  for (const module of ['nf_conntrack', 'nf_nat']) spawnSync('modprobe', ['-q', module]);
});

test('there are datapath objects to load', () =>
  assert.ok(objects.length >= 2, `Found ${objects.length} objects in dist/bpf, build first`));

for (const object of objects)
  test(`${object} passes this kernel's verifier`, () => {
    const run = spawnSync('unshare', ['--mount', 'sh', '-c', LOAD, 'sh', object], { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stderr.split('\n').slice(-40).join('\n'));
  });
