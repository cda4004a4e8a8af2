import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthAnswer, proxyAnswer } from './answer.ts';

test("the body equals kube-proxy's (TestServer), including blanks [hcnp-ready]", () => {
  const lines = [
    '{',
    '\t"service": {',
    '\t\t"namespace": "t",',
    '\t\t"name": "web"',
    '\t},',
    '\t"localEndpoints": 2,',
    '\t"serviceProxyHealthy": true',
    '}',
  ];
  assert.equal(healthAnswer('t/web', 2, true).body, lines.join('\n'));
});

const NOW = Date.parse('2026-11-01T12:00:00Z');
const proxy = (healthy: boolean, sinceFlushMs?: number) => ({ isHealthy: () => healthy, sinceFlushMs: () => sinceFlushMs });

/** Status and decoded body. */
function said(...given: Parameters<typeof proxyAnswer>): readonly unknown[] {
  const { status, body } = proxyAnswer(...given);
  return [status, JSON.parse(body)];
}

const currentTime = '2026-11-01T12:00:00.000Z';

test('/healthz reports the proxy and the node, /livez only the proxy [proxy-healthz] [proxy-livez]', () => {
  assert.deepEqual(said('/healthz', proxy(true, 5000), true, NOW), [200, { lastUpdated: currentTime, currentTime, nodeEligible: true }]);
  const lastUpdated = '2026-11-01T11:59:55.000Z';
  assert.deepEqual(said('/healthz', proxy(true, 5000), false, NOW), [503, { lastUpdated, currentTime, nodeEligible: false }]);
  assert.deepEqual(said('/livez', proxy(true, 5000), false, NOW), [200, { lastUpdated: currentTime, currentTime }]);
  for (const path of ['/healthz', '/livez']) assert.equal(proxyAnswer(path, proxy(false, 5000), true, NOW).status, 503);
  assert.equal(proxyAnswer('/', proxy(true), true, NOW).status, 404);
});

test('/readyz fails until the kernel has once had the wanted state [proxy-readyz]', () => {
  assert.equal(proxyAnswer('/readyz', proxy(true), true, NOW).status, 503);
  assert.equal(proxyAnswer('/readyz', proxy(false, 5000), false, NOW).status, 200);
});
