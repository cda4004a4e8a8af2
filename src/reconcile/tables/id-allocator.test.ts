import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createIdAllocator, type Run } from './id-allocator.ts';

const REST_MS = 100;

test('the lowest adjacent numbers that are free are taken', () => {
  const space = createIdAllocator({ first: 1, count: 10 }, REST_MS, [{ first: 3, count: 2 }]);
  assert.equal(space.take(3), 5);
  assert.equal(space.take(1), 1);
  assert.equal(space.take(1), 2);
  assert.equal(space.take(4), undefined);
  assert.equal(space.take(3), 8);
  assert.equal(space.take(1), undefined);
});

test('released numbers rest before they are used again', () => {
  const space = createIdAllocator({ first: 0, count: 4 }, REST_MS);
  space.take(4);
  space.release({ first: 0, count: 4 }, 1000);
  assert.equal(space.nextWake(), 1100);
  assert.equal(space.wake(1099), false);
  assert.equal(space.take(1), undefined);
  assert.equal(space.used(), 4);
  assert.equal(space.wake(1100), true);
  assert.equal(space.nextWake(), undefined);
  assert.equal(space.take(4), 0);
});

test('neighbours released one by one make one run again', () => {
  const space = createIdAllocator({ first: 0, count: 6 }, REST_MS);
  for (let i = 0; i < 3; i++) space.take(2);
  for (const first of [4, 0, 2]) space.release({ first, count: 2 }, 0);
  space.wake(REST_MS);
  assert.equal(space.take(6), 0);
});

test('runs outside the bounds, overlapping or beyond their end do no harm', () => {
  const taken: Run[] = [
    { first: 0, count: 3 },
    { first: 2, count: 3 },
    { first: 9, count: 4_000_000_000 },
    { first: 4_000_000_000, count: 1 },
  ];
  const space = createIdAllocator({ first: 1, count: 10 }, REST_MS, taken);
  assert.equal(space.used(), 6);
  space.release({ first: 0, count: 1 }, 0);
  space.release({ first: 4_000_000_000, count: 1 }, 0);
  assert.equal(space.nextWake(), undefined);
  assert.equal(space.take(4), 5);
  assert.equal(space.take(1), undefined);
});

test('nothing is allocated twice and nothing is lost', () => {
  const deeds = fc.array(fc.record({ count: fc.integer({ min: 1, max: 6 }), give: fc.nat({ max: 5 }) }), { maxLength: 60 });
  fc.assert(
    fc.property(deeds, (list) => {
      const space = createIdAllocator({ first: 1, count: 40 }, REST_MS);
      const held: Run[] = [];
      list.forEach(({ count, give }, now) => {
        space.wake(now * 30);
        const first = space.take(count);
        if (first !== undefined) held.push({ first, count });
        if (give < held.length) for (const run of held.splice(give, 1)) space.release(run, now * 30);
        const numbers = held.flatMap((run) => Array.from({ length: run.count }, (_, i) => run.first + i));
        assert.equal(new Set(numbers).size, numbers.length);
        assert.ok(numbers.every((number) => number >= 1 && number <= 40));
      });
      for (const run of held) space.release(run, 10_000);
      space.wake(20_000);
      assert.equal(space.used(), 0);
      assert.equal(space.take(40), 1);
    }),
  );
});
