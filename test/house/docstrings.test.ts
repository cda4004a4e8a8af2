import assert from 'node:assert/strict';
import { test } from 'node:test';
import { productFiles, textOf } from './tree.ts';

const EXPORTED = /^export (?:default )?(?:async )?(?:function\*? |class |const \w+ = (?:async )?(?:<[^=]*>)?\()/;

/** Lines that export a function or class without a docstring above them. */
const undocumented = (source: string): number[] => {
  const lines = source.split('\n');
  return lines.flatMap((line, i) => (EXPORTED.test(line) && !lines[i - 1]?.trimEnd().endsWith('*/') ? [i + 1] : []));
};

test('every exported function and class has a docstring', () => {
  const files = productFiles();
  assert.deepEqual(
    files.flatMap((path) => undocumented(textOf(path)).map((line) => `${path}:${line}`)),
    [],
  );
  assert.ok(files.length >= 40, `saw ${files.length} files`);
});

test('missing docstrings are found', () => {
  const source =
    '/** Yes. */\nexport const a = (b: string) => b;\nexport const c = <T>(d: T) => d;\nexport function e() {}\n\nexport class F {}\nexport const g = 1;\n';
  assert.deepEqual(undocumented(source), [3, 4, 6]);
});
