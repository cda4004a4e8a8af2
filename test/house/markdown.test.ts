import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf, trackedFiles } from './tree.ts';

const MAX_COLUMNS = 120;

/** Lines of prose: neither a row of a table nor code, whose breaks mean something. */
function proseLines(text: string): readonly (readonly [number: number, line: string])[] {
  let isCode = false;
  return text.split('\n').flatMap((line, i) => {
    if (line.startsWith('```')) isCode = !isCode;
    return isCode || /^(?:\||```| {4})/.test(line) ? [] : [[i + 1, line] as const];
  });
}

test(`prose in Markdown wraps at ${MAX_COLUMNS} columns`, () => {
  const files = trackedFiles(/\.md$/);
  const wrong = files.flatMap((path) =>
    proseLines(textOf(path)).flatMap(([number, line]) => (line.length > MAX_COLUMNS ? [`${path}:${number}: ${line.length}`] : [])),
  );
  assert.deepEqual(wrong, []);
  assert.ok(files.length >= 10, `saw ${files.length} files`);
});
