import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthAnswer } from './answer.ts';

test('the body is what kube-proxy writes (TestServer), blanks included [hcnp-ready]', () => {
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
