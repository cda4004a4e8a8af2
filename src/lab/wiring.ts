import { type Address, familyOf } from '#lib/address.ts';
import { networkOf } from './network.ts';
import {
  type LabNode,
  type LabPod,
  type Network,
  OUTSIDE,
  OUTSIDE_ADDRESSES,
  outsideNetns,
  primaryAddress,
  STRANGER_ADDRESSES,
  type Topology,
  wireNetns,
} from './topology.ts';

/** What a routed veth's far side takes for its router: no device holds it, a permanent neighbour entry resolves it. */
const ROUTER = { 4: '169.254.1.1', 6: 'fe80::1' } as const;
const ROUTER_MAC = 'ee:ee:ee:ee:ee:ee';
const ALL = { 4: '0.0.0.0/0', 6: '::/0' } as const;
const BRIDGE = 'br0';

/** File that holds a namespace, where `ip netns` keeps it. */
export const netnsPath = (netns: string): string => `/run/netns/${netns}`;

/** Name prefix of a pod's device on its node. */
export const POD_DEVICE_PREFIX = 'veth';

/** The shell script that builds the namespaces of a lab, their devices, addresses and routes. */
export function wiringScript(lab: Topology): string {
  const ownPods = lab.pods.filter((pod) => pod.ownNetns);
  const names = [wireNetns(lab.name), outsideNetns(lab.name), ...lab.nodes.map((n) => n.netns), ...ownPods.map((p) => p.netns)];
  return [
    batch(names.map((name) => `netns add ${name}`)),
    asRouter(wireNetns(lab.name), ['all', 'default'], wireLines(lab)),
    inside(outsideNetns(lab.name), routedLines(outsideAddresses(lab))),
    ...lab.nodes.map((node) => asRouter(node.netns, ['all', 'default', 'eth0'], nodeLines(lab, node))),
    ...ownPods.map((pod) => inside(pod.netns, routedLines(pod.addresses))),
  ].join('');
}

const batch = (lines: readonly string[], command = 'ip'): string => `${command} -batch - <<'BATCH'\n${lines.join('\n')}\nBATCH\n`;

const enter = (netns: string): string => `nsenter --net=${netnsPath(netns)}`;

/** Runs ip commands inside a namespace. */
const inside = (netns: string, lines: readonly string[]): string => batch(['link set lo up', ...lines], `${enter(netns)} ip`);

/** Runs ip commands inside a namespace, after making `devices` forward, believe every source and use addresses at once. */
function asRouter(netns: string, devices: readonly string[], lines: readonly string[]): string {
  const settings = devices.map((device) => `set_device ${device}`).join('\n');
  return `${enter(netns)} sh -e <<'INSIDE'\n${SET_DEVICE}${settings}\n${batch(['link set lo up', ...lines])}INSIDE\n`;
}

const SET_DEVICE = `set_device() {
  echo 0 >/proc/sys/net/ipv4/conf/$1/rp_filter
  echo 0 >/proc/sys/net/ipv4/conf/$1/send_redirects
  echo 1 >/proc/sys/net/ipv4/conf/$1/forwarding
  echo 0 >/proc/sys/net/ipv6/conf/$1/disable_ipv6
  echo 0 >/proc/sys/net/ipv6/conf/$1/accept_dad
  echo 1 >/proc/sys/net/ipv6/conf/$1/forwarding
}
`;

function wireLines(lab: Topology): string[] {
  return [
    `link add ${BRIDGE} type bridge forward_delay 0 mcast_snooping 0`,
    `link set ${BRIDGE} up`,
    ...lab.networks.map(({ prefix, router }) => addAddress(router, prefix.length, BRIDGE)),
    ...lab.nodes.flatMap((node, i) => [
      `link add node${i} type veth peer name eth0 netns ${node.netns}`,
      `link set node${i} master ${BRIDGE} up`,
    ]),
    ...routedVeth(OUTSIDE, 0, outsideNetns(lab.name), outsideAddresses(lab)),
    ...lab.nodes.flatMap((node) => podsOf(lab, node).flatMap((pod) => routesVia(node, pod))),
    ...lab.externals.map(({ address, via }) => `route add ${address} via ${via}`),
  ];
}

function nodeLines(lab: Topology, node: LabNode): string[] {
  const onLink = new Set(node.addresses.map((address) => networkOf(address).address));
  const neighbours = lab.nodes.filter((other) => other !== node);
  return [
    ...inOrderOfPreference(node.addresses).map((address) => addAddress(address, networkOf(address).length, 'eth0')),
    'link set eth0 up',
    ...podsOf(lab, node).flatMap((pod) => routedVeth(podDevice(lab, pod), deviceNumber(lab, pod), pod.netns, pod.addresses)),
    ...defaultRouters(lab, node).flatMap((router) => [
      `route add ${ALL[familyOf(router)]} via ${router}`,
      ...outsideAddresses(lab)
        .filter((address) => familyOf(address) === familyOf(router) && onLink.has(networkOf(address).address))
        .map((address) => `route add ${address} via ${router}`),
    ]),
    ...neighbours.flatMap((other) =>
      podsOf(lab, other).flatMap((pod) => routesVia(other, pod, (via) => onLink.has(networkOf(via).address))),
    ),
  ];
}

/** The near side of a point-to-point link: one route and one permanent neighbour for each address behind it. */
function routedVeth(device: string, number: number, peerNetns: string, addresses: readonly Address[]): string[] {
  return [
    `link add ${device} address ${ROUTER_MAC} type veth peer name eth0 address ${mac(number)} netns ${peerNetns}`,
    `link set ${device} up`,
    ...addresses.flatMap((address) => [
      `route add ${address} dev ${device}`,
      `neigh add ${address} lladdr ${mac(number)} dev ${device} nud permanent`,
    ]),
  ];
}

/** The far side: its addresses, and everything else by way of the near side, from the first address of each family. */
function routedLines(addresses: readonly Address[]): string[] {
  const sources = ([4, 6] as const).flatMap((family) => addresses.find((address) => familyOf(address) === family) ?? []);
  return [
    ...addresses.map((address) => addAddress(address, familyOf(address) === 4 ? 32 : 128, 'eth0')),
    'link set eth0 up',
    ...sources.flatMap((source) => {
      const family = familyOf(source);
      return [
        `neigh add ${ROUTER[family]} lladdr ${ROUTER_MAC} dev eth0 nud permanent`,
        `route add ${ALL[family]} via ${ROUTER[family]} dev eth0 onlink src ${source}`,
      ];
    }),
  ];
}

/** Of several addresses as good as each other the kernel takes the oldest IPv4 one and the newest IPv6 one as its source (__ipv6_dev_get_saddr). */
const inOrderOfPreference = (addresses: readonly Address[]): Address[] => [
  ...addresses.filter((address) => familyOf(address) === 4),
  ...addresses.filter((address) => familyOf(address) === 6).reverse(),
];

const addAddress = (address: Address, length: number, device: string): string =>
  `addr add ${address}/${length} dev ${device}${familyOf(address) === 6 ? ' nodad' : ''}`;

const podsOf = (lab: Topology, node: LabNode): LabPod[] => lab.pods.filter((pod) => pod.ownNetns && pod.node === node.name);

const deviceNumber = (lab: Topology, pod: LabPod): number => lab.pods.indexOf(pod) + 1;

/** Device of a pod on its node. */
export const podDevice = (lab: Topology, pod: LabPod): string => `${POD_DEVICE_PREFIX}${deviceNumber(lab, pod)}`;

const mac = (number: number): string => `0a:58:00:00:${hexByte(number >> 8)}:${hexByte(number & 0xff)}`;

const hexByte = (value: number): string => value.toString(16).padStart(2, '0');

/** Addresses of the outside namespace: the client, the stranger, and endpoints without a node. */
const outsideAddresses = (lab: Topology): Address[] => {
  const placed = lab.pods.filter((pod) => pod.node === OUTSIDE).flatMap((pod) => pod.addresses);
  return [...new Set([...OUTSIDE_ADDRESSES, ...STRANGER_ADDRESSES, ...placed])];
};

/** Routes to a pod by its node's address of the same family; none where the node has no such address. */
function routesVia(node: LabNode, pod: LabPod, reachable: (via: Address) => boolean = () => true): string[] {
  return pod.addresses.flatMap((address) => {
    const via = primaryAddress(node, familyOf(address));
    return via !== undefined && reachable(via) ? [`route add ${address} via ${via}`] : [];
  });
}

function defaultRouters(lab: Topology, node: LabNode): Address[] {
  return ([4, 6] as const).flatMap((family) => {
    const primary = primaryAddress(node, family);
    const network: Network | undefined = primary && lab.networks.find(({ prefix }) => prefix.address === networkOf(primary).address);
    return network ? [network.router] : [];
  });
}
