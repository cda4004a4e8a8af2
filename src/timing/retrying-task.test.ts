import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRetryingTask } from './retrying-task.ts';

/** A task whose runs the test ends by hand. */
function watched() {
  const runs: PromiseWithResolvers<void>[] = [];
  const failures: string[] = [];
  const signals: AbortSignal[] = [];
  const run = (signal: AbortSignal): Promise<void> => {
    runs.push(Promise.withResolvers());
    signals.push(signal);
    return runs.at(-1)?.promise ?? Promise.resolve();
  };
  const task = createRetryingTask(run, (error) => failures.push(String(error)), 1);
  const count = async (): Promise<number> => {
    await sleep(10);
    return runs.length;
  };
  return { task, runs, failures, signals, count };
}

test('requests during a run cause one more run, however many', async () => {
  const { task, runs, count } = watched();
  task.ask();
  assert.equal(runs.length, 1);
  for (let i = 0; i < 3; i++) task.ask();
  assert.equal(await count(), 1);
  runs[0]?.resolve();
  assert.equal(await count(), 2);
  runs[1]?.resolve();
  assert.equal(await count(), 2);
  task.ask();
  assert.equal(await count(), 3);
});

test('a run that fails is retried until it succeeds, and reported once', async () => {
  const { task, runs, failures, count } = watched();
  task.ask();
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

test('a run that keeps failing is retried with growing pauses, until it has succeeded once', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  let runs = 0;
  let isBroken = true;
  const run = async (): Promise<void> => {
    runs++;
    if (isBroken) throw new Error('busy');
  };
  const task = createRetryingTask(run, () => {}, 1000);
  const runsAfter = async (ms: number): Promise<number> => {
    t.mock.timers.tick(ms);
    await settled();
    return runs;
  };
  task.ask();
  await settled();
  const counts = [];
  for (const ms of [1000, 1999, 1, 3999, 1]) counts.push(await runsAfter(ms));
  assert.deepEqual(counts, [2, 2, 3, 3, 4]);
  isBroken = false;
  task.ask();
  await settled();
  isBroken = true;
  task.ask();
  await settled();
  assert.equal(await runsAfter(1000), 7);
});

test('a stopped task aborts its run, does not report its end, and runs no more', async () => {
  const { task, runs, failures, signals, count } = watched();
  task.ask();
  task.ask();
  task.stop();
  assert.equal(signals[0]?.aborted, true);
  runs[0]?.reject(new Error('aborted'));
  assert.equal(await count(), 1);
  task.ask();
  assert.equal(await count(), 1);
  assert.deepEqual(failures, []);
});
