import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { linesOf } from './lines.ts';

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

test('lines are whole wherever the network cuts them, and what has no end counts for nothing', async () => {
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
