/** Names, addresses and labels of the cluster: pure. */
/** Address ranges of pods and Services; the control plane sets the ranges of Services. */
export const POD_RANGES: readonly string[] = ['10.244.0.0/16', 'fd00:244::/48'];
export const DNS_ADDRESS = '10.96.0.10';

const ZONES = 3;

/** A node with a kubelet. */
export interface KubeletNode {
  readonly name: string;
  /** IPv4, IPv6. */
  readonly addresses: readonly [string, string];
  readonly podRanges: readonly [string, string];
  readonly zone: string;
}

/** The nodes of a cluster, n1 and so on, by the plan of addresses of `test/datapath/objects.ts`: with six of them, each of the three zones has two, which the Traffic Distribution tests ask for. */
export const planNodes = (count: number): KubeletNode[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `n${i + 1}`,
    addresses: [`192.0.2.${i + 11}`, `fd00:2::${i + 11}`],
    podRanges: [`10.244.${i + 1}.0/24`, `fd00:244:0:${i + 1}::/64`],
    zone: `zone-${(i % ZONES) + 1}`,
  }));

/** The Node object that its kubelet then takes over. */
export const nodeObject = ({ name, addresses, podRanges, zone }: KubeletNode) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'topology.kubernetes.io/zone': zone, 'topology.kubernetes.io/region': 'region-1' } },
  spec: { podCIDR: podRanges[0], podCIDRs: podRanges },
  status: { addresses: [{ type: 'Hostname', address: name }, ...addresses.map((address) => ({ type: 'InternalIP', address }))] },
});

/** ip(8) batch lines that lead to the pods of nodes. */
export const podRoutes = (nodes: readonly KubeletNode[]): string =>
  nodes.flatMap(({ addresses, podRanges }) => podRanges.map((range, family) => `route add ${range} via ${addresses[family]}\n`)).join('');
