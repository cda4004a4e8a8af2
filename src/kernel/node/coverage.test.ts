import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { whyUncovered } from './coverage.ts';

/** A folder like one of cgroup v2, with processes in it and in a folder below. */
function folderWith(t: TestContext, own: string, below: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'weir-coverage-'));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'pod'));
  writeFileSync(join(folder, 'cgroup.procs'), own);
  writeFileSync(join(folder, 'pod/cgroup.procs'), below);
  return folder;
}

test('a folder without processes covers none', (t) => {
  const folder = folderWith(t, '', '');
  assert.equal(whyUncovered(folder, [folder]), 'no process is below it');
  assert.equal(whyUncovered(folder, []), 'no process is below it');
});

test("a mount that holds only this process and its parents is a container's own", (t) => {
  const folder = folderWith(t, `${process.ppid}\n`, `${process.pid}\n`);
  assert.match(whyUncovered(folder, [folder]) ?? '', /^only this process is below it/);
  assert.equal(whyUncovered(folder, []), undefined);
});

test('another process is enough, also one of another PID namespace', (t) => {
  const other = folderWith(t, `${process.pid}\n`, '4194305\n');
  assert.equal(whyUncovered(other, [other]), undefined);
  const hidden = folderWith(t, `${process.pid}\n`, '0\n');
  assert.equal(whyUncovered(hidden, [hidden]), undefined);
});
