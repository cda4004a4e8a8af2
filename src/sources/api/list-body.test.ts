import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readList } from './list-body.ts';

const [kind, apiVersion, metadata] = ['ServiceList', 'v1', { resourceVersion: '7' }];

const items = fc.array(
  fc.record({
    metadata: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.constantFrom('},{"metadata":{', '"items":[{"metadata":{', '}]', '\\"'))),
    spec: fc.jsonValue(),
  }),
);

test('a list reads the same however its text is laid out', () => {
  fc.assert(
    fc.property(items, (listed) => {
      const expected = listed.map((item) => ({ ...item, kind: 'Service', apiVersion }));
      const list = { kind, apiVersion, metadata, items: listed };
      for (const text of [
        JSON.stringify(list),
        JSON.stringify(list, null, 1),
        JSON.stringify({ items: listed, kind, apiVersion, metadata }),
      ]) {
        const read = readList(Buffer.from(`${text}\n`));
        assert.deepEqual(JSON.parse(JSON.stringify([...read.items])), JSON.parse(JSON.stringify(expected)));
        assert.deepEqual(read.shell.metadata, metadata);
      }
    }),
  );
});

test('what is no list is refused', () => {
  for (const text of ['', '[]', '{}', '{"kind":"Service"}', '{"kind":"ServiceList","items":[{"metadata":{']) {
    assert.throws(() => [...readList(Buffer.from(text)).items], SyntaxError, text);
  }
});
