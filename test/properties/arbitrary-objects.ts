import fc from 'fast-check';
import type { Family } from '#lib/address.ts';

/*
 * Valid Kubernetes objects as the API prints them, few enough of each kind to collide: Services that claim the same addresses and
 * ports, slices that move to another Service, endpoints in two slices.
 */

/** An object in the form of a manifest. */
export type KubernetesObject = Readonly<Record<string, unknown>> & { readonly kind: string };

/** The IPv6 twin of an IPv4 address. */
const twin = (text: string): string => `fd00::${text}`;
const inFamily = (text: string, family: Family): string => (family === 4 ? text : twin(text));
const inFamilies = (texts: readonly string[], families: readonly Family[]): string[] =>
  families.flatMap((family) => texts.map((text) => inFamily(text, family)));

export const SERVICE_NAMES = ['one', 'two', 'three', 'four'];
export const SLICE_NAMES = ['one-a', 'one-b', 'two-a', 'three-a', 'four-a'];
export const NODE_NAMES = ['n1', 'n2'];

const CLUSTER_IPS = ['172.30.0.1', '172.30.0.2', '172.30.0.3'];
const OUTER_IPS = ['1.2.3.4', '5.6.7.8', '192.168.0.2'];
const POD_IPS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.1.1', '10.0.1.2'];

/** Number, protocol and NodePorts of the port names that Services and slices use. */
const PORTS = {
  http: { port: 80, protocol: 'TCP', nodePorts: [30080, 30081] },
  https: { port: 443, protocol: 'TCP', nodePorts: [30443] },
  dns: { port: 53, protocol: 'UDP', nodePorts: [30053] },
  'dns-tcp': { port: 53, protocol: 'TCP', nodePorts: [30053] },
  sig: { port: 80, protocol: 'SCTP', nodePorts: [30080] },
} as const;

const families = fc.constantFrom<readonly Family[]>([4], [4, 6], [6]);
const policy = fc.constantFrom('Cluster', 'Cluster', 'Local');
const portNames = fc.subarray(Object.keys(PORTS) as (keyof typeof PORTS)[], { minLength: 1, maxLength: 3 });

const servicePorts = fc.tuple(portNames, fc.nat(), fc.boolean()).map(([names, pick, withNodePorts]) =>
  names.map((name) => {
    const { port, protocol, nodePorts } = PORTS[name];
    return { name, port, protocol, ...(withNodePorts ? { nodePort: nodePorts[pick % nodePorts.length] } : {}) };
  }),
);

const serviceLabels = fc.constantFrom(
  {},
  {},
  {},
  {},
  {},
  {},
  { 'service.kubernetes.io/headless': '' },
  { 'service.kubernetes.io/service-proxy-name': 'other' },
);

/** A Service of any kind. Its age decides between Services that claim one address. */
const service = fc
  .record({
    name: fc.constantFrom(...SERVICE_NAMES),
    labels: serviceLabels,
    created: fc.constantFrom('2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z', undefined),
    type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'LoadBalancer', 'ExternalName'),
    families,
    clusterIP: fc.constantFrom(...CLUSTER_IPS),
    headless: fc.constantFrom(false, false, true),
    ports: servicePorts,
    externalIPs: fc.subarray(OUTER_IPS, { maxLength: 2 }),
    ingress: fc.subarray(OUTER_IPS, { maxLength: 2 }),
    ipMode: fc.constantFrom('VIP', 'VIP', 'VIP', 'Proxy'),
    ranges: fc.subarray(['192.168.0.0/24', '203.0.113.0/25', 'fd00::203.0.113.0/121', '10.0.0.0/8'], { maxLength: 2 }),
    internal: policy,
    external: policy,
    affinity: fc.constantFrom(0, 0, 60, 10800),
  })
  .map(
    (drawn): KubernetesObject => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        namespace: 't',
        name: drawn.name,
        labels: drawn.labels,
        ...(drawn.created === undefined ? {} : { creationTimestamp: drawn.created }),
      },
      spec: serviceSpec(drawn),
      ...(drawn.type === 'LoadBalancer' && drawn.ingress.length > 0
        ? { status: { loadBalancer: { ingress: inFamilies(drawn.ingress, drawn.families).map((ip) => ({ ip, ipMode: drawn.ipMode })) } } }
        : {}),
    }),
  );

interface DrawnService {
  readonly type: string;
  readonly families: readonly Family[];
  readonly clusterIP: string;
  readonly headless: boolean;
  readonly ports: readonly { readonly name: string; readonly nodePort?: number | undefined }[];
  readonly externalIPs: readonly string[];
  readonly ranges: readonly string[];
  readonly internal: string;
  readonly external: string;
  readonly affinity: number;
}

function serviceSpec({ type, ports, ...drawn }: DrawnService): object {
  if (type === 'ExternalName') return { type, externalName: 'elsewhere.example' };
  const isHeadless = type === 'ClusterIP' && drawn.headless;
  const clusterIPs = isHeadless ? ['None'] : inFamilies([drawn.clusterIP], drawn.families);
  return {
    type,
    clusterIP: clusterIPs[0],
    clusterIPs,
    ports: type === 'ClusterIP' ? ports.map(({ nodePort, ...port }) => port) : ports,
    ...(drawn.externalIPs.length > 0 ? { externalIPs: inFamilies(drawn.externalIPs, drawn.families) } : {}),
    ...(type === 'LoadBalancer' && drawn.ranges.length > 0 ? { loadBalancerSourceRanges: drawn.ranges } : {}),
    ...(drawn.internal === 'Local' ? { internalTrafficPolicy: 'Local' } : {}),
    ...(drawn.external === 'Local' && (type !== 'ClusterIP' || drawn.externalIPs.length > 0) ? { externalTrafficPolicy: 'Local' } : {}),
    ...(drawn.external === 'Local' && type === 'LoadBalancer' ? { healthCheckNodePort: 32000 } : {}),
    ...(drawn.affinity > 0 ? { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: drawn.affinity } } } : {}),
  };
}

const CONDITIONS = {
  ready: { ready: true },
  silent: {},
  unready: { ready: false, serving: false },
  terminating: { ready: false, serving: true, terminating: true },
  gone: { ready: false, serving: false, terminating: true },
} as const;

const hints = fc.constantFrom(
  undefined,
  undefined,
  undefined,
  { forZones: [{ name: 'a' }] },
  { forZones: [{ name: 'b' }] },
  { forNodes: [{ name: 'n1' }], forZones: [{ name: 'a' }] },
  { forNodes: [{ name: 'n2' }], forZones: [{ name: 'a' }] },
);

const endpoint = fc.record({
  ip: fc.constantFrom(...POD_IPS),
  conditions: fc.constantFrom(...(Object.keys(CONDITIONS) as (keyof typeof CONDITIONS)[])),
  node: fc.constantFrom('n1', 'n2', undefined),
  hints,
});

const slice = fc
  .record({
    name: fc.constantFrom(...SLICE_NAMES),
    service: fc.constantFrom(...SERVICE_NAMES, undefined),
    left: fc.constantFrom(undefined, undefined, undefined, undefined, 'headless', 'service-proxy-name'),
    family: fc.constantFrom<Family>(4, 4, 6),
    ports: fc.tuple(portNames, fc.constantFrom(8080, 8080, 9090)),
    endpoints: fc.uniqueArray(endpoint, { selector: ({ ip }) => ip, maxLength: 4 }),
  })
  .map(
    ({ name, service: owner, left, family, ports: [names, port], endpoints }): KubernetesObject => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace: 't',
        name,
        labels: {
          ...(owner === undefined ? {} : { 'kubernetes.io/service-name': owner }),
          ...(left === undefined ? {} : { [`service.kubernetes.io/${left}`]: '' }),
        },
      },
      addressType: family === 4 ? 'IPv4' : 'IPv6',
      ports: names.map((portName) => ({ name: portName, protocol: PORTS[portName].protocol, port })),
      endpoints: endpoints.map(({ ip, conditions, node: nodeName, hints: given }) => ({
        addresses: [inFamily(ip, family)],
        conditions: CONDITIONS[conditions],
        ...(nodeName === undefined ? {} : { nodeName }),
        ...(given === undefined ? {} : { hints: given }),
      })),
    }),
  );

const node = fc
  .record({
    name: fc.constantFrom('n1', 'n1', 'n1', 'n2'),
    zone: fc.constantFrom('a', 'b', undefined),
    addresses: fc.subarray(['192.168.0.2', twin('192.168.0.2'), '203.0.113.77']),
    podCIDRs: fc.subarray(['10.0.0.0/24', 'fd00::10.0.0.0/120']),
  })
  .map(
    ({ name, zone, addresses, podCIDRs }): KubernetesObject => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels: zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone } },
      spec: { podCIDRs },
      status: { addresses: addresses.map((text) => ({ type: 'InternalIP', address: text })) },
    }),
  );

/** An object of any of the three kinds. */
export const kubernetesObject: fc.Arbitrary<KubernetesObject> = fc.oneof(
  { weight: 5, arbitrary: service },
  { weight: 6, arbitrary: slice },
  { weight: 1, arbitrary: node },
);
