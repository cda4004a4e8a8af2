import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LONG_FILES } from './rooms.ts';
import { textOf, trackedFiles } from './tree.ts';

const MAX_FILE_LINES = 300;
const MAX_FUNCTION_LINES = 50;

interface Body {
  readonly line: number;
  readonly length: number;
}

/**
 * Functions of a formatted file: from a line that opens a body to the line with the same indent that closes it. Functions inside it count
 * for themselves only: a factory of closures is as long as its other lines. Suites of tests (`describe`) do not count as functions.
 */
function functionsOf(path: string, source: string): Body[] {
  const opens = path.endsWith('.ts')
    ? /^(?!.*\b(?:describe|suite|class|interface)\b)(?:.*\bfunction\b.*|.*\)(?:: [^=]*)? =>|\s*(?:(?:private|static|async|get|set|\*) ?)*[\w#]+\(.*\)(?:: .*)?|\s*\)(?:: .*)?(?: =>)?) \{$/
    : /^\{$/;
  const keywords = /^\s*(?:\} )?(?:if|for|while|switch|catch|else|do|try)\b/;
  const lines = source.split('\n');
  const all = lines.flatMap((line, i) => {
    if (!opens.test(line) || keywords.test(line)) return [];
    const indent = line.slice(0, line.length - line.trimStart().length);
    const end = lines.findIndex((candidate, j) => j > i && candidate.startsWith(`${indent}}`));
    return [{ line: i + 1, length: (end < 0 ? lines.length : end) - i + 1 }];
  });
  return all.map((body) => ({ ...body, length: body.length - linesInside(body, all) }));
}

/* Lines of the outermost functions inside another. */
function linesInside(outer: Body, all: readonly Body[]): number {
  let [lines, end] = [0, 0];
  for (const { line, length } of all) {
    if (line <= Math.max(outer.line, end) || line >= outer.line + outer.length) continue;
    lines += length;
    end = line + length - 1;
  }
  return lines;
}

const sources = (): string[] =>
  trackedFiles(/^(?:src|test|bench|scripts|bpf|deploy)\/.*\.(?:ts|[ch])$/).filter((path) => !LONG_FILES.includes(path));

test(`files have at most ${MAX_FILE_LINES} lines`, () => {
  const wrong = sources().flatMap((path) => {
    const { length } = textOf(path).trimEnd().split('\n');
    return length > MAX_FILE_LINES ? [`${path}: ${length}`] : [];
  });
  assert.deepEqual(wrong, []);
});

test(`functions have at most ${MAX_FUNCTION_LINES} lines`, () => {
  const functions = sources().flatMap((path) => functionsOf(path, textOf(path)).map((body) => ({ path, ...body })));
  const wrong = functions.filter(({ length }) => length > MAX_FUNCTION_LINES).map(({ path, line, length }) => `${path}:${line}: ${length}`);
  assert.deepEqual(wrong, []);
  assert.ok(functions.length >= 300, `saw ${functions.length} functions`);
});

test('functions are found in every way of writing them', () => {
  const source = [
    'export async function one(a: string): Promise<void> {',
    '}',
    'const two = (a: number): string => {',
    '  if (a) {',
    '  }',
    '};',
    'class Three {',
    '  four(a: string): Set<string> {',
    '  }',
    '  async #five() {',
    '  }',
    '}',
    'export function six(',
    '  a: string,',
    '): void {',
    '}',
    "test('seven', () => {",
    '});',
    "describe('none', () => {",
    '});',
    'export function eight() {',
    '  const nine = () => {',
    '    ten(() => {',
    '    });',
    '  };',
    '  return nine;',
    '}',
  ];
  const found = functionsOf('a.ts', source.join('\n'));
  assert.deepEqual(
    found.map(({ line, length }) => [line, length]),
    [
      [1, 2],
      [3, 4],
      [8, 2],
      [10, 2],
      [15, 2],
      [17, 2],
      [21, 3],
      [22, 2],
      [23, 2],
    ],
  );
  assert.deepEqual(functionsOf('a.c', 'static int f(void)\n{\n\treturn 0;\n}\n'), [{ line: 2, length: 3 }]);
});
