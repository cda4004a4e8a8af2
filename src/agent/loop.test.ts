import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProxyHealth } from '#health/proxy-health.ts';
import type { FlushReport } from '#reconcile/reconciler.ts';
import { createLoop, type LoopParts } from './loop.ts';

/** A loop whose passes do what the test says; all that depends on the tables succeeds. */
function ground(runPass: () => FlushReport) {
  const clock = { now: 0 };
  const seen = { queued: 0 };
  const nothing = (): void => {};
  const proxyHealth = createProxyHealth(() => clock.now);
  const parts = {
    cgroupRoot: '/',
    datapath: { adopted: false, attachSockets: nothing, removeStaleStates: () => [] },
    store: { node: () => ({}), counts: () => ({ services: 0, slices: 0 }) },
    runPass,
    reconciler: { problems: () => [] },
    attachments: { follow: () => true, devices: () => new Map() },
    rulesetGuard: { start: nothing },
    staleFlows: { follow: nothing, lookAtAll: nothing },
    proxyHealth,
    serviceHealth: { follow: nothing },
    metrics: { queued: () => void seen.queued++, passed: nothing },
    passLog: { passed: nothing, failed: nothing, ready: nothing },
  };
  return { clock, seen, proxyHealth, loop: createLoop(parts as unknown as LoopParts) };
}

/** A pass that has something to retry. */
const REPORT: FlushReport = { writes: {}, failed: [], pending: 1, retryInMs: 50, udpLosses: { backends: 0, frontends: 0 } };

test('a retry counts as queued, so the agent is unhealthy if no retry succeeds', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
  let passes = 0;
  const { clock, seen, proxyHealth, loop } = ground(() => {
    if (passes++ > 0) throw new Error('EIO');
    return REPORT;
  });
  loop.synced();
  t.mock.timers.tick(0);
  assert.deepEqual([passes, seen.queued], [1, 1]);
  for (const [pause, count] of [
    [50, 2],
    [1000, 3],
    [1000, 4],
  ] as const) {
    t.mock.timers.tick(pause);
    t.mock.timers.tick(0);
    assert.deepEqual([passes, seen.queued], [count, count]);
  }
  assert.equal(proxyHealth.isHealthy(), true);
  clock.now = 300_000;
  assert.equal(proxyHealth.isHealthy(), false);
  loop.stop();
});
