import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPace } from './pace.ts';

test('a slice that is used up yields to the event loop, a fresh one does not', async () => {
  let turns = 0;
  const count = (): void => {
    turns++;
    immediate = setImmediate(count);
  };
  let immediate = setImmediate(count);
  const fresh = createPace({ sliceMs: 1_000_000 });
  assert.equal(fresh.due(), false);
  await fresh.step();
  assert.equal(turns, 0);
  const usedUp = createPace({ sliceMs: -1 });
  assert.equal(usedUp.due(), true);
  await usedUp.step();
  assert.ok(turns > 0);
  clearImmediate(immediate);
});

test('a step throws once its signal is aborted, also if that happens while it yields', async () => {
  const stopping = new AbortController();
  const pace = createPace({ sliceMs: -1, signal: stopping.signal });
  const step = pace.step();
  stopping.abort();
  await assert.rejects(step, { name: 'AbortError' });
  await assert.rejects(pace.step(), { name: 'AbortError' });
});
