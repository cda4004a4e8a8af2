import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { temporaryFolder } from '#support/manifest-folder.ts';
import { createActiveProblems } from '../active-problems.ts';
import type { Signature } from './folder.ts';
import { FolderView } from './folder-view.ts';

/** A view of an empty folder, and what its looks hand out. */
function viewed(): { dir: string; view: FolderView; judged: Map<string, Signature>; look: () => Promise<readonly string[]> } {
  const dir = temporaryFolder();
  const judged = new Map<string, Signature>();
  const known = { paths: () => judged.keys(), isJudged: (file: string, signature: Signature) => judged.get(file) === signature };
  const problems = createActiveProblems(() => {});
  const view = new FolderView(dir, 3_600_000, problems);
  const look = async (): Promise<readonly string[]> => {
    const changed = (await view.look(known)) ?? [];
    for (const [path, signature] of changed) judged.set(path, signature);
    return changed.map(([path, signature]) => `${basename(path)} ${signature !== undefined}`);
  };
  return { dir, view, judged, look };
}

test('a file that is written where it is is handed out when two looks in a row see the same', async () => {
  const { dir, view, look } = viewed();
  const path = join(dir, 'a.yaml');
  writeFileSync(path, '1');
  assert.deepEqual(await look(), []);
  assert.equal(view.calm, false);
  writeFileSync(path, '12');
  assert.deepEqual(await look(), []);
  assert.deepEqual(await look(), ['a.yaml true']);
  assert.equal(view.calm, true);
  rmSync(path);
  view.again(path);
  assert.equal(view.calm, false);
  assert.deepEqual(await look(), []);
  assert.deepEqual(await look(), ['a.yaml false']);
  view.stop();
});

test('a file that is replaced by a rename is handed out although it never looks the same twice', async () => {
  const { dir, view, look } = viewed();
  await look();
  let handedOut = 0;
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(dir, 'draft'), 'x'.repeat(i + 1));
    renameSync(join(dir, 'draft'), join(dir, 'a.yaml'));
    await setTimeout(5);
    handedOut += (await look()).length;
  }
  assert.ok(handedOut >= 10, `handed out ${handedOut} times`);
  view.stop();
});
