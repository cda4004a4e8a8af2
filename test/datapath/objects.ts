/** Kubernetes objects of small clusters for the datapath's tests: nodes n1, n2 ..., pods `t/pN`, addresses by one plan. */

export interface PodSpec {
  /** `p1`: its addresses end in this number. */
  readonly name: string;
  readonly node: string;
  /** In its node's namespace, under its node's addresses. */
  readonly hostNetwork?: boolean;
}

type Protocol = 'TCP' | 'UDP' | 'SCTP';

export type Family = 4 | 6;

export const FAMILIES: readonly Family[] = [4, 6];

/** Ranges of ClusterIPs. */
export const SERVICE_CIDRS = '10.96.0.0/16,fd00:96::/112';

/** ClusterIP number `n` of a family. */
export const clusterIP = (n: number, family: Family = 4): string => (family === 4 ? `10.96.0.${n}` : `fd00:96::${n}`);

/** LoadBalancer or external address number `n` of a family. */
export const outerIP = (n: number, family: Family = 4): string => (family === 4 ? `198.51.100.${n}` : `2001:db8:e::${n}`);

/** Node n1 is 192.0.2.11 and fd00:2::11. */
export const nodeAddress = (node: string, family: Family = 4): string =>
  `${family === 4 ? '192.0.2.' : 'fd00:2::'}${10 + Number(node.slice(1))}`;

/** Pod p7 on n2 is 10.244.2.7 and fd00:244:0:2::7. */
export const podAddress = ({ name, node, hostNetwork }: PodSpec, family: Family = 4): string =>
  hostNetwork
    ? nodeAddress(node, family)
    : `${family === 4 ? `10.244.${node.slice(1)}.` : `fd00:244:0:${node.slice(1)}::`}${name.slice(1)}`;

export const node = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  status: { addresses: ([4, 6] as const).map((family) => ({ type: 'InternalIP', address: nodeAddress(name, family) })) },
});

export interface ServiceSpec {
  readonly name: string;
  readonly clusterIPs: readonly string[];
  /** Named like the slices' ports. */
  readonly ports: readonly { name: string; protocol: Protocol; port: number; nodePort?: number }[];
  /** Rest of `spec`. */
  readonly spec?: object;
  readonly status?: object;
}

export const service = ({ name, clusterIPs, ports, spec, status }: ServiceSpec): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 't' },
  spec: { type: ports.some((port) => port.nodePort) ? 'NodePort' : 'ClusterIP', clusterIP: clusterIPs[0], clusterIPs, ports, ...spec },
  status,
});

/** Every pod listens on these. */
export const POD_PORTS = [
  { name: 'tcp', protocol: 'TCP', port: 8080 },
  { name: 'udp', protocol: 'UDP', port: 8081 },
] as const;

type Conditions = Readonly<Partial<Record<'ready' | 'serving' | 'terminating', boolean>>>;

export interface SliceSpec {
  /** Service that it belongs to, and the slice's own name with the family behind it. */
  readonly of: string;
  readonly pods: readonly (PodSpec & { readonly conditions?: Conditions })[];
  readonly family?: Family;
  /** Instead of POD_PORTS. */
  readonly ports?: readonly { readonly name: string; readonly protocol: Protocol; readonly port: number }[];
}

/** Slices of both families. */
export const slices = (spec: Omit<SliceSpec, 'family'>): object[] => FAMILIES.map((family) => slice({ ...spec, family }));

export const slice = ({ of, pods, family = 4, ports = POD_PORTS }: SliceSpec): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${of}-${family}`, namespace: 't', labels: { 'kubernetes.io/service-name': of } },
  addressType: `IPv${family}`,
  endpoints: pods.map((pod) => ({
    addresses: [podAddress(pod, family)],
    conditions: pod.conditions ?? { ready: true },
    nodeName: pod.node,
    targetRef: { kind: 'Pod', namespace: 't', name: pod.name },
  })),
  ports,
});

/** Pods that serve in most tests: p1 and p3 on n1, p2 and p4 on n2. */
export const SERVERS = [1, 2, 3, 4].map((n) => ({ name: `p${n}`, node: n % 2 ? 'n1' : 'n2' })) as [PodSpec, PodSpec, PodSpec, PodSpec];

/** The first two by their place as n1 sees it. */
export const [HERE, AWAY] = SERVERS;

/** A pod on n1 that asks. */
export const CLIENT: PodSpec = { name: 'p9', node: 'n1' };

/** A headless Service over every pod, so that the lab builds them whatever the other slices say. */
export const parked = (pods: readonly PodSpec[]): object[] => [
  { ...service({ name: 'parked', clusterIPs: ['None'], ports: [{ name: 'tcp', protocol: 'TCP', port: 8080 }] }) },
  ...slices({ of: 'parked', pods }),
];

/** NodePort of Service number `n`, on TCP and UDP alike. */
export const nodePort = (n: number): number => 30_000 + n;

/** What number `n` has of everything: ClusterIPs, TCP and UDP on port 80, NodePorts of one number. Rest as in ServiceSpec. */
export const numbered = (
  name: string,
  n: number,
  { families = FAMILIES, ...more }: { families?: readonly Family[]; spec?: object; status?: object } = {},
): object =>
  service({
    name,
    clusterIPs: families.map((family) => clusterIP(n, family)),
    ports: (['TCP', 'UDP'] as const).map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: 80, nodePort: nodePort(n) })),
    ...more,
  });

/** Rest of a LoadBalancer Service whose ingress addresses have this number. */
export const balanced = (n: number, spec: object = {}): { spec: object; status: object } => ({
  spec: { type: 'LoadBalancer', ...spec },
  status: { loadBalancer: { ingress: FAMILIES.map((family) => ({ ip: outerIP(n, family) })) } },
});
