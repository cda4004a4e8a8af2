import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeObject } from './decode.ts';

const node = (fields: object): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, ...fields });

test('a Node lists internal addresses before external ones, without host names', () => {
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
    isLeaving: false,
  });
  assert.deepEqual(decoded.warnings, ['Node n1: status.addresses[3].address is "n1.example", not an IP address, and is left out']);
});

test('an address that a machine cannot have is left out of a Node', () => {
  const addresses = ['0.0.0.0', '::', '224.0.0.1', '192.168.0.2'].map((address) => ({ type: 'InternalIP', address }));
  const decoded = decodeObject(node({ status: { addresses } }));
  assert.ok(decoded.type === 'object' && decoded.object.kind === 'Node');
  assert.deepEqual(decoded.object.value.addresses, ['192.168.0.2']);
  assert.equal(decoded.warnings[0], 'Node n1: status.addresses[0].address is "0.0.0.0", not the address of a machine, and is left out');
});

test('a pod range that is not a network is left out of a Node, as in kube-proxy [pod-cidr-bad]', () => {
  const decoded = decodeObject(node({ spec: { podCIDRs: ['10.0.1.0/33', '::ffff:10.0.2.0/120', 'fd00::/64'] } }));
  assert.ok(decoded.type === 'object' && decoded.object.kind === 'Node');
  assert.deepEqual(decoded.object.value.podCIDRs, [
    { address: '10.0.2.0', length: 24 },
    { address: 'fd00::', length: 64 },
  ]);
  assert.deepEqual(decoded.warnings, ['Node n1: spec.podCIDRs[0] is "10.0.1.0/33", not a network, and is left out']);
});

test('a Node that is being deleted, or that its autoscaler is about to delete, is leaving [proxy-healthz]', () => {
  const isLeaving = (more: object): unknown => {
    const decoded = decodeObject(node(more));
    assert.ok(decoded.type === 'object' && decoded.object.kind === 'Node');
    return decoded.object.value.isLeaving;
  };
  assert.equal(isLeaving({}), false);
  assert.equal(isLeaving({ spec: { taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }] } }), false);
  assert.equal(isLeaving({ spec: { taints: [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] } }), true);
  assert.equal(isLeaving({ metadata: { name: 'n1', deletionTimestamp: '2026-01-31T12:00:00Z' } }), true);
});
