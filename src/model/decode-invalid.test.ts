import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeObject, flattenLists } from './decode.ts';

const service = (spec: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'cart', namespace: 'shop' },
  spec: { clusterIP: '172.30.0.41', ports: [{ name: 'http', port: 80 }], ...spec },
});
const ports = (...list: object[]): object => service({ ports: list });
const slice = (fields: object): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'cart-x', namespace: 'shop' },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080 }],
  ...fields,
});
const endpoints = (...addresses: string[][]): object => slice({ endpoints: addresses.map((list) => ({ addresses: list })) });
const ingress = (entry: object): object => ({ ...service({ type: 'LoadBalancer' }), status: { loadBalancer: { ingress: [entry] } } });

const healthChecked = (spec: object): object => service({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', ...spec });

const cases: readonly (readonly [object | string | null, ...string[]])[] = [
  [null, 'Document is missing, must be a Kubernetes object'],
  ['text', 'Document is "text", must be a Kubernetes object'],
  [[], 'Document is a list, must be a Kubernetes object'],
  [{ apiVersion: 'v1' }, 'Object: kind is missing, must be a kind such as Service'],

  [ports({ name: 'a', port: 80 }, { name: 'b', port: 70000 }), 'Service shop/cart: spec.ports[1].port is 70000, must be 1 to 65535'],
  [ports({ port: 0 }), 'Service shop/cart: spec.ports[0].port is 0, must be 1 to 65535'],
  [ports({}), 'Service shop/cart: spec.ports[0].port is missing, must be 1 to 65535'],
  [ports({ port: '80' }), 'Service shop/cart: spec.ports[0].port is "80", must be 1 to 65535'],
  [ports({ port: 80.5 }), 'Service shop/cart: spec.ports[0].port is 80.5, must be 1 to 65535'],
  [ports({ port: 80, nodePort: 65536 }), 'Service shop/cart: spec.ports[0].nodePort is 65536, must be 1 to 65535'],
  [ports({ port: 80, protocol: 'tcp' }), 'Service shop/cart: spec.ports[0].protocol is "tcp", must be TCP, UDP or SCTP'],
  [ports({ port: 80, name: 'Web' }), 'Service shop/cart: spec.ports[0].name is "Web", must be a DNS label of at most 63 characters'],
  [
    ports({ name: 'a', port: 80 }, { port: 81 }),
    'Service shop/cart: spec.ports[1].name is missing, must be set, because the Service has several ports',
  ],
  [
    ports({ name: 'a', port: 80 }, { name: 'a', port: 81 }),
    'Service shop/cart: spec.ports[1].name is "a", must be different from that of spec.ports[0]',
  ],
  [
    ports({ name: 'a', port: 80 }, { name: 'b', port: 80, protocol: 'UDP' }, { name: 'c', port: 80, protocol: 'TCP' }),
    'Service shop/cart: spec.ports[2].port is "80/TCP", must be different from that of spec.ports[0]',
  ],
  [
    service({
      type: 'NodePort',
      ports: [
        { name: 'a', port: 80, nodePort: 30001 },
        { name: 'b', port: 81, nodePort: 30001 },
      ],
    }),
    'Service shop/cart: spec.ports[1].nodePort is "30001/TCP", must be different from that of spec.ports[0]',
  ],
  [service({ ports: [] }), 'Service shop/cart: spec.ports is missing, must be a list of at least one port'],
  [
    ports(7 as unknown as object),
    'Service shop/cart: spec.ports[0] is 7, must be an object',
    'Service shop/cart: spec.ports[0].port is missing, must be 1 to 65535',
  ],

  [service({ clusterIP: '172.30.0.300' }), 'Service shop/cart: spec.clusterIP is "172.30.0.300", must be an IP address'],
  [
    service({ clusterIP: '0.0.0.0' }),
    'Service shop/cart: spec.clusterIP is "0.0.0.0", must be a reachable address, not the unspecified one',
  ],
  [service({ ipFamilies: ['IPv6'] }), 'Service shop/cart: spec.clusterIP is "172.30.0.41", must be an IPv6 address'],
  [service({ ipFamilies: ['v4'] }), 'Service shop/cart: spec.ipFamilies[0] is "v4", must be IPv4 or IPv6'],
  [
    service({ clusterIPs: ['172.30.0.41', '172.30.0.42'] }),
    'Service shop/cart: spec.clusterIPs[1] is "172.30.0.42", must be of another family than 172.30.0.41',
  ],
  [
    service({ clusterIPs: ['172.30.0.42'] }),
    'Service shop/cart: spec.clusterIPs[0] is "172.30.0.42", must be 172.30.0.41 as in spec.clusterIP',
  ],
  [
    service({ clusterIP: 'None', clusterIPs: ['None', '172.30.0.41'] }),
    'Service shop/cart: spec.clusterIPs[1] is "172.30.0.41", must be missing where clusterIPs[0] is None',
  ],
  [service({ externalIPs: ['198.51.100.1', '300.1.1.1'] }), 'Service shop/cart: spec.externalIPs[1] is "300.1.1.1", must be an IP address'],
  [
    service({ externalIPs: ['127.0.0.1'] }),
    'Service shop/cart: spec.externalIPs[0] is "127.0.0.1", must be a reachable address, not a loopback one',
  ],
  [service({ externalIPs: '198.51.100.1' }), 'Service shop/cart: spec.externalIPs is "198.51.100.1", must be a list'],
  [ingress({ ip: 'lb' }), 'Service shop/cart: status.loadBalancer.ingress[0].ip is "lb", must be an IP address'],
  [ingress({ ip: '5.6.7.8', ipMode: 'vip' }), 'Service shop/cart: status.loadBalancer.ingress[0].ipMode is "vip", must be VIP or Proxy'],
  [
    service({ type: 'LoadBalancer', loadBalancerSourceRanges: ['fd00::/8', '10.0.0.0/33'] }),
    'Service shop/cart: spec.loadBalancerSourceRanges[1] is "10.0.0.0/33", must be a network such as 203.0.113.0/24, because the Service has no other range for IPv4',
  ],
  [
    service({ loadBalancerSourceRanges: ['10.0.0.0/8'] }),
    'Service shop/cart: spec.loadBalancerSourceRanges is a list, must be missing where spec.type is ClusterIP',
  ],
  [
    service({ clusterIP: null, clusterIPs: ['172.30.0.42'] }),
    'Service shop/cart: spec.clusterIP is missing, must be 172.30.0.42 as in spec.clusterIPs[0]',
  ],
  [
    service({ type: 'NodePort', clusterIP: 'None' }),
    'Service shop/cart: spec.clusterIP is "None", must be an address where spec.type is NodePort',
  ],
  [service({ ipFamilies: ['IPv4', 'v6'] }), 'Service shop/cart: spec.ipFamilies[1] is "v6", must be IPv4 or IPv6'],
  [service({ ipFamilies: ['IPv4', 'IPv4'] }), 'Service shop/cart: spec.ipFamilies[1] is "IPv4", must be different from ipFamilies[0]'],
  [
    service({ externalIPs: ['169.254.7.7'] }),
    'Service shop/cart: spec.externalIPs[0] is "169.254.7.7", must be an address that other nodes can reach, not a link-local one',
  ],
  [healthChecked({ healthCheckNodePort: 65536 }), 'Service shop/cart: spec.healthCheckNodePort is 65536, must be 1 to 65535'],
  [healthChecked({ healthCheckNodePort: -1 }), 'Service shop/cart: spec.healthCheckNodePort is -1, must be 1 to 65535'],
  [healthChecked({ healthCheckNodePort: '31051' }), 'Service shop/cart: spec.healthCheckNodePort is "31051", must be 1 to 65535'],
  [
    healthChecked({ healthCheckNodePort: 31051, ports: [{ port: 80, nodePort: 31051 }] }),
    'Service shop/cart: spec.healthCheckNodePort is 31051, must be different from that of spec.ports[0].nodePort',
  ],
  [
    { ...service({}), metadata: { name: 'cart', namespace: 'shop', creationTimestamp: 'yesterday' } },
    'Service shop/cart: metadata.creationTimestamp is "yesterday", must be a time such as 2026-01-31T12:00:00Z',
  ],
  [service({ type: 'Nodeport' }), 'Service shop/cart: spec.type is "Nodeport", must be ClusterIP, NodePort, LoadBalancer or ExternalName'],
  [service({ internalTrafficPolicy: 'local' }), 'Service shop/cart: spec.internalTrafficPolicy is "local", must be Cluster or Local'],
  [service({ externalTrafficPolicy: 1 }), 'Service shop/cart: spec.externalTrafficPolicy is 1, must be Cluster or Local'],
  [service({ sessionAffinity: 'Cookie' }), 'Service shop/cart: spec.sessionAffinity is "Cookie", must be None or ClientIP'],
  [
    service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } }),
    'Service shop/cart: spec.sessionAffinityConfig.clientIP.timeoutSeconds is 86401, must be 1 to 86400',
  ],
  [{ ...service({}), metadata: { namespace: 'shop' } }, 'Service: metadata.name is missing, must be a DNS label of at most 63 characters'],
  [
    { ...service({}), metadata: { name: 'a'.repeat(64), namespace: 'shop' } },
    `Service shop/${'a'.repeat(64)}: metadata.name is "${'a'.repeat(64)}", must be a DNS label of at most 63 characters`,
  ],
  [
    { ...service({}), metadata: { name: 'cart', namespace: 'Shop' } },
    'Service Shop/cart: metadata.namespace is "Shop", must be a DNS label of at most 63 characters',
  ],
  [
    { ...service({}), spec: { clusterIP: '172.30.0.41', ports: [{ port: 70000, protocol: 'ICMP' }] } },
    'Service shop/cart: spec.ports[0].protocol is "ICMP", must be TCP, UDP or SCTP',
    'Service shop/cart: spec.ports[0].port is 70000, must be 1 to 65535',
  ],

  [
    endpoints(['10.0.0.1'], ['10.0.0.256']),
    'EndpointSlice shop/cart-x: endpoints[1].addresses[0] is "10.0.0.256", must be an IPv4 address',
  ],
  [endpoints(['10.0.0.1'], ['fd00::1']), 'EndpointSlice shop/cart-x: endpoints[1].addresses[0] is "fd00::1", must be an IPv4 address'],
  [endpoints(['10.0.0.1', 'fd00::1']), 'EndpointSlice shop/cart-x: endpoints[0].addresses[1] is "fd00::1", must be an IPv4 address'],
  [
    endpoints(['127.0.0.1']),
    'EndpointSlice shop/cart-x: endpoints[0].addresses[0] is "127.0.0.1", must be a reachable address, not a loopback one',
  ],
  [
    endpoints(['169.254.1.1']),
    'EndpointSlice shop/cart-x: endpoints[0].addresses[0] is "169.254.1.1", must be an address that other nodes can reach, not a link-local one',
  ],
  [
    slice({ addressType: 'IPv6', endpoints: [{ addresses: ['10.0.0.1'] }] }),
    'EndpointSlice shop/cart-x: endpoints[0].addresses[0] is "10.0.0.1", must be an IPv6 address',
  ],
  [slice({ addressType: undefined }), 'EndpointSlice shop/cart-x: addressType is missing, must be IPv4 or IPv6'],
  [
    slice({ endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: 'yes' } }] }),
    'EndpointSlice shop/cart-x: endpoints[0].conditions.ready is "yes", must be true or false',
  ],
  [
    slice({
      ports: [
        { name: 'a', port: 80 },
        { name: 'a', port: 81 },
      ],
    }),
    'EndpointSlice shop/cart-x: ports[1].name is "a", must be different from that of ports[0]',
  ],
  [
    slice({ ports: [{ port: 80 }, { port: 81 }] }),
    'EndpointSlice shop/cart-x: ports[1].name is "", must be different from that of ports[0]',
  ],
  [
    slice({ ports: [{ name: 'Web', port: 80 }] }),
    'EndpointSlice shop/cart-x: ports[0].name is "Web", must be a DNS label of at most 63 characters',
  ],
  [
    slice({ endpoints: [{ addresses: ['10.0.0.1'], nodeName: 'Node 1' }] }),
    'EndpointSlice shop/cart-x: endpoints[0].nodeName is "Node 1", must be the name of a Node',
  ],
  [
    slice({ endpoints: [{ addresses: ['10.0.0.1'], hints: { forZones: [{}], forNodes: [{ name: '' }] } }] }),
    'EndpointSlice shop/cart-x: endpoints[0].hints.forZones[0].name is missing, must be the name of a zone',
    'EndpointSlice shop/cart-x: endpoints[0].hints.forNodes[0].name is missing, must be the name of a Node',
  ],
  [slice({ ports: [{ name: 'a', port: 65536 }] }), 'EndpointSlice shop/cart-x: ports[0].port is 65536, must be 1 to 65535'],
  [{ apiVersion: 'v1', kind: 'Node', metadata: {} }, 'Node: metadata.name is missing, must be a DNS subdomain'],
];

for (const [document, ...errors] of cases) {
  test(`refused: ${errors[0]}`, () => {
    const decoded = decodeObject(document);
    assert.ok(decoded.type === 'invalid', JSON.stringify(decoded));
    assert.deepEqual(decoded.errors, errors);
  });
}

test('an invalid object keeps its kind and key, so that its last valid version can stay', () => {
  const decoded = decodeObject(endpoints(['nonsense']));
  assert.ok(decoded.type === 'invalid');
  assert.deepEqual([decoded.kind, decoded.key], ['EndpointSlice', 'shop/cart-x']);
});

test('a slice with hundreds of invalid endpoints is reported in a few lines', () => {
  const decoded = decodeObject(endpoints(...Array.from({ length: 500 }, () => ['nonsense'])));
  assert.ok(decoded.type === 'invalid');
  assert.equal(decoded.errors.length, 9);
  assert.equal(decoded.errors[8], '... and 492 more errors');
});

test('a value of any length is shown in at most 80 characters', () => {
  const decoded = decodeObject(service({ type: 'x'.repeat(1000) }));
  assert.ok(decoded.type === 'invalid');
  assert.ok((decoded.errors[0] ?? '').length < 200);
});

/** Objects with a valid kind and version and arbitrary fields. */
const distorted = fc
  .record({
    kind: fc.constantFrom('Service', 'EndpointSlice', 'Node', 'List'),
    metadata: fc.oneof(fc.constant({ name: 'x', namespace: 'y' }), fc.object({ maxDepth: 2 })),
    spec: fc.oneof(
      fc.record({ clusterIP: fc.anything(), clusterIPs: fc.anything(), ports: fc.anything(), externalIPs: fc.array(fc.anything()) }),
      fc.anything(),
    ),
    status: fc.anything(),
    endpoints: fc.oneof(fc.array(fc.record({ addresses: fc.anything(), conditions: fc.anything() })), fc.anything()),
    ports: fc.anything(),
    items: fc.anything(),
    addressType: fc.constantFrom('IPv4', 'IPv6'),
  })
  .map((fields) => ({ ...fields, apiVersion: fields.kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : 'v1' }));

test('no document makes decoding throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), distorted), (document) => {
      for (const object of flattenLists(document)) {
        const decoded = decodeObject(object);
        assert.ok(decoded.type !== 'invalid' || decoded.errors.length > 0);
      }
    }),
  );
});
