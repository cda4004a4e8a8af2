import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateLimitedReporter } from './rate-limited-reporter.ts';

test('a frequent event is reported at once, then once a minute with its count', () => {
  const told: string[] = [];
  let now = 0;
  const tell = createRateLimitedReporter(
    (message) => told.push(message),
    () => now,
  );
  for (let i = 0; i < 5; i++) tell('a', `a${i}`);
  tell('b', 'b0');
  now = 60_000;
  tell('a', 'a5');
  tell('a', 'a6');
  now = 120_000;
  tell('b', 'b1');
  assert.deepEqual(told, ['a0', 'b0', 'a5 (and 4 more of this kind since the last such line)', 'b1']);
});

test('of very many kinds the oldest is forgotten', () => {
  const told: string[] = [];
  const tell = createRateLimitedReporter(
    (message) => told.push(message),
    () => 0,
  );
  for (let i = 0; i <= 1000; i++) tell(`peer ${i}`, '');
  told.length = 0;
  tell('peer 1000', 'youngest');
  tell('peer 0', 'oldest');
  assert.deepEqual(told, ['oldest']);
});
