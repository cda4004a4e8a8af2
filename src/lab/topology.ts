import type { Address, Family, Prefix } from '#lib/address.ts';
import { familyOf, parseAddress } from '#lib/address.ts';
import { failure, type Result, success } from '#lib/result.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import type { Node } from '#model/node.ts';
import type { ModelObject } from '#model/objects.ts';
import type { Protocol, Service } from '#model/service.ts';
import { freeAddress, networkOf } from './network.ts';

/** Client outside the cluster, behind the router; the strangers lie outside every range that a Service may allow. */
export const OUTSIDE_ADDRESSES = ['203.0.113.2', '2001:db8:1::2'].map(wellFormed);
export const STRANGER_ADDRESSES = ['198.18.0.2', '2001:db8:bad::2'].map(wellFormed);

/** Name of the place that clients outside the cluster, and endpoints on no node, live in. */
export const OUTSIDE = 'outside';

export interface LabNode {
  readonly name: string;
  readonly netns: string;
  readonly addresses: readonly Address[];
}

export interface LabPod {
  /** `namespace/name`, or its address where the slice names no pod. */
  readonly name: string;
  /** Name of the node, OUTSIDE for an endpoint that is placed on none. */
  readonly node: string;
  readonly netns: string;
  readonly addresses: readonly Address[];
  /** False for pods in their node's namespace and for servers outside: nothing is built for them. */
  readonly ownNetns: boolean;
}

export interface Server {
  readonly pod: string;
  readonly node: string;
  readonly netns: string;
  readonly protocol: Protocol;
  readonly address: Address;
  readonly port: number;
}

/** A network of node addresses on the wire, and the router's address in it. */
export interface Network {
  readonly prefix: Prefix;
  readonly router: Address;
}

/** An address that belongs to no machine, and the node that the router hands its packets to. */
export interface ExternalAddress {
  readonly address: Address;
  readonly via: Address;
}

/** Everything that a lab consists of. */
export interface Topology {
  readonly name: string;
  readonly nodes: readonly LabNode[];
  readonly pods: readonly LabPod[];
  readonly servers: readonly Server[];
  readonly networks: readonly Network[];
  readonly externals: readonly ExternalAddress[];
  readonly services: readonly Service[];
  /** What cannot be as in the real cluster, a sentence each. */
  readonly notes: readonly string[];
}

/** What the names of all namespaces of a lab begin with; a lab's name has no hyphen, so no lab's prefix begins another's. */
export const netnsPrefix = (lab: string): string => `weir-${lab}-`;
/** Namespace of the bridge between the nodes, which is the router, too. */
export const wireNetns = (lab: string): string => `${netnsPrefix(lab)}wire`;
/** Namespace of the outside client. */
export const outsideNetns = (lab: string): string => `${netnsPrefix(lab)}${OUTSIDE}`;

/** Node's address in a family, undefined if it has none. */
export const primaryAddress = (node: LabNode, family: Family): Address | undefined => node.addresses.find((a) => familyOf(a) === family);

/** Plans a lab from the objects of a cluster; fails when they hold no node to build. */
export function planTopology(lab: string, objects: readonly ModelObject[]): Result<Topology> {
  const nodes = objects.flatMap((o) => (o.kind === 'Node' ? [labNode(lab, o.value)] : [])).filter((node) => node.addresses.length > 0);
  const slices = objects.flatMap((o) => (o.kind === 'EndpointSlice' ? [o.value] : []));
  const services = objects.flatMap((o) => (o.kind === 'Service' ? [o.value] : []));
  if (nodes.length === 0) return failure('Cannot build a lab: the files hold no Node with an address, there should be at least one');
  const reserved = nodes.find((node) => node.name === OUTSIDE || node.name === 'wire');
  if (reserved) return failure(`Cannot build a lab: a Node is called "${reserved.name}", the lab needs this name`);
  const pods = labPods(lab, nodes, slices);
  return success({
    name: lab,
    nodes,
    pods,
    servers: servers(pods, slices),
    networks: networks(nodes, pods),
    externals: externals(nodes, services, slices),
    services,
    notes: notes(nodes, slices),
  });
}

const labNode = (lab: string, node: Node): LabNode => ({
  name: node.name,
  netns: `${netnsPrefix(lab)}${node.name}`,
  addresses: node.addresses,
});

function labPods(lab: string, nodes: readonly LabNode[], slices: readonly EndpointSlice[]): LabPod[] {
  const endpoints = new Map<string, { readonly first: Endpoint; readonly addresses: Set<Address> }>();
  const taken = new Set<Address>();
  for (const endpoint of slices.flatMap((slice) => slice.endpoints)) {
    const name = podName(endpoint);
    const known = endpoints.get(name) ?? { first: endpoint, addresses: new Set<Address>() };
    if (!taken.has(endpoint.address) || nodes.some((node) => node.addresses.includes(endpoint.address)))
      known.addresses.add(endpoint.address);
    taken.add(endpoint.address);
    endpoints.set(name, known);
  }
  return [...endpoints]
    .filter(([, { addresses }]) => addresses.size > 0)
    .map(([name, { first, addresses }], index) => labPod(lab, nodes, { name, first, addresses: [...addresses], index }));
}

interface FoundPod {
  readonly name: string;
  readonly first: Endpoint;
  readonly addresses: readonly Address[];
  readonly index: number;
}

function labPod(lab: string, nodes: readonly LabNode[], { name, first, addresses, index }: FoundPod): LabPod {
  const host = nodes.find((node) => addresses.some((address) => node.addresses.includes(address)));
  if (host) return { name, node: host.name, netns: host.netns, addresses, ownNetns: false };
  const node = nodes.find((candidate) => candidate.name === first.nodeName);
  if (!node) return { name, node: OUTSIDE, netns: outsideNetns(lab), addresses, ownNetns: false };
  return { name, node: node.name, netns: `${node.netns}_${index}`, addresses, ownNetns: true };
}

const podName = (endpoint: Endpoint): string => endpoint.pod || endpoint.address;

function servers(pods: readonly LabPod[], slices: readonly EndpointSlice[]): Server[] {
  const byAddress = new Map(pods.flatMap((pod) => pod.addresses.map((address) => [`${pod.name} ${address}`, pod] as const)));
  const found = new Map<string, Server>();
  for (const slice of slices) {
    for (const endpoint of slice.endpoints) {
      const pod = byAddress.get(`${podName(endpoint)} ${endpoint.address}`);
      if (!pod) continue;
      for (const { protocol, port } of slice.ports) {
        const key = `${endpoint.address} ${protocol} ${port}`;
        if (found.has(key)) continue;
        found.set(key, { pod: pod.name, node: pod.node, netns: pod.netns, protocol, address: endpoint.address, port });
      }
    }
  }
  return [...found.values()];
}

function networks(nodes: readonly LabNode[], pods: readonly LabPod[]): Network[] {
  const used = new Set([...nodes, ...pods].flatMap((place) => place.addresses));
  const prefixes = new Map(nodes.flatMap((node) => node.addresses).map((address) => [networkOf(address).address, networkOf(address)]));
  return [...prefixes.values()].map((prefix) => ({ prefix, router: freeAddress(prefix, used) }));
}

/** A load balancer sends only to nodes that have an endpoint; so does the router, where there is one. */
function externals(nodes: readonly LabNode[], services: readonly Service[], slices: readonly EndpointSlice[]): ExternalAddress[] {
  const own = new Set(nodes.flatMap((node) => node.addresses));
  const found = new Map<Address, ExternalAddress>();
  for (const service of services) {
    const serving = new Set(
      slices
        .filter((slice) => slice.namespace === service.namespace && slice.serviceName === service.name)
        .flatMap((slice) => slice.endpoints.filter((endpoint) => endpoint.ready).map((endpoint) => endpoint.nodeName)),
    );
    for (const address of [...service.externalIPs, ...service.loadBalancerIPs]) {
      const family = familyOf(address);
      const able = nodes.filter((node) => primaryAddress(node, family) !== undefined);
      const node = able.find((candidate) => serving.has(candidate.name)) ?? able[0];
      const via = node && primaryAddress(node, family);
      if (via && !own.has(address) && !found.has(address)) found.set(address, { address, via });
    }
  }
  return [...found.values()];
}

function notes(nodes: readonly LabNode[], slices: readonly EndpointSlice[]): string[] {
  const names = new Set(nodes.map((node) => node.name));
  const placedOn = new Set(slices.flatMap((slice) => slice.endpoints.map((endpoint) => endpoint.nodeName)));
  const missing = [...placedOn].filter((name) => name !== '' && !names.has(name));
  const sctp = slices.some((slice) => slice.ports.some(({ protocol }) => protocol === 'SCTP'));
  return [
    ...missing.map((name) => `Node "${name}" is not among the objects or has no address: its pods are served from outside`),
    ...(sctp ? ['SCTP ports have no servers: Node.js has no SCTP sockets'] : []),
  ];
}

function wellFormed(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`Not an address: ${text}`);
  return address;
}
