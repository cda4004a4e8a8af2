import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dump } from 'js-yaml';
import { flattenLists } from '#model/decode.ts';
import { piecesOf } from './pieces.ts';

/** Objects in order, or `line N: reason`. */
function read(text: string, byItem = true): unknown[] | string {
  const objects: unknown[] = [];
  for (const piece of piecesOf(Buffer.from(text), byItem)) {
    const parsed = piece.read();
    if (!parsed.ok) return `line ${parsed.line}: ${parsed.reason}`;
    for (const value of parsed.values) objects.push(...flattenLists(value));
  }
  return objects;
}

const countPieces = (text: string): number => [...piecesOf(Buffer.from(text), true)].length;

const pod = (name: string): object => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name } });

test('items of a YAML list are pieces of their own, whatever stands around them', () => {
  const text = [
    '# printed by kubectl',
    'apiVersion: v1',
    'items: # two of them',
    '',
    '- kind: Pod',
    '  apiVersion: v1',
    '  metadata:',
    '    name: a',
    '# between',
    '-',
    '  apiVersion: v1',
    '  kind: Pod',
    '  metadata: {name: b}',
    'kind: List',
    'metadata:',
    '  resourceVersion: ""',
    '',
  ].join('\n');
  for (const variant of [text, text.replaceAll('\n', '\r\n'), `\ufeff---\n${text}`, text.trimEnd(), `%YAML 1.2\n---\n${text}---\n`]) {
    assert.deepEqual(read(variant), [pod('a'), pod('b')]);
    assert.equal(countPieces(variant), 2);
  }
});

test('items of a ServiceList get their kind from the list', () => {
  const text = 'apiVersion: v1\nkind: ServiceList\nitems:\n  - metadata:\n      name: a\n  - metadata:\n      name: b\n';
  assert.deepEqual(read(text), read(text, false));
  assert.equal(countPieces(text), 2);
});

test('a document other than a list is one piece, also when it has items', () => {
  const text = 'apiVersion: v1\nkind: ConfigMap\nitems:\n- a\n- b\n';
  assert.equal(countPieces(text), 1);
  assert.deepEqual(read(text), [{ apiVersion: 'v1', kind: 'ConfigMap', items: ['a', 'b'] }]);
});

test('a block scalar that looks like list items stays in its item', () => {
  const text = 'kind: List\nitems:\n- kind: A\n  text: |\n    - not: an item\n    items:\n\n  after: 1\n- kind: B\n';
  assert.deepEqual(read(text), [{ kind: 'A', text: '- not: an item\nitems:\n', after: 1 }, { kind: 'B' }]);
});

test('documents of several kinds of notation stand in one file', () => {
  const text = '# nothing here\n---\n{"kind": "A"}\n{"kind": "B"}\n--- {kind: C}\n---\n\n---\nkind: D\n...\n';
  assert.deepEqual(
    read(text),
    ['A', 'B', 'C', 'D'].map((kind) => ({ kind })),
  );
});

test('half a list reads as a document without a kind', () => {
  assert.deepEqual(read('apiVersion: v1\nitems:\n- kind: A\n- kind: B\n'), [{ apiVersion: 'v1', items: null }]);
});

test('errors name their line in the file', () => {
  const list = 'kind: List\nitems:\n- kind: A\n- kind: B\n';
  const duplicate = 'duplicated mapping key';
  for (const [text, expected] of [
    [`${list}---\na: 1\na: 2\n`, `line 7: ${duplicate}`],
    ['kind: List\nitems:\n- kind: A\n- kind: B\n  b: 1\n  b: 1\n', `line 6: ${duplicate}`],
    ['kind: List\nkind: List\nitems:\n- kind: A\n', `line 2: ${duplicate}`],
    ['items:\n- kind: A\n- kind: B\nkind: List\nkind: List\n', `line 5: ${duplicate}`],
    ['{"kind": "A",\n "b": 1,\n}', 'line 3: Expected double-quoted property name'],
    ['{"kind": "A"}\n{"kind": x}', `line 2: Unexpected non-whitespace character after JSON`],
    ['{"kind": "A",\n "b":', 'line 2: Unexpected end of JSON input'],
  ] as const) {
    assert.equal(read(text), expected, text);
  }
});

test('any objects read the same by item, as a whole and as JSON', () => {
  const words = fc.oneof(
    fc.string(),
    fc.constantFrom('- a', 'items:', '---', 'a: b', '# c', 'x\n- y\n\nz\n', '\n---\n', '*a', '1', 'true', '~'),
  );
  const values = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, words, fc.integer(), fc.boolean(), fc.constant(null), tie('list'), tie('map')),
    list: fc.array(tie('value'), { maxLength: 3 }),
    map: fc.dictionary(
      fc.string({ minLength: 1, maxLength: 5 }).filter((key) => key !== '__proto__' && key !== '<<'),
      tie('value'),
      { maxKeys: 3 },
    ),
  }));
  const objects = fc.array(
    values.map.map((fields) => ({ kind: 'A', fields })),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(objects, fc.boolean(), fc.boolean(), (items, indentSeq, kindFirst) => {
      const list = kindFirst ? { kind: 'List', items } : { items, kind: 'List' };
      const text = dump(list, { seqNoIndent: !indentSeq, noRefs: true });
      assert.equal(countPieces(text), items.length);
      assert.deepEqual(read(text), read(text, false));
      assert.deepEqual(read(text), read(JSON.stringify(list)));
    }),
    { numRuns: 300 },
  );
});
