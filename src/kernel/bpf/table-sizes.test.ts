import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TABLES } from '#abi/generated.ts';
import { folderName, isOfOurLayout, tableSizes } from './table-sizes.ts';

test('tables have the sizes of the header unless told otherwise', () => {
  const sizes = tableSizes({ frontends: 500 });
  assert.equal(sizes.frontends, 500);
  assert.equal(sizes.slots, TABLES.slots.maxEntries);
  assert.equal(Object.keys(sizes).length, Object.keys(TABLES).length);
});

test('unknown maps and impossible sizes are refused by name', () => {
  assert.throws(
    () => tableSizes({ backend: 5 }),
    /^Error: Cannot size map "backend": no such map; should be one of addresses, frontends, /,
  );
  assert.throws(() => tableSizes({ toString: 5 }), /no such map/);
  assert.throws(() => tableSizes({ counters: 5 }), {
    message: `Cannot size map "counters": its size is fixed at ${TABLES.counters.maxEntries}`,
  });
  for (const size of [0, -1, 1.5, Number.NaN, 2 ** 27])
    assert.throws(() => tableSizes({ slots: size }), {
      message: `Cannot size map "slots": size is ${size}; should be a whole number from 1 to 67108864`,
    });
});

test('other sizes have another folder, equal sizes the same', () => {
  assert.equal(folderName(tableSizes({})), folderName(tableSizes({ slots: TABLES.slots.maxEntries })));
  assert.notEqual(folderName(tableSizes({})), folderName(tableSizes({ slots: 5 })));
  assert.ok(isOfOurLayout(folderName(tableSizes({}))));
  assert.ok(!isOfOurLayout('0123456789abcdef-00000000'));
  assert.doesNotMatch(folderName(tableSizes({})), /\./);
});
