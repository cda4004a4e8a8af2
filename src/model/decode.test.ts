import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodedAs, sliceDocument as slice } from '#support/documents.ts';
import { type Decoded, decodeObject, flattenLists } from './decode.ts';
import type { EndpointSlice } from './endpoint-slice.ts';
import type { Service } from './service.ts';

const service = (spec: object, rest: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'cart', namespace: 'shop' },
  spec: { clusterIP: '172.30.0.41', ports: [{ port: 80 }], ...spec },
  ...rest,
});

function warningsOf(document: object): readonly string[] {
  const decoded = decodeObject(document);
  assert.ok(decoded.type === 'object', JSON.stringify(decoded));
  return decoded.warnings;
}

test('a Service without optional fields gets the defaults of the API server', () => {
  assert.deepEqual(decodedAs(service({})), {
    namespace: 'shop',
    name: 'cart',
    createdAt: '',
    proxied: true,
    clusterIPs: ['172.30.0.41'],
    externalIPs: [],
    loadBalancerIPs: [],
    sourceRanges: [],
    ports: [{ name: '', protocol: 'TCP', port: 80, nodePort: 0 }],
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
    affinitySeconds: 0,
    healthCheckNodePort: 0,
  });
  assert.equal(decodedAs<Service>(service({ sessionAffinity: 'ClientIP' })).affinitySeconds, 10800);
  assert.equal(decodedAs<Service>(service({}, { metadata: { name: 'cart' } })).namespace, 'default');
});

test('null and empty fields of a Service count as absent', () => {
  const empty = {
    type: '',
    internalTrafficPolicy: null,
    sessionAffinityConfig: null,
    externalIPs: null,
    clusterIPs: null,
    ipFamilies: null,
  };
  assert.deepEqual(
    decodedAs(service({ ...empty, ports: [{ name: null, port: 80, nodePort: 0 }] }, { status: null })),
    decodedAs(service({})),
  );
});

test('both families of a dual-stack Service are read, in their order', () => {
  const spec = { clusterIP: 'fd00:172:30::41', clusterIPs: ['fd00:172:30::41', '172.30.0.41'], ipFamilies: ['IPv6', 'IPv4'] };
  assert.deepEqual(decodedAs<Service>(service(spec)).clusterIPs, ['fd00:172:30::41', '172.30.0.41']);
});

test('a LoadBalancer has its reachable ingress addresses, without ipMode Proxy', () => {
  const ingress = [
    { ip: '5.6.7.8' },
    { ip: '5.6.7.9', ipMode: 'VIP' },
    { ip: '5.6.7.10', ipMode: 'Proxy' },
    { hostname: 'lb.example' },
    { ip: '127.0.0.1' },
  ];
  const decoded = decodeObject(service({ type: 'LoadBalancer' }, { status: { loadBalancer: { ingress } } }));
  assert.ok(decoded.type === 'object' && decoded.object.kind === 'Service');
  assert.deepEqual(decoded.object.value.loadBalancerIPs, ['5.6.7.8', '5.6.7.9']);
  assert.deepEqual(decoded.warnings, [
    'Service shop/cart: status.loadBalancer.ingress[4].ip is 127.0.0.1, a loopback address, and is left out',
  ]);
});

test('a LoadBalancer with policy Local has a health check node port; a warning reports a missing one', () => {
  const local = { type: 'LoadBalancer', externalTrafficPolicy: 'Local' };
  assert.equal(decodedAs<Service>(service({ ...local, healthCheckNodePort: 31051 })).healthCheckNodePort, 31051);
  assert.deepEqual(warningsOf(service({ ...local, healthCheckNodePort: 0 })), [
    'Service shop/cart: spec.healthCheckNodePort is missing, so load balancers cannot ask nodes for endpoints; the API server would assign one',
  ]);
});

const useless: readonly (readonly [string, object, Partial<Service>])[] = [
  ['ports[0].nodePort is set although spec.type is ClusterIP', { ports: [{ port: 80, nodePort: 30080 }] }, {}],
  ['externalTrafficPolicy is set although spec.type is ClusterIP', { externalTrafficPolicy: 'Local' }, {}],
  ['healthCheckNodePort is set although spec.type is ClusterIP', { healthCheckNodePort: 31051 }, {}],
  ['healthCheckNodePort is set although spec.externalTrafficPolicy is Cluster', { type: 'LoadBalancer', healthCheckNodePort: 31051 }, {}],
  ['clusterIP is set although spec.type is ExternalName', { type: 'ExternalName' }, { clusterIPs: [], proxied: false }],
];
for (const [what, spec, left] of useless) {
  test(`a field left over from a change of type has no effect and adds a warning: ${what}`, () => {
    assert.deepEqual(warningsOf(service(spec)), [`Service shop/cart: spec.${what}, and has no effect`]);
    assert.deepEqual(decodedAs<Service>(service(spec)), { ...decodedAs<Service>(service({})), ...left });
  });
}

test('left-over ingress addresses of a former LoadBalancer have no effect', () => {
  const status = { loadBalancer: { ingress: [{ ip: '5.6.7.8' }] } };
  const what = 'status.loadBalancer.ingress is set although spec.type is NodePort';
  assert.deepEqual(warningsOf(service({ type: 'NodePort' }, { status })), [`Service shop/cart: ${what}, and has no effect`]);
  assert.deepEqual(decodedAs<Service>(service({ type: 'NodePort' }, { status })).loadBalancerIPs, []);
});

test('source ranges may have blanks, host bits and the other family', () => {
  const loadBalancerSourceRanges = [' 203.0.113.7/25', '', 'fd00::/8 '];
  assert.deepEqual(decodedAs<Service>(service({ type: 'LoadBalancer', loadBalancerSourceRanges })).sourceRanges, [
    { address: '203.0.113.0', length: 25 },
    { address: 'fd00::', length: 8 },
  ]);
});

test('a source range that is not a network is left out while each family of the Service has another range [source-ranges-bad]', () => {
  const read = (ranges: readonly string[], more: object = {}): ReturnType<typeof decodeObject> =>
    decodeObject(service({ type: 'LoadBalancer', loadBalancerSourceRanges: ranges, ...more }));
  const one = read(['10.0.0.0/8', '10.0.0.0/33', 'nonsense']);
  assert.ok(one.type === 'object' && one.object.kind === 'Service');
  assert.deepEqual(one.object.value.sourceRanges, [{ address: '10.0.0.0', length: 8 }]);
  assert.deepEqual(one.warnings, [
    'Service shop/cart: spec.loadBalancerSourceRanges[1] is "10.0.0.0/33", not a network, and is left out',
    'Service shop/cart: spec.loadBalancerSourceRanges[2] is "nonsense", not a network, and is left out',
  ]);
  const dual = { clusterIPs: ['172.30.0.41', 'fd00::41'], clusterIP: '172.30.0.41' };
  assert.equal(read(['10.0.0.0/8', 'fd00::/129'], dual).type, 'invalid');
  assert.equal(read(['10.0.0.0/8', 'fd00::/129', 'fd00::/8'], dual).type, 'object');
  assert.equal(read(['nonsense']).type, 'invalid');
});

test('addresses of old clusters with leading zeros are decimal, as in kube-proxy (TestBadIPs)', () => {
  const old = {
    type: 'LoadBalancer',
    clusterIP: '172.30.0.041',
    externalIPs: ['192.168.099.022'],
    loadBalancerSourceRanges: ['203.0.113.000/025'],
  };
  const read = decodedAs<Service>(service(old, { status: { loadBalancer: { ingress: [{ ip: '1.2.3.004' }] } } }));
  assert.deepEqual([read.clusterIPs, read.externalIPs, read.loadBalancerIPs], [['172.30.0.41'], ['192.168.99.22'], ['1.2.3.4']]);
  assert.deepEqual(read.sourceRanges, [{ address: '203.0.113.0', length: 25 }]);
  const endpoints = [{ addresses: ['10.180.00.001'] }];
  assert.equal(decodedAs<EndpointSlice>(slice({ endpoints })).endpoints[0]?.address, '10.180.0.1');
});

test('blank external addresses are ignored', () => {
  assert.deepEqual(decodedAs<Service>(service({ externalIPs: ['', '198.51.100.7'] })).externalIPs, ['198.51.100.7']);
});

const labelled = (label: string): object => ({ metadata: { name: 'cart', namespace: 'shop', labels: { [label]: '' } } });
const unproxied: readonly (readonly [string, object])[] = [
  ['of type ExternalName', service({ type: 'ExternalName', externalName: 'a.example', clusterIP: null, ports: null })],
  ['of type ExternalName with a ClusterIP by mistake', service({ type: 'ExternalName' })],
  ['that is headless', service({ clusterIP: 'None', clusterIPs: ['None'] })],
  ['that is headless without ports', service({ clusterIP: 'None', ports: [] })],
  ['with the headless label and a ClusterIP', service({}, labelled('service.kubernetes.io/headless'))],
  ["with another proxy's name", service({}, labelled('service.kubernetes.io/service-proxy-name'))],
];
for (const [what, document] of unproxied) {
  test(`a Service ${what} decodes and is not proxied`, () => assert.equal(decodedAs<Service>(document).proxied, false));
}

test('a Service without a ClusterIP is not proxied and adds a warning', () => {
  const decoded = decodeObject(service({ clusterIP: null }));
  assert.ok(decoded.type === 'object' && decoded.object.kind === 'Service');
  assert.equal(decoded.object.value.proxied, false);
  assert.deepEqual(decoded.warnings, [
    'Service shop/cart: spec.clusterIP is missing, so there is nothing to proxy; the API server would assign one',
  ]);
});

const ignored: readonly (readonly [object, string])[] = [
  [
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'shop' } },
    'Pod shop/p is ignored: weir reads Services, EndpointSlices, Nodes and ServiceCIDRs',
  ],
  [{ apiVersion: 'apps/v1', kind: 'Deployment' }, 'Deployment is ignored: weir reads Services, EndpointSlices, Nodes and ServiceCIDRs'],
  [{ apiVersion: 'v1', kind: 'constructor' }, 'constructor is ignored: weir reads Services, EndpointSlices, Nodes and ServiceCIDRs'],
  [
    { ...slice({}), apiVersion: 'discovery.k8s.io/v1beta1' },
    'EndpointSlice shop/cart-x7k2p is ignored: its apiVersion is "discovery.k8s.io/v1beta1", weir reads discovery.k8s.io/v1',
  ],
  [
    { ...service({}), apiVersion: 'serving.knative.dev/v1' },
    'Service shop/cart is ignored: its apiVersion is "serving.knative.dev/v1", weir reads v1',
  ],
  [slice({ addressType: 'FQDN' }), 'EndpointSlice shop/cart-x7k2p is ignored: its addressType is FQDN, weir reads IPv4 and IPv6'],
];
for (const [document, reason] of ignored) {
  test(`not read: ${reason}`, () => {
    const decoded: Decoded = decodeObject(document);
    assert.ok(decoded.type === 'ignored');
    assert.equal(decoded.reason, reason);
  });
}

test('lists of all kinds are flattened; items without a kind get the kind of their list', () => {
  const document = {
    kind: 'List',
    items: [
      { kind: 'Pod' },
      { kind: 'ServiceList', apiVersion: 'v1', items: [{ metadata: { name: 'a' } }] },
      { kind: 'NodeList', items: null },
    ],
  };
  assert.deepEqual([...flattenLists(document)], [{ kind: 'Pod' }, { metadata: { name: 'a' }, kind: 'Service', apiVersion: 'v1' }]);
});

test('an empty document has no objects; a document that is not a list is its own object', () => {
  assert.deepEqual([...flattenLists(null)], []);
  assert.deepEqual([...flattenLists(undefined)], []);
  assert.deepEqual([...flattenLists('text')], ['text']);
  assert.deepEqual([...flattenLists({ kind: 'AllowList' })], [{ kind: 'AllowList' }]);
});
