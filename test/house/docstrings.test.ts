import assert from 'node:assert/strict';
import { test } from 'node:test';
import { productFiles, textOf } from './tree.ts';

const EXPORTED = /^export (?:default )?(?:async )?(?:function\*? |class |const \w+ = (?:async )?(?:<[^=]*>)?\()/;

const ONE_LINER = /^export const .*;$/;

/** Lines that export a function or class without a docstring above them; one docstring does for adjacent lines. */
const undocumented = (source: string): number[] => {
  const lines = source.split('\n');
  const isDocumented = (i: number): boolean => lines[i - 1]?.endsWith('*/') || (ONE_LINER.test(lines[i - 1] ?? '') && isDocumented(i - 1));
  return lines.flatMap((line, i) => (EXPORTED.test(line) && !isDocumented(i) ? [i + 1] : []));
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
    '/** Yes. */\nexport const a = (b: string) => b;\nexport const z = (b: string) => b;\n\nexport const c = <T>(d: T) => d;\nexport function e() {}\n\nexport class F {}\nexport const g = 1;\n';
  assert.deepEqual(undocumented(source), [5, 6, 8]);
});
