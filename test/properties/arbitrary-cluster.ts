import fc from 'fast-check';

/*
 * Small clusters in the format of scenario files (test/semantics/read-scenario.ts), dense in the cases of the rules:
 * Services with common addresses, endpoints in every condition, nodes with and without zones, all local detectors.
 */

/** A scenario without its questions. */
export interface DrawnCluster {
  /** If absent, each address has its twin of the other family. */
  readonly families?: readonly number[];
  readonly agent: readonly string[];
  readonly nodes: Readonly<Record<string, DrawnNode>>;
  readonly services: Readonly<Record<string, DrawnService>>;
  readonly slices: Readonly<Record<string, object>>;
}

export interface DrawnNode {
  readonly zone?: string;
  readonly addresses: readonly string[];
}

export interface DrawnService {
  readonly labels?: object;
  readonly created?: string;
  readonly spec: {
    readonly type: string;
    readonly clusterIP?: string;
    readonly externalIPs?: readonly string[];
    readonly ports?: readonly DrawnPort[];
  };
  readonly status?: { readonly loadBalancer: { readonly ingress: readonly { readonly ip: string }[] } };
  readonly endpoints?: readonly unknown[];
}

interface DrawnPort {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly targetPort: number;
  readonly nodePort?: number;
}

const SERVICE_NAMES = ['api', 'dns', 'web'] as const;
const OUTER_IPS = ['1.2.3.4', '5.6.7.8', '192.168.99.11', '192.168.0.2'];

const PORTS: readonly DrawnPort[] = [
  { name: 'http', protocol: 'TCP', port: 80, targetPort: 8080, nodePort: 30080 },
  { name: 'udp', protocol: 'UDP', port: 80, targetPort: 8081, nodePort: 30080 },
  { name: 'alt', protocol: 'TCP', port: 30080, targetPort: 8082, nodePort: 30081 },
  { name: 'sctp', protocol: 'SCTP', port: 80, targetPort: 8083, nodePort: 30080 },
];

/** Only fields with a drawn value. */
const present = <T extends object>(fields: T): T =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;

const rarely = <T>(value: T): fc.Arbitrary<T | undefined> =>
  fc.constantFrom<T | undefined>(undefined, undefined, undefined, undefined, undefined, value);
const policy = fc.constantFrom(undefined, 'Cluster', 'Local');

const words = fc.constantFrom('', '', '', 'unready', 'terminating', 'gone');
const hints = fc.constantFrom('', '', '', 'zone=a', 'zone=b', 'zone=a zone=b', 'node=n1', 'node=n2', 'zone=b node=n1');
const place = fc.constantFrom('a1', 'a2', 'b1', 'b2', 'n1', 'n2');
const writtenEndpoint = fc.tuple(place, words, hints).map((parts) => parts.filter((part) => part !== '').join(' '));

/** An endpoint of a manual slice: without a node, or with absent conditions. */
const endpointObject = fc
  .record({
    ip: fc.constantFrom('10.180.0.1', '10.180.1.1', '10.180.0.2'),
    nodeName: fc.constantFrom(undefined, 'n1', 'n2'),
    conditions: fc.constantFrom<object | undefined>(
      undefined,
      {},
      { ready: null, serving: null },
      { ready: true, serving: true, terminating: true },
      { ready: false, terminating: true },
    ),
  })
  .map(({ ip, nodeName, conditions }) => present({ addresses: [ip], nodeName, conditions }));

const endpoints = fc.array(fc.oneof({ weight: 4, arbitrary: writtenEndpoint }, { weight: 1, arbitrary: endpointObject }), { maxLength: 4 });
const ports = fc.subarray([...PORTS], { minLength: 1 });

interface ServiceDraw {
  readonly type: string;
  readonly ports: readonly DrawnPort[];
  readonly headless: true | undefined;
  readonly nodePorts: boolean;
  readonly externalIPs: readonly string[];
  readonly ranges: readonly string[];
  readonly internal: string | undefined;
  readonly external: string | undefined;
  readonly affinity: string | undefined;
}

/** Keeps the fields that the API server accepts in a Service of this type. */
function specOf(clusterIP: string, draw: ServiceDraw): DrawnService['spec'] {
  const { type, internal: internalTrafficPolicy, affinity: sessionAffinity } = draw;
  if (type === 'ExternalName') return { type, externalName: 'elsewhere.example' } as DrawnService['spec'];
  const isOuter = type !== 'ClusterIP';
  return present({
    type,
    clusterIP: draw.headless && !isOuter ? 'None' : clusterIP,
    ports: draw.ports.map(({ nodePort, ...port }) => (isOuter && draw.nodePorts ? { ...port, nodePort } : port)) as readonly DrawnPort[],
    externalIPs: draw.externalIPs.length > 0 ? draw.externalIPs : undefined,
    internalTrafficPolicy,
    externalTrafficPolicy: isOuter || draw.externalIPs.length > 0 ? draw.external : undefined,
    loadBalancerSourceRanges: type === 'LoadBalancer' && draw.ranges.length > 0 ? draw.ranges : undefined,
    sessionAffinity,
  }) as DrawnService['spec'];
}

const drawnService = (fields: object): DrawnService => present(fields) as DrawnService;

const service = (clusterIP: string): fc.Arbitrary<DrawnService> =>
  fc
    .record({
      type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'LoadBalancer', 'LoadBalancer', 'ExternalName'),
      labels: fc.oneof(rarely({ 'service.kubernetes.io/headless': '' }), rarely({ 'service.kubernetes.io/service-proxy-name': 'other' })),
      created: fc.constantFrom(undefined, '2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'),
      ports,
      headless: rarely<true>(true),
      nodePorts: fc.boolean(),
      externalIPs: fc.subarray(OUTER_IPS, { maxLength: 2 }),
      ingress: fc.subarray(OUTER_IPS, { maxLength: 2 }),
      ipMode: fc.constantFrom(undefined, 'VIP', 'Proxy'),
      ranges: fc.subarray([' 203.0.113.0/25', '192.168.0.0/24', '10.180.0.0/24', '0.0.0.0/0 ', '::/1'], { maxLength: 2 }),
      internal: policy,
      external: policy,
      affinity: rarely('ClientIP'),
      endpoints: fc.option(endpoints, { nil: undefined }),
    })
    .map(({ labels, created, ingress, ipMode, endpoints: listed, ...draw }) =>
      drawnService({
        labels,
        created,
        spec: specOf(clusterIP, draw),
        status:
          draw.type === 'LoadBalancer' && ingress.length > 0
            ? { loadBalancer: { ingress: ingress.map((ip) => present({ ip, ipMode })) } }
            : undefined,
        endpoints: draw.type === 'ExternalName' ? undefined : listed,
      }),
    );

const slice = fc
  .record({
    service: fc.constantFrom(...SERVICE_NAMES),
    ports,
    shift: fc.constantFrom(0, 1000),
    left: fc.oneof(rarely('headless'), rarely('service-proxy-name')),
    endpoints,
  })
  .map(({ service: owner, ports: served, shift, left, endpoints: listed }) =>
    present({
      service: owner,
      labels: left === undefined ? undefined : { [`service.kubernetes.io/${left}`]: '' },
      ports: served.map(({ name, protocol, targetPort }) => ({ name, protocol, port: targetPort + shift })),
      endpoints: listed,
    }),
  );

const node = (first: string, second: string): fc.Arbitrary<DrawnNode> =>
  fc
    .record({ zone: fc.constantFrom(undefined, 'a', 'b'), more: fc.boolean() })
    .map(({ zone, more }) => present({ zone, addresses: more ? [first, second] : [first] }) as DrawnNode);

const DETECTORS: readonly (readonly string[])[] = [
  ['--cluster-cidr=10.0.0.0/8'],
  ['--cluster-cidr='],
  ['--cluster-cidr=10.180.0.0/16'],
  ['--cluster-cidr=::/0'],
  ['--cluster-cidr=0.0.0.0/0'],
  ['--detect-local-mode=NodeCIDR'],
  ['--detect-local-mode=BridgeInterface', '--pod-bridge-interface=cni0'],
  ['--detect-local-mode=InterfaceNamePrefix', '--pod-interface-name-prefix=veth'],
];

const agent = fc
  .tuple(
    fc.constantFrom(...DETECTORS),
    fc.constantFrom('', '', '--masquerade-all=true'),
    fc.constantFrom(
      '',
      '',
      '--nodeport-addresses=192.168.0.0/16',
      '--nodeport-addresses=192.168.1.0/24',
      '--nodeport-addresses=192.168.0.0/24,127.0.0.0/8',
    ),
    fc.constantFrom('', '', '--iptables-localhost-nodeports=false'),
  )
  .map((flags) => flags.flat().filter((flag) => flag !== ''));

const dualStack: fc.Arbitrary<DrawnCluster> = fc.record({
  agent,
  nodes: fc.record({ n1: node('192.168.0.2', '192.168.1.2'), n2: node('192.168.0.3', '192.168.1.3') }),
  services: fc.record({ web: service('172.30.0.41'), api: service('172.30.0.42'), dns: service('172.30.0.41') }, { requiredKeys: ['web'] }),
  slices: fc.record({ 'by-hand': slice, other: slice }, { requiredKeys: [] }),
}) as fc.Arbitrary<DrawnCluster>;

const six = (ip: string): string => `fd00::${ip.trim()}`;
const both = (ips: readonly string[] = []): readonly string[] => [...ips, ...ips.map(six)];

/** Single-family objects without twins: a ClusterIP of one family, other addresses of both. */
function inOneFamily({ spec, status, ...rest }: DrawnService, isSix: boolean): DrawnService {
  const ingress = status?.loadBalancer.ingress ?? [];
  return drawnService({
    ...rest,
    spec: present({
      ...spec,
      clusterIP: isSix && spec.clusterIP?.startsWith('172.') ? six(spec.clusterIP) : spec.clusterIP,
      externalIPs: spec.externalIPs && both(spec.externalIPs),
    }),
    status: status && { loadBalancer: { ingress: [...ingress, ...ingress.map((one) => ({ ...one, ip: six(one.ip) }))] } },
  });
}

/** Endpoints of the other family for random Services. */
const sliceOfSix = fc.record({ service: fc.constantFrom(...SERVICE_NAMES), ports }).map(({ service: owner, ports: served }) => ({
  service: owner,
  addressType: 'IPv6',
  ports: served.map(({ name, protocol, targetPort }) => ({ name, protocol, port: targetPort })),
  endpoints: [{ addresses: [six('10.180.0.1')], nodeName: 'n1' }, { addresses: [six('10.180.1.1')] }],
}));

const mixed: fc.Arbitrary<DrawnCluster> = fc
  .record({ drawn: dualStack, isSix: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }), slice: sliceOfSix })
  .map(({ drawn, isSix, slice: more }) => ({
    ...drawn,
    families: [4],
    services: Object.fromEntries(Object.entries(drawn.services).map(([name, one], i) => [name, inOneFamily(one, isSix[i] === true)])),
    slices: { ...drawn.slices, six: more },
  }));

/** A cluster of nodes n1 and n2 and up to three Services, some with manual slices. */
export const cluster: fc.Arbitrary<DrawnCluster> = fc.oneof({ weight: 3, arbitrary: dualStack }, { weight: 1, arbitrary: mixed });
