import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { namespacesBelow } from './namespaces.ts';

test('a network namespace is named once, and processes of which it cannot be seen are counted', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-namespaces-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'pod'));
  writeFileSync(join(folder, 'cgroup.procs'), `0\n${process.pid}\n`);
  writeFileSync(join(folder, 'pod/cgroup.procs'), `0\n${process.pid}\n4194305\n`);
  const { files, hidden } = await namespacesBelow(folder, t.signal);
  assert.deepEqual([files, hidden], [[`/proc/${process.pid}/ns/net`], 2]);
});
