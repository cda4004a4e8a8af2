import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bindLibrary, CStruct, checked, errnoText, KernelError } from './ffi.ts';

test('an errno is reported with its text and its name', () => {
  assert.equal(errnoText(19), 'no such device (ENODEV)');
  assert.equal(errnoText(524), 'operation not supported (ENOTSUPP)');
});

test('a negative result is an error that names the action', () => {
  assert.equal(checked(7, 'count'), 7);
  assert.throws(() => checked(-1, 'open the door'), {
    name: 'Error',
    message: 'Cannot open the door: operation not permitted (EPERM)',
    code: 'EPERM',
  });
  assert.throws(() => checked(-1, 'open the door'), KernelError);
});

test('a library that is not there is named with its package at the first use', () => {
  const nowhere = bindLibrary<{ f(): void }>('libweir-nowhere.so.9', 'libweir9', { f: 'void f()' });
  assert.throws(() => nowhere.f(), { message: 'Cannot load libweir-nowhere.so.9: install the package that has it (Debian: libweir9)' });
});

test('a sized struct begins with its own size and holds fields where they belong', () => {
  const bytes = CStruct.sized(16).u32(8, 0xffffffff).u32(12, 1).bytes;
  assert.equal(bytes.toString('hex'), '1000000000000000ffffffff01000000');
});
