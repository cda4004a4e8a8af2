import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from '#model/service.ts';
import { address, endpoint, service, slice } from '#support/model-objects.ts';
import type { NodeView } from './node-view.ts';
import { planService } from './plan-service.ts';
import { policiesWithoutLocal } from './without-local.ts';

const VIEW: NodeView = {
  nodeName: 'n1',
  zone: '',
  masqueradeAll: false,
  hasLocalDetector: { 4: true, 6: true },
  primaryAddresses: { 4: address('192.168.0.2'), 6: undefined },
};

const found = (rest: Partial<Service>, ...nodes: string[]) => {
  const endpoints = nodes.map((nodeName, i) => endpoint(`10.180.0.${i + 1}`, { nodeName }));
  return planService(service({ externalIPs: [address('203.0.113.1')], ...rest }), [slice(endpoints)], VIEW).flatMap(policiesWithoutLocal);
};

test('policy Local lacks a local endpoint if only other nodes have endpoints', () => {
  const [internal, external] = [{ internalTrafficPolicy: 'Local' }, { externalTrafficPolicy: 'Local' }] as const;
  assert.deepEqual(found({}, 'n2'), []);
  assert.deepEqual(found(internal, 'n2'), ['internal']);
  assert.deepEqual(found(external, 'n2'), ['external']);
  assert.deepEqual(found({ ...internal, ...external }, 'n2'), ['internal', 'external']);
  assert.deepEqual(found({ ...internal, ...external }, 'n1', 'n2'), []);
  assert.deepEqual(found({ ...internal, ...external }), [], 'policy Local lacks nothing while no node has an endpoint');
});
