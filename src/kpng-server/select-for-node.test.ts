import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '#model/endpoint-slice.ts';
import type { Service } from '#model/service.ts';
import { endpoint, service, slice } from '#support/model-objects.ts';
import { selectForNode } from './select-for-node.ts';

const LOCAL: Partial<Service> = { internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' };

function select(of: Partial<Service>, endpoints: readonly Endpoint[], nodeName = 'n1') {
  const { internal, external, needed } = selectForNode(service(of), [slice(endpoints)], { nodeName, zone: 'a' });
  const addresses = (list: Iterable<Endpoint>): string[] => Array.from(list, ({ address }) => address);
  return { internal: addresses(internal), external: addresses(external), needed: needed && [...needed] };
}

const [here, away, far] = [
  endpoint('10.0.0.1', { nodeName: 'n1' }),
  endpoint('10.0.0.2', { nodeName: 'n2' }),
  endpoint('10.0.0.3', { nodeName: 'n3' }),
];

test('a node needs the endpoints that its policies use', () => {
  assert.deepEqual(select({}, [here, away, far]).needed, ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  assert.deepEqual(select(LOCAL, [here, away, far]), { internal: ['10.0.0.1'], external: ['10.0.0.1'], needed: ['10.0.0.1'] });
  // Pods that dial an outer address reach all endpoints
  const outer = { ...LOCAL, ports: [{ name: 'p80', protocol: 'TCP', port: 80, nodePort: 30080 }] } as const;
  assert.deepEqual(select(outer, [here, away]).needed, ['10.0.0.1', '10.0.0.2']);
});

test('without a local endpoint, one endpoint elsewhere suffices to drop instead of refusing', () => {
  assert.deepEqual(select(LOCAL, [here, away, far], 'n9'), { internal: [], external: [], needed: ['10.0.0.1'] });
  assert.deepEqual(select(LOCAL, [{ ...here, ready: false, serving: false }], 'n9').needed, []);
});

test('endpoints of other zones are not needed, unless hints would mean something else without them', () => {
  const [one, other] = [
    { ...here, hintZones: ['a'] },
    { ...away, hintZones: ['b'] },
  ];
  assert.deepEqual(select({}, [one, other]).needed, ['10.0.0.1']);
  // Hints for nodes count only if all endpoints have some: the third endpoint has none
  const byNode = [{ ...here, hintZones: ['a'], hintNodes: ['n1'] }, { ...far, hintZones: ['a'], hintNodes: ['n3'] }, other];
  assert.deepEqual(select({}, byNode), { internal: ['10.0.0.1', '10.0.0.3'], external: ['10.0.0.1', '10.0.0.3'], needed: undefined });
});

test('UDP needs all serving endpoints: their flows go on', () => {
  const draining = { ...away, ready: false, terminating: true };
  assert.deepEqual(select({}, [here, draining]).needed, ['10.0.0.1']);
  const udp = { ports: [{ name: 'p80', protocol: 'UDP', port: 80, nodePort: 0 }] } as const;
  const ports = [{ name: 'p80', protocol: 'UDP', port: 80 }] as const;
  const { needed } = selectForNode(service(udp), [slice([here, draining], { ports })], { nodeName: 'n1', zone: 'a' });
  assert.deepEqual(needed && [...needed], ['10.0.0.1', '10.0.0.2']);
});
