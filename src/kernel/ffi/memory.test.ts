import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { mapMemory } from './memory.ts';

test('only mapped memory is copied out', () => {
  const fd = openSync(process.execPath, 'r');
  const memory = mapMemory(fd, 4096, 'a program');
  closeSync(fd);
  const bytes = Buffer.alloc(3);
  memory.read(bytes, 1, 3);
  assert.equal(bytes.toString(), 'ELF');
  assert.throws(() => memory.read(bytes, 4095, 3), { message: 'Cannot read 3 bytes at 4095 of a program' });
  assert.throws(() => memory.read(bytes, 0, 4), RangeError);
  memory.unmap();
  assert.throws(() => memory.read(bytes, 0, 3), RangeError);
});

test('what cannot be mapped is an error', () => {
  assert.throws(() => mapMemory(-1, 4096, 'nothing'), { message: 'Cannot map the memory of nothing: bad file descriptor (EBADF)' });
});
