import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeObject } from './decode.ts';

const ranges = (...cidrs: unknown[]): object => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  metadata: { name: 'kubernetes' },
  spec: { cidrs },
});

test('a ServiceCIDR has the networks of both families', () => {
  const decoded = decodeObject(ranges('10.96.0.0/16', 'fd00:96::/112'));
  assert.ok(decoded.type === 'object' && decoded.object.kind === 'ServiceCIDR');
  assert.equal(decoded.object.key, 'kubernetes');
  assert.deepEqual(decoded.object.value.cidrs, [
    { address: '10.96.0.0', length: 16 },
    { address: 'fd00:96::', length: 112 },
  ]);
});

test('an invalid network is left out with a warning that names its field', () => {
  const decoded = decodeObject(ranges('10.96.0.0/16', '10.96.0.0/33'));
  assert.ok(decoded.type === 'object' && decoded.object.kind === 'ServiceCIDR');
  assert.deepEqual(decoded.object.value.cidrs, [{ address: '10.96.0.0', length: 16 }]);
  assert.deepEqual(decoded.warnings, ['ServiceCIDR kubernetes: spec.cidrs[1] is "10.96.0.0/33", not a network, and is left out']);
});
