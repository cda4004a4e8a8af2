/** Names, addresses and labels of the cluster: pure. */
import { type Address, familyOf } from '#lib/address.ts';

/** Name of the lab that the cluster is. */
export const CLUSTER = 'cluster';

/** Ranges that pods and Services get their addresses from; those of Services are the control plane's. */
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

/** The nodes of a cluster: with six of them, each of the three zones has two, which the Traffic Distribution tests ask for. */
export const planNodes = (count: number): KubeletNode[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `node${i + 1}`,
    addresses: [`172.20.0.${i + 11}`, `fd00:172:20::${i + 11}`],
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

/** A host in a URL. */
export const urlHost = (address: Address): string => (familyOf(address) === 6 ? `[${address}]` : address);
