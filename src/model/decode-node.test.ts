import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeObject } from './decode.ts';

const node = (fields: object): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, ...fields });

test('a Node lists internal addresses before external ones and leaves names out', () => {
  const addresses = [
    { type: 'ExternalIP', address: '203.0.113.9' },
    { type: 'Hostname', address: 'n1' },
    { type: 'InternalIP', address: '192.168.0.2' },
    { type: 'InternalIP', address: 'n1.example' },
  ];
  const decoded = decodeObject(node({ status: { addresses }, spec: { podCIDR: '10.0.1.0/24' } }));
  assert.ok(decoded.type === 'object' && decoded.object.kind === 'Node');
  assert.deepEqual(decoded.object.value, {
    name: 'n1',
    addresses: ['192.168.0.2', '203.0.113.9'],
    podCIDRs: [{ address: '10.0.1.0', length: 24 }],
    zone: '',
  });
  assert.deepEqual(decoded.warnings, ['Node n1: status.addresses[3].address is "n1.example", no IP address, and is left out']);
});
