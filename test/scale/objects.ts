/** Kubernetes objects of clusters as large as wished: Services `s/NUMBER`, each with a ClusterIP on port 80 and one slice. */

const octets = (base: number, n: number): string => `${10}.${base + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;

/** Holds every ClusterIP. */
export const SERVICE_CIDR = '10.192.0.0/12';

/** ClusterIP of Service `n`. */
export const clusterIP = (n: number): string => octets(192, n + 1);

export const serviceName = (n: number): string => `s/${n}`;

/** An address without a host: endpoint `e` of Service `n`, of which each may have 16. */
export const unusedAddress = (n: number, e: number): string => octets(16, n * 16 + e);

/** A real pod's name and address; it listens on port 8080. */
export interface Pod {
  readonly name: string;
  readonly address: string;
}

/** Pods of node n1 by number, from 1. */
export const pods = (count: number): Pod[] =>
  Array.from({ length: count }, (_, i) => ({ name: `p${i + 1}`, address: `10.244.1.${i + 1}` }));

export const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'n1' },
  status: { addresses: [{ type: 'InternalIP', address: '192.0.2.11' }] },
};

const service = (name: string, ip: string): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 's', labels: { app: name } },
  spec: { type: 'ClusterIP', clusterIP: ip, clusterIPs: [ip], ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }] },
});

const slice = (of: string, endpoints: readonly Pod[]): object => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: `${of}-x7k2p`, namespace: 's', labels: { 'kubernetes.io/service-name': of } },
  addressType: 'IPv4',
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  endpoints: endpoints.map(({ name, address }) => ({
    addresses: [address],
    conditions: { ready: true, serving: true, terminating: false },
    nodeName: 'n1',
    targetRef: { kind: 'Pod', namespace: 's', name },
  })),
});

/** Service `n` with these endpoints, or with `endpoints` ones without a host. */
export function numbered(n: number, endpoints: number | readonly Pod[]): object[] {
  const listed =
    typeof endpoints === 'number'
      ? Array.from({ length: endpoints }, (_, e) => ({ name: `${n}-7d9c6b5f4d-${e}`, address: unusedAddress(n, e) }))
      : endpoints;
  return [service(`${n}`, clusterIP(n)), slice(`${n}`, listed)];
}

/** Services 0 to `count` - 1, of which `real` have those pods. */
export function cluster(count: number, endpoints: number, real: ReadonlyMap<number, readonly Pod[]> = new Map()): object[] {
  return Array.from({ length: count }, (_, n) => numbered(n, real.get(n) ?? endpoints)).flat();
}

/** A Service without ClusterIP over real pods, so that the lab builds them. */
export const parked = (real: readonly Pod[]): object[] => [
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'parked', namespace: 's' }, spec: { clusterIP: 'None', clusterIPs: ['None'] } },
  slice('parked', real),
];
