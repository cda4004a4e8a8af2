import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createUnframer, frame } from './framing.ts';

test('messages survive framing, wherever the bytes are cut', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
  fc.assert(
    fc.property(messages, fc.array(fc.nat(30), { minLength: 1, maxLength: 20 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map((message) => frame(message)));
      const got: string[] = [];
      const unframer = createUnframer((message) => got.push(message.toString('hex')));
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const length = 1 + (cuts[i % cuts.length] ?? 0);
        unframer.push(bytes.subarray(at, at + length));
        at += length;
      }
      assert.deepEqual(
        got,
        sent.map((message) => Buffer.from(message).toString('hex')),
      );
      assert.equal(unframer.begun, 0);
    }),
  );
});

test('several parts make one message, and an incomplete message counts as begun', () => {
  const framed = frame(Buffer.from('ab'), Buffer.from('c'));
  assert.equal(framed.toString('hex'), '0000000003616263');
  const unframer = createUnframer(() => assert.fail());
  unframer.push(framed.subarray(0, 7));
  assert.equal(unframer.begun, 7);
});

test('an invalid header is refused', () => {
  const push = (hex: string) => createUnframer(() => {}).push(Buffer.from(hex, 'hex'));
  assert.throws(() => push('0100000000'), /compression flag 1, must be 0/);
  assert.throws(() => push('00ffffffff'), /a message has 4294967295 bytes, must be at most 16777216/);
});
