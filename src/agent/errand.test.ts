import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createErrand } from './errand.ts';

/** An errand whose runs the test ends by hand. */
function watched() {
  const runs: PromiseWithResolvers<void>[] = [];
  const failures: string[] = [];
  const signals: AbortSignal[] = [];
  const run = (signal: AbortSignal): Promise<void> => {
    runs.push(Promise.withResolvers());
    signals.push(signal);
    return runs.at(-1)?.promise ?? Promise.resolve();
  };
  const errand = createErrand(run, (error) => failures.push(String(error)), 1);
  const count = async (): Promise<number> => {
    await sleep(10);
    return runs.length;
  };
  return { errand, runs, failures, signals, count };
}

test('what is asked for while it runs is one more run, however often', async () => {
  const { errand, runs, count } = watched();
  errand.ask();
  assert.equal(runs.length, 1);
  for (let i = 0; i < 3; i++) errand.ask();
  assert.equal(await count(), 1);
  runs[0]?.resolve();
  assert.equal(await count(), 2);
  runs[1]?.resolve();
  assert.equal(await count(), 2);
  errand.ask();
  assert.equal(await count(), 3);
});

test('a run that fails is tried again until it succeeds, and that is said once', async () => {
  const { errand, runs, failures, count } = watched();
  errand.ask();
  for (let i = 0; i < 3; i++) {
    runs[i]?.reject(new Error('busy'));
    assert.equal(await count(), i + 2);
  }
  assert.deepEqual(failures, ['Error: busy']);
  runs[3]?.reject(new Error('full'));
  await count();
  assert.deepEqual(failures, ['Error: busy', 'Error: full']);
  runs[4]?.resolve();
  assert.equal(await count(), 5);
});

test('what goes on failing is tried less and less often, until it has succeeded once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  let runs = 0;
  let isBroken = true;
  const run = async (): Promise<void> => {
    runs++;
    if (isBroken) throw new Error('busy');
  };
  const errand = createErrand(run, () => {}, 1000);
  const runsAfter = async (ms: number): Promise<number> => {
    t.mock.timers.tick(ms);
    await settled();
    return runs;
  };
  errand.ask();
  await settled();
  const counts = [];
  for (const ms of [1000, 1999, 1, 3999, 1]) counts.push(await runsAfter(ms));
  assert.deepEqual(counts, [2, 2, 3, 3, 4]);
  isBroken = false;
  errand.ask();
  await settled();
  isBroken = true;
  errand.ask();
  await settled();
  assert.equal(await runsAfter(1000), 7);
});

test('an errand that is stopped tells its run, is silent about its end, and runs no more', async () => {
  const { errand, runs, failures, signals, count } = watched();
  errand.ask();
  errand.ask();
  errand.stop();
  assert.equal(signals[0]?.aborted, true);
  runs[0]?.reject(new Error('aborted'));
  assert.equal(await count(), 1);
  errand.ask();
  assert.equal(await count(), 1);
  assert.deepEqual(failures, []);
});
