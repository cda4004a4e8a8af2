import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createProxyHealth } from './proxy-health.ts';

function proxyAt() {
  let now = 0;
  const health = createProxyHealth(() => now);
  const states = (ms: number): boolean => {
    now += ms;
    return health.isHealthy();
  };
  return { ...health, after: states };
}

test('an agent that is starting is healthy, however long that takes', () => {
  const proxy = proxyAt();
  proxy.queued();
  assert.equal(proxy.after(600_000), true);
});

test('a change that waits for a minute is too much, from the first on', () => {
  const proxy = proxyAt();
  proxy.flushed([]);
  proxy.queued();
  assert.equal(proxy.after(59_000), true);
  proxy.queued();
  assert.equal(proxy.after(1000), false);
  proxy.flushed([]);
  assert.equal(proxy.after(0), true);
  assert.equal(proxy.after(600_000), true);
});

test('what fails for the whole node keeps an update waiting, what does for one Service alone does not', () => {
  const proxy = proxyAt();
  proxy.flushed([]);
  proxy.queued();
  proxy.flushed([{ code: 'full' }, { code: 'conflict' }]);
  assert.equal(proxy.after(60_000), true);
  proxy.queued();
  proxy.flushed([{ code: 'full' }, { code: 'transient' }]);
  assert.equal(proxy.after(60_000), false);
});
