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

test('a starting agent is healthy, however long the start takes', () => {
  const proxy = proxyAt();
  proxy.queued();
  assert.equal(proxy.after(600_000), true);
});

test('the proxy is unhealthy once the first waiting change is a minute old', () => {
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

test('a problem of the node keeps a change waiting, a problem of one Service does not', () => {
  const proxy = proxyAt();
  proxy.flushed([]);
  proxy.queued();
  proxy.flushed([{ code: 'full' }, { code: 'conflict' }]);
  assert.equal(proxy.after(60_000), true);
  proxy.queued();
  proxy.flushed([{ code: 'full' }, { code: 'transient' }]);
  assert.equal(proxy.after(60_000), false);
});
