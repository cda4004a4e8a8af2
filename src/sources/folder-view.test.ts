import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Signature } from './folder.ts';
import { FolderView } from './folder-view.ts';
import { createStanding } from './standing.ts';
import { temporaryFolder } from './test-folder.ts';

test('a file is handed out when two looks in a row see the same', async () => {
  const dir = temporaryFolder();
  const path = join(dir, 'a.yaml');
  const judged = new Map<string, Signature>();
  const known = { paths: () => judged.keys(), isJudged: (file: string, signature: Signature) => judged.get(file) === signature };
  const view = new FolderView(
    dir,
    3_600_000,
    createStanding(() => {}),
  );
  const look = async (): Promise<readonly string[]> =>
    ((await view.look(known)) ?? []).map(([file, signature]) => `${file} ${signature !== undefined}`);

  writeFileSync(path, '1');
  assert.deepEqual(await look(), []);
  assert.equal(view.calm, false);
  writeFileSync(path, '12');
  assert.deepEqual(await look(), []);
  writeFileSync(`${path}.new`, '12');
  renameSync(`${path}.new`, path);
  assert.deepEqual(await look(), []);
  const [changed] = (await view.look(known)) ?? [];
  assert.equal(changed?.[0], path);
  assert.equal(view.calm, true);

  judged.set(path, changed?.[1]);
  rmSync(path);
  view.again(path);
  assert.deepEqual(await look(), []);
  assert.deepEqual(await look(), [`${path} false`]);
  view.stop();
});
