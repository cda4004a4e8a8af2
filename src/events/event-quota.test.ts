import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventQuota } from './event-quota.ts';

/** A quota with small limits, and its clock. */
function limited(limits: Partial<Parameters<typeof createEventQuota>[0]> = {}) {
  const clock = { now: 0 };
  const all = { quietMs: 600, objectBurst: 2, perObjectMs: 300, burst: 5, perEventMs: 50, remembered: 3, ...limits };
  return { clock, quota: createEventQuota(all, () => clock.now) };
}

const admitted = (quota: ReturnType<typeof createEventQuota>, object: string, count: number, from = 0): number =>
  Array.from({ length: count }, (_, i) => quota.admits(object, `saying ${from + i}`)).filter(Boolean).length;

test('the same about the same object counts once in a while', () => {
  const { clock, quota } = limited();
  assert.deepEqual([quota.admits('a', 'x'), quota.admits('a', 'x'), quota.admits('b', 'x')], [true, false, true]);
  clock.now = 599;
  assert.equal(quota.admits('a', 'x'), false);
  clock.now = 600;
  assert.equal(quota.admits('a', 'x'), true);
});

test('an object has a burst, then one more after each while', () => {
  const { clock, quota } = limited();
  assert.equal(admitted(quota, 'a', 9), 2);
  clock.now = 300;
  assert.equal(admitted(quota, 'a', 9, 10), 1);
  clock.now = 100_000;
  assert.equal(admitted(quota, 'a', 9, 20), 2, 'no more than a burst is saved up');
});

test('all objects together have a burst, then one more after each while', () => {
  const { clock, quota } = limited();
  const objects = Array.from({ length: 20 }, (_, i) => `object ${i}`);
  assert.equal(objects.filter((object) => quota.admits(object, 'x')).length, 5);
  clock.now = 100;
  assert.equal(objects.filter((object) => quota.admits(object, 'y')).length, 2);
});

test('only the newest Events are remembered', () => {
  const { quota } = limited({ burst: 100 });
  for (const object of ['a', 'b', 'c', 'd']) assert.equal(quota.admits(object, 'x'), true);
  assert.deepEqual([quota.admits('d', 'x'), quota.admits('a', 'x')], [false, true]);
});
