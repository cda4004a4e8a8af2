import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linesOf, readList } from './response-body.ts';

async function* inChunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function linesIn(text: string, sizes: readonly number[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const some of linesOf(inChunks(Buffer.from(text), sizes))) lines.push(...some);
  return lines;
}

test('lines are whole wherever the network cuts them, and a line without an end does not count', async () => {
  const line = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\n'));
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(fc.array(line), line, sizes, async (lines, rest, chunks) => {
      const text = lines.map((each) => `${each}\n`).join('') + rest;
      assert.deepEqual(
        await linesIn(text, chunks),
        lines.map((each) => Buffer.from(each).toString()),
      );
    }),
  );
});

test('a line without an end is given up', async () => {
  await assert.rejects(linesIn('x'.repeat(17 << 20), [1 << 20]), /a line has more than 16777216 bytes/);
});

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

test('a body other than a list is refused', () => {
  for (const text of ['', '[]', '{}', '{"kind":"Service"}', '{"kind":"ServiceList","items":[{"metadata":{']) {
    assert.throws(() => [...readList(Buffer.from(text)).items], SyntaxError, text);
  }
});
