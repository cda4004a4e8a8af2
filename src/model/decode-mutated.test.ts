/** A valid object after mutations such as editors and templates make: it decodes completely, or an error names the wrong field. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Address, familyOf, parseAddress, parsePrefix } from '#lib/address.ts';
import { scopeOf } from './address-fields.ts';
import { decodeObject } from './decode.ts';
import type { EndpointSlice } from './endpoint-slice.ts';
import type { Service } from './service.ts';

const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'cart', namespace: 'shop', creationTimestamp: '2026-01-31T12:00:00Z', labels: { app: 'cart' } },
  spec: {
    type: 'LoadBalancer',
    clusterIP: '172.30.0.41',
    clusterIPs: ['172.30.0.41', 'fd00:172:30::41'],
    ipFamilies: ['IPv4', 'IPv6'],
    externalIPs: ['198.51.100.7', '2001:db8::7'],
    loadBalancerSourceRanges: ['203.0.113.0/24', '2001:db8::/32'],
    ports: [
      { name: 'http', port: 80, protocol: 'TCP', nodePort: 30080, targetPort: 8080 },
      { name: 'dns', port: 53, protocol: 'UDP', nodePort: 30053 },
    ],
    internalTrafficPolicy: 'Local',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 31051,
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
  },
  status: { loadBalancer: { ingress: [{ ip: '5.6.7.8', ipMode: 'VIP' }, { ip: '2001:db8::8' }] } },
};

const SLICE = {
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'cart-x7k2p', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'cart' } },
  addressType: 'IPv4',
  endpoints: [
    {
      addresses: ['10.180.0.1'],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'n1',
      hints: { forZones: [{ name: 'a' }], forNodes: [{ name: 'n1' }] },
      targetRef: { kind: 'Pod', namespace: 'shop', name: 'cart-0' },
    },
    { addresses: ['10.180.1.1'], nodeName: 'n2' },
  ],
  ports: [
    { name: 'http', port: 8080, protocol: 'TCP' },
    { name: 'dns', port: 8053, protocol: 'UDP' },
  ],
};

const SERVICE_CIDR = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  metadata: { name: 'kubernetes' },
  spec: { cidrs: ['10.96.0.0/16', 'fd00:96::/112'] },
};

const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'a' } },
  spec: { podCIDR: '10.180.0.0/24', podCIDRs: ['10.180.0.0/24', 'fd00:180::/64'] },
  status: {
    addresses: [
      { type: 'InternalIP', address: '192.168.0.2' },
      { type: 'Hostname', address: 'n1' },
    ],
  },
};

type Json = Record<string, unknown> | unknown[];

/** A mutation: an index into the places of a tree, modulo their number, and the change there. */
interface Mutation {
  readonly at: number;
  /** Index of the source of `swap`. */
  readonly from: number;
  readonly act: 'drop' | 'replace' | 'wrap' | 'twin' | 'swap';
  readonly value: unknown;
}

const ODD_VALUES = [null, true, '', ' ', 0, -1, 80.5, 65536, 1e21, Number.NaN, [], {}, [null], [{}], 'x'.repeat(5000), '\n: {'];
const ODD_ADDRESSES = [
  '0.0.0.0',
  '::',
  '127.0.0.1',
  '::1',
  '169.254.1.1',
  'fe80::1',
  '224.0.0.1',
  'ff02::1',
  '::ffff:10.0.0.1',
  '300.1.1.1',
];
const MISPLACED_WORDS = [
  'None',
  'Local',
  'Cluster',
  'ClusterIP',
  'ExternalName',
  'NodePort',
  'SCTP',
  'tcp',
  'IPv6',
  'Proxy',
  '10.0.0.0/33',
  '80',
];

const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat({ max: 1_000_000 }),
  from: fc.nat({ max: 1_000_000 }),
  act: fc.constantFrom('drop', 'replace', 'replace', 'replace', 'wrap', 'twin', 'swap'),
  value: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom<unknown>(...ODD_VALUES) },
    { weight: 3, arbitrary: fc.constantFrom<unknown>(...ODD_ADDRESSES) },
    { weight: 2, arbitrary: fc.constantFrom<unknown>(...MISPLACED_WORDS) },
    { weight: 1, arbitrary: fc.jsonValue() },
  ),
});

/** Every holder and key below a value. */
function placesOf(value: unknown): { holder: Json; key: string | number }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [{ holder: value as Json, key }, ...placesOf(inner)]);
}

function mutate(object: object, mutations: readonly Mutation[]): object {
  const tree = structuredClone(object);
  for (const { at, from, act, value } of mutations) {
    const places = placesOf(tree);
    const place = places[at % places.length];
    if (place === undefined) continue;
    const holder = place.holder as Record<string | number, unknown>;
    const here = holder[place.key];
    const other = places[from % places.length]?.holder as Record<string | number, unknown>;
    if (act === 'drop') Array.isArray(holder) ? holder.splice(Number(place.key), 1) : delete holder[place.key];
    else if (act === 'twin' && Array.isArray(holder)) holder.push(structuredClone(here));
    else if (act === 'wrap') holder[place.key] = [here];
    else if (act === 'swap') holder[place.key] = structuredClone(Object.values(other)[0]);
    else holder[place.key] = structuredClone(value);
  }
  return tree;
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65535;
const isCanonical = (address: Address): boolean => parseAddress(address) === address;
const isUsable = (address: Address): boolean => isCanonical(address) && ['global', 'link-local'].includes(scopeOf(address));
const isRoutable = (address: Address): boolean => isUsable(address) && scopeOf(address) === 'global';
const areUnique = (values: readonly unknown[]): boolean => new Set(values).size === values.length;

function assertService(service: Service): void {
  const { ports, clusterIPs, externalIPs, loadBalancerIPs, sourceRanges, affinitySeconds, healthCheckNodePort } = service;
  assert.match(`${service.namespace}/${service.name}`, /^[a-z0-9-]{1,63}\/[a-z0-9-]{1,63}$/);
  assert.ok(service.createdAt === '' || !Number.isNaN(Date.parse(service.createdAt)));
  for (const { port, nodePort, protocol } of ports) {
    assert.ok(isPort(port) && (nodePort === 0 || isPort(nodePort)) && ['TCP', 'UDP', 'SCTP'].includes(protocol));
  }
  assert.ok(areUnique(ports.map(({ name }) => name)) && areUnique(ports.map(({ port, protocol }) => `${port}/${protocol}`)));
  assert.ok([...clusterIPs, ...loadBalancerIPs].every(isUsable) && externalIPs.every(isRoutable));
  assert.ok(areUnique(clusterIPs.map(familyOf)));
  for (const { address, length } of sourceRanges) assert.deepEqual(parsePrefix(`${address}/${length}`), { address, length });
  assert.ok(Number.isInteger(affinitySeconds) && affinitySeconds >= 0 && affinitySeconds <= 86400);
  assert.ok(healthCheckNodePort === 0 || (isPort(healthCheckNodePort) && service.externalTrafficPolicy === 'Local'));
  assert.ok(!service.proxied || (clusterIPs.length > 0 && ports.length > 0));
}

function assertSlice({ family, endpoints, ports }: EndpointSlice): void {
  for (const { address, nodeName, hintZones, hintNodes, ...rest } of endpoints) {
    assert.ok(isRoutable(address) && familyOf(address) === family);
    assert.ok([nodeName, ...hintZones, ...hintNodes].every((name) => typeof name === 'string'));
    assert.ok([...hintZones, ...hintNodes].every((name) => name !== ''));
    assert.ok([rest.ready, rest.serving, rest.terminating].every((one) => typeof one === 'boolean'));
  }
  assert.ok(ports.every(({ port }) => isPort(port)) && areUnique(ports.map(({ name }) => name)));
}

/** Non-blank entries of a list; the API reads null as the empty string. */
function lengthAt(document: object, ...path: string[]): number {
  const found = path.reduce<unknown>((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], document);
  return Array.isArray(found) ? found.filter((one) => `${one ?? ''}`.trim() !== '').length : 0;
}

/** A warning exists for each entry of the document that the object lacks. */
function assertWhole(document: object, value: Service | EndpointSlice, warnings: readonly string[]): void {
  if (warnings.length > 0) return;
  const { metadata } = document as typeof SERVICE;
  assert.equal('createdAt' in value ? value.createdAt : '', metadata.creationTimestamp ?? '');
  if ('endpoints' in value) {
    assert.deepEqual([value.endpoints.length, value.ports.length], [lengthAt(document, 'endpoints'), lengthAt(document, 'ports')]);
    return;
  }
  assert.equal(value.ports.length, lengthAt(document, 'spec', 'ports'));
  assert.equal(value.externalIPs.length, lengthAt(document, 'spec', 'externalIPs'));
  assert.equal(value.sourceRanges.length, lengthAt(document, 'spec', 'loadBalancerSourceRanges'));
  if (value.proxied) assert.equal(value.clusterIPs.length, Math.max(1, lengthAt(document, 'spec', 'clusterIPs')));
}

const MESSAGE = /^(Document|Object: kind|(Service|EndpointSlice|Node|ServiceCIDR).*: \S+) is .+, must be .+$|^\.\.\. and \d+ more errors$/s;

test('a mutated valid object decodes completely or an error names the wrong field', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(SERVICE, SLICE, NODE, SERVICE_CIDR),
      fc.array(mutation, { minLength: 1, maxLength: 2 }),
      (good, mutations) => {
        const document = mutate(good, mutations);
        const decoded = decodeObject(document);
        if (decoded.type === 'invalid') {
          assert.ok(decoded.errors.length > 0);
          for (const error of decoded.errors) {
            assert.match(error, MESSAGE);
            assert.ok(error.length < 700, error);
          }
        } else if (decoded.type === 'object') {
          const { object, warnings } = decoded;
          if (object.kind === 'Service') assertService(object.value);
          if (object.kind === 'EndpointSlice') assertSlice(object.value);
          if (object.kind === 'Node') assert.ok(object.value.addresses.every(isCanonical));
          else if (object.kind === 'ServiceCIDR') assert.ok(object.value.cidrs.every(({ address }) => isCanonical(address)));
          else assertWhole(document, object.value, warnings);
        }
      },
    ),
    { numRuns: 20_000 },
  );
});

test('the unmutated objects are valid', () => {
  for (const good of [SERVICE, SLICE, NODE, SERVICE_CIDR]) {
    const decoded = decodeObject(good);
    assert.ok(decoded.type === 'object' && decoded.warnings.length === 0, JSON.stringify(decoded));
  }
});
