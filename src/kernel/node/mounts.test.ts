import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { run, scratchState, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { findCgroupHierarchies, findCgroupRoot, isBpffs, mountBpffs, parseMounts, unmountBpffs } from './mounts.ts';

const HYBRID = `proc /proc proc rw 0 0
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
/dev/sda1 /mnt/my\\040disk\\134x ext4 rw 0 0
`;

test('the cgroup v2 root is found beside cgroup v1', () => {
  assert.equal(findCgroupRoot(parseMounts(HYBRID)), '/sys/fs/cgroup/unified');
  assert.equal(findCgroupRoot(parseMounts('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n')), '/sys/fs/cgroup');
  assert.equal(findCgroupRoot(parseMounts('proc /proc proc rw 0 0\n')), undefined);
});

test('the hierarchies of both cgroup versions are found', () => {
  assert.deepEqual(findCgroupHierarchies(parseMounts(HYBRID)), ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/unified']);
});

test('blanks and backslashes in mount points are unescaped', () => {
  assert.deepEqual(parseMounts(HYBRID).at(-1), { source: '/dev/sda1', target: '/mnt/my disk\\x', type: 'ext4' });
});

test('a bpffs is mounted once and unmounted by who mounted it', skipIf(whyNoKernel()), (t) => {
  const dir = scratchState(t);
  mountBpffs(dir);
  mountBpffs(dir);
  mountBpffs(`${dir}/below`);
  assert.ok(isBpffs(`${dir}/below`));
  assert.equal(unmountBpffs(`${dir}/below`), false);
  assert.ok(unmountBpffs(dir));
  assert.ok(!isBpffs(dir));
  assert.equal(unmountBpffs(dir), false);
});

test('a bpffs of another program stays mounted', skipIf(whyNoKernel()), (t) => {
  const dir = scratchState(t);
  mkdirSync(dir);
  run('mount', '-t', 'bpf', 'stranger', dir);
  try {
    mountBpffs(dir);
    assert.equal(unmountBpffs(dir), false);
    assert.ok(isBpffs(dir));
  } finally {
    run('umount', dir);
  }
});

test('below /sys/fs/bpf the whole folder is mounted, and unmounted once it has no pins', skipIf(whyNoKernel()), () => {
  const script = `
    const { mountBpffs, unmountEmptyBpffs, isBpffs } = await import('${new URL('mounts.ts', import.meta.url)}');
    const fs = await import('node:fs');
    mountBpffs('/sys/fs/bpf/weir');
    fs.mkdirSync('/sys/fs/bpf/stranger');
    fs.rmdirSync('/sys/fs/bpf/weir');
    const kept = unmountEmptyBpffs('/sys/fs/bpf/weir');
    fs.rmdirSync('/sys/fs/bpf/stranger');
    console.log(isBpffs('/sys/fs/bpf'), kept, unmountEmptyBpffs('/sys/fs/bpf/weir'), isBpffs('/sys/fs/bpf'));`;
  // In a mount namespace of its own, without the bpffs that may be there.
  const shell = 'while umount /sys/fs/bpf 2>/dev/null; do :; done; exec "$0" --input-type=module -e "$1"';
  assert.equal(run('unshare', '--mount', 'sh', '-c', shell, process.execPath, script).trim(), 'true undefined /sys/fs/bpf false');
});

test('a state folder that cannot be made says so', skipIf(whyNoKernel()), () => {
  assert.throws(() => mountBpffs('/etc/passwd/weir'), {
    message: 'Cannot make folder /etc/passwd/weir: it should lie on a bpffs or where one can be mounted',
  });
});
