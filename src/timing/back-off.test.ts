import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBackOff } from './back-off.ts';

const TIMES = { firstMs: 800, maxMs: 30_000, resetMs: 120_000 };

test('pauses double up to a bound, each lengthened by up to its own length at random', () => {
  let now = 0;
  const backOff = createBackOff(TIMES, () => now);
  for (const least of [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]) {
    const wait = backOff.next();
    assert.ok(wait >= least && wait <= least * 2, `${wait} is outside the bounds from ${least}`);
    now += wait;
  }
});

test('after a time without a failure pauses start anew', () => {
  let now = 0;
  const backOff = createBackOff(TIMES, () => now);
  for (let i = 0; i < 5; i++) now += backOff.next();
  now += TIMES.resetMs - 1;
  assert.ok(backOff.next() >= 25_600);
  now += 60_000 + TIMES.resetMs + 1;
  assert.ok(backOff.next() <= 1600);
});

test('clients that fail together do not return together', () => {
  const waits = Array.from({ length: 50 }, () => createBackOff(TIMES).next());
  assert.ok(new Set(waits).size > 40);
});
