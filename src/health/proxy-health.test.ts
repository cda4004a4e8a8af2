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
  proxy.updated();
  proxy.queued();
  assert.equal(proxy.after(59_000), true);
  proxy.queued();
  assert.equal(proxy.after(1000), false);
  proxy.updated();
  assert.equal(proxy.after(0), true);
  assert.equal(proxy.after(600_000), true);
});
