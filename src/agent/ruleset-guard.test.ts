import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { NO_EVENTS } from '#events/event-recorder.ts';
import { createLog } from '#observe/log.ts';
import { createAlarm } from './alarm.ts';
import { createRulesetGuard } from './ruleset-guard.ts';

/** A ruleset whose install fails while `broken` holds a reason. */
function guarded() {
  const state = { isThere: false, broken: undefined as string | undefined, lines: [] as string[] };
  const ruleset = {
    isThere: () => state.isThere,
    install() {
      if (state.broken !== undefined) throw new Error(state.broken);
      state.isThere = true;
    },
  };
  const log = createLog(0, (line) => state.lines.push(line.slice(line.indexOf(' ') + 1).trimEnd()));
  return { state, guard: createRulesetGuard(ruleset, createAlarm(log, NO_EVENTS), 1) };
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds(); await sleep(1)) assert.ok(performance.now() < end, 'never came true');
}

test('a table that another process removed is restored and reported', async () => {
  const { state, guard } = guarded();
  guard.start();
  await until(() => state.isThere);
  guard.stop();
  assert.deepEqual(state.lines, [
    'WARN  Another process removed table inet weir, as "nft flush ruleset" does; restored it. Meanwhile no packet was translated',
  ]);
});

test('while the table cannot be restored the guard retries, and reports it once', async () => {
  const { state, guard } = guarded();
  state.broken = 'busy';
  guard.start();
  await sleep(30);
  assert.deepEqual(state.lines, ['ERROR Cannot restore table inet weir, trying again error=busy']);
  state.broken = undefined;
  await until(() => state.isThere);
  guard.stop();
});

test('after the stop the guard does not restore the table', async () => {
  const { state, guard } = guarded();
  guard.start();
  guard.stop();
  await sleep(30);
  assert.equal(state.isThere, false);
});
