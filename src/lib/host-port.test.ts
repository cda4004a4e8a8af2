import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPort } from './host-port.ts';

test('an IPv6 address has brackets before its port, other hosts have none', () => {
  assert.equal(hostPort('10.0.0.1', 80), '10.0.0.1:80');
  assert.equal(hostPort('fd00::1', 80), '[fd00::1]:80');
  assert.equal(hostPort('kpng.example', 443), 'kpng.example:443');
  assert.equal(hostPort('', 12090), ':12090');
});
