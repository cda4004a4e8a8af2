import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeObject } from '#model/decode.ts';
import { planTopology, type Topology } from './topology.ts';
import { wiringScript } from './wiring.ts';

const node = (name: string, ...addresses: string[]) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
});

interface EndpointSpec {
  readonly address: string;
  readonly node?: string;
  readonly pod?: string;
}

const slice = (name: string, endpoints: readonly EndpointSpec[], ports: readonly object[] = [{ name: '', protocol: 'TCP', port: 80 }]) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 'a', labels: { 'kubernetes.io/service-name': name.split('-')[0] } },
  addressType: endpoints[0]?.address.includes(':') ? 'IPv6' : 'IPv4',
  ports,
  endpoints: endpoints.map(({ address, node: nodeName, pod }) => ({
    addresses: [address],
    conditions: {},
    ...(nodeName && { nodeName }),
    ...(pod && { targetRef: { kind: 'Pod', namespace: 'a', name: pod } }),
  })),
});

const service = (name: string, fields: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'a' },
  spec: { type: 'ClusterIP', clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'], ports: [{ port: 80, protocol: 'TCP' }], ...fields },
});

function plan(...objects: readonly object[]): Topology {
  const decoded = objects.map(decodeObject).map((one) => {
    assert.equal(one.type, 'object', JSON.stringify(one));
    return one.type === 'object' ? one.object : assert.fail();
  });
  const topology = planTopology('x', decoded);
  return topology.ok ? topology.value : assert.fail(topology.errors.join());
}

const podsOf = (topology: Topology) => topology.pods.map((pod) => [pod.name, pod.node, pod.addresses.join(' '), pod.ownNetns]);

test('the two families of a pod are one pod', () => {
  const topology = plan(
    node('n1', '192.0.2.1'),
    slice('s-4', [{ address: '10.0.0.1', node: 'n1', pod: 'p' }]),
    slice('s-6', [{ address: 'fd00::1', node: 'n1', pod: 'p' }]),
  );
  assert.deepEqual(podsOf(topology), [['a/p', 'n1', '10.0.0.1 fd00::1', true]]);
});

test('an endpoint with the address of its node lives in the node', () => {
  const topology = plan(node('n1', '192.0.2.1'), slice('s-4', [{ address: '192.0.2.1', node: 'n1', pod: 'p' }]));
  assert.deepEqual(podsOf(topology), [['a/p', 'n1', '192.0.2.1', false]]);
  assert.equal(topology.servers[0]?.netns, topology.nodes[0]?.netns);
});

test('an endpoint on no node, or on one that is not there, is outside', () => {
  const topology = plan(node('n1', '192.0.2.1'), slice('s-4', [{ address: '192.0.2.9' }, { address: '10.0.0.7', node: 'n7', pod: 'p' }]));
  assert.deepEqual(podsOf(topology), [
    ['192.0.2.9', 'outside', '192.0.2.9', false],
    ['a/p', 'outside', '10.0.0.7', false],
  ]);
  assert.match(topology.notes.join(), /Node "n7" is not among the objects/);
});

test('a port that two slices name for one address is served once', () => {
  const endpoints = [{ address: '10.0.0.1', node: 'n1', pod: 'p' }];
  const topology = plan(node('n1', '192.0.2.1'), slice('s-4', endpoints), slice('t-4', endpoints));
  assert.deepEqual(
    topology.servers.map((server) => `${server.address}:${server.port}/${server.protocol}`),
    ['10.0.0.1:80/TCP'],
  );
});

test('the router leads an external address to a node that has an endpoint, and none that a node has itself', () => {
  const topology = plan(
    node('n1', '192.0.2.1'),
    node('n2', '192.0.2.2'),
    service('s', { externalIPs: ['198.51.100.1', '192.0.2.1'] }),
    slice('s-4', [{ address: '10.0.0.1', node: 'n2', pod: 'p' }]),
  );
  assert.deepEqual(topology.externals, [{ address: '198.51.100.1', via: '192.0.2.2' }]);
});

test('nodes of different networks reach each other by the router', () => {
  const script = wiringScript(
    plan(node('n1', '192.0.2.1'), node('n2', '198.51.100.1'), slice('s-4', [{ address: '10.0.0.1', node: 'n2', pod: 'p' }])),
  );
  assert.match(script, /addr add 192\.0\.2\.254\/24 dev br0\naddr add 198\.51\.100\.254\/24 dev br0/);
  assert.equal(script.match(/route add 10\.0\.0\.1 via 198\.51\.100\.1/g)?.length, 1, 'only the router has this route');
});

test('SCTP ports, which no server can serve, are reported', () => {
  const ports = [{ name: '', protocol: 'SCTP', port: 2905 }];
  assert.match(plan(node('n1', '192.0.2.1'), slice('s-4', [{ address: '10.0.0.1', node: 'n1' }], ports)).notes.join(), /SCTP/);
});

test('a cluster without nodes, or with a node that has a name of the lab, cannot be built', () => {
  assert.equal(planTopology('x', []).ok, false);
  const decoded = decodeObject(node('outside', '192.0.2.1'));
  assert.equal(decoded.type === 'object' && planTopology('x', [decoded.object]).ok, false);
});
