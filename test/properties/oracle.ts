import { type Address, type Family, familyOf, type Prefix, parseAddress, parsePrefix, prefixContains } from '#lib/address.ts';
import type { Answer, Question } from '../semantics/scenario.ts';
import { PLACES } from '../semantics/world.ts';
import { endpointsFor, isLeftToOthers, type Listed } from './oracle-endpoints.ts';
import type { NodeObject, ServiceObject, SliceObject } from './oracle-objects.ts';

/*
 * The rules of docs/semantics.md, applied literally to one question and to Kubernetes objects as the API prints them. Uses no plan, no
 * table and no code of src except addresses, so that it does not share their errors. Simple instead of fast.
 */

/** All objects, and the flags of the agents. */
export interface Cluster {
  readonly flags: ReadonlyMap<string, string>;
  readonly services: readonly ServiceObject[];
  readonly slices: readonly SliceObject[];
  readonly nodes: readonly NodeObject[];
}

type Kind = 'cluster' | 'balancer' | 'external' | 'nodePort';
type Port = NonNullable<ServiceObject['spec']['ports']>[number];

/** A Service port at one of its addresses. */
interface Dialled {
  readonly service: ServiceObject;
  readonly port: Port;
  readonly kind: Kind;
}

/** The answer to a question by the rules. */
export function oracle(cluster: Cluster, question: Question): Answer {
  const dialled = dialledAt(cluster, question);
  return dialled === undefined ? unansweredAt(cluster, question) : answerAt(cluster, dialled, question);
}

function answerAt(cluster: Cluster, dialled: Dialled, question: Question): Answer {
  if (dialled.kind === 'balancer' && !isAdmitted(cluster, dialled.service, question)) return 'dropped'; // [source-ranges]
  const { cluster: everywhere, local } = endpointsFor(cluster, dialled.service, dialled.port, question);
  const answering = answersLocally(cluster, dialled, question) ? local : everywhere;
  // [no-endpoints] [no-local-endpoints]
  if (answering.length === 0) return everywhere.length + local.length === 0 ? 'refused' : 'dropped';
  return answering.map((endpoint) => ({
    name: nameAt(endpoint.address),
    client: clientAt(cluster, dialled, endpoint, question),
    port: endpoint.port,
  }));
}

/* ---- The dialled Service port ---- */

/** [headless] [external-name] [headless-label] [foreign-proxy] [single-family] */
function isProxied({ metadata, spec }: ServiceObject, family: Family): boolean {
  if (spec.type === 'ExternalName' || clusterIPsOf(spec).length === 0) return false;
  if (isLeftToOthers(metadata)) return false;
  return clusterIPsOf(spec).some((address) => familyOf(address) === family);
}

const clusterIPsOf = ({ clusterIP, clusterIPs }: ServiceObject['spec']): readonly Address[] =>
  addresses(clusterIPs ?? (clusterIP === undefined ? [] : [clusterIP]));

/** The claim that wins an address, port and protocol. */
function dialledAt(cluster: Cluster, question: Question): Dialled | undefined {
  const claims = cluster.services
    .filter((service) => isProxied(service, question.family))
    .flatMap((service) => (service.spec.ports ?? []).flatMap((port) => meaning(cluster, service, port, question) ?? []));
  const atAddress = claims.filter(({ kind }) => kind !== 'nodePort');
  // [lb-ip-is-node-ip] Service addresses come before NodePorts.
  return (atAddress.length > 0 ? atAddress : claims).sort(byClaim)[0];
}

/** [own-address-twice] [two-protocols] The claim of a Service port to the dialled address and port. */
function meaning(cluster: Cluster, service: ServiceObject, port: Port, question: Question): Dialled | undefined {
  if ((port.protocol ?? 'TCP') !== question.protocol) return undefined;
  const { spec, status } = service;
  // [lb-ip-mode-proxy]
  const captured = (status?.loadBalancer?.ingress ?? []).filter(({ ipMode }) => ipMode !== 'Proxy').map(({ ip }) => ip);
  const has = (listed: readonly (string | undefined)[]): boolean =>
    port.port === question.port && addresses(listed).includes(question.address);
  if (has(clusterIPsOf(spec))) return { service, port, kind: 'cluster' };
  if (spec.type === 'LoadBalancer' && has(captured)) return { service, port, kind: 'balancer' };
  if (has(spec.externalIPs ?? [])) return { service, port, kind: 'external' };
  const isNodePort = spec.type !== 'ClusterIP' && (port.nodePort ?? 0) === question.port && servesNodePorts(cluster, question);
  return isNodePort ? { service, port, kind: 'nodePort' } : undefined;
}

/** [conflict-cluster-ip] [conflict-older] A Service without a date is the youngest; at equal age the name decides. */
const byClaim = (a: Dialled, b: Dialled): number =>
  Number(b.kind === 'cluster') - Number(a.kind === 'cluster') || (ageText(a) < ageText(b) ? -1 : 1);

const ageText = ({ service: { metadata }, port }: Dialled): string =>
  `${metadata.creationTimestamp ?? 'unknown'} ${metadata.namespace}/${metadata.name}${port.name ? `:${port.name}` : ''}`;

/** [node-port-primary] [node-port-networks] [node-port-loopback] */
function servesNodePorts({ flags, nodes }: Cluster, { address, family, by, from }: Question): boolean {
  const networks = (flags.get('nodeport-addresses') ?? 'primary').split(',');
  const ranges = prefixes(networks).filter((prefix) => familyOf(prefix.address) === family);
  if (address === '::1' || address.startsWith('127.')) {
    const wanted = networks[0] === 'primary' || isEmptyOr(prefixes(networks), 4, '127.0.0.1' as Address);
    return from === by && flags.get('iptables-localhost-nodeports') !== 'false' && wanted;
  }
  const own = nodeAddresses(nodes, by).filter((one) => familyOf(one) === family);
  if (networks[0] === 'primary') return address === own[0];
  return own.includes(address) && (ranges.length === 0 || ranges.some((range) => prefixContains(range, address)));
}

const isEmptyOr = (all: readonly Prefix[], family: Family, address: Address): boolean => {
  const own = all.filter((prefix) => familyOf(prefix.address) === family);
  return own.length === 0 || own.some((prefix) => prefixContains(prefix, address));
};

/** [missing-port] [unowned-address], or a NodePort of another node. */
function unansweredAt(cluster: Cluster, question: Question): Answer {
  const { flags, services, nodes } = cluster;
  const { address, family, by } = question;
  const isLive = services.some((service) => isProxied(service, family) && clusterIPsOf(service.spec).includes(address));
  if (isLive) return 'refused';
  const isServiceAddress = prefixes((flags.get('service-cidr') ?? '').split(',')).some((range) => prefixContains(range, address));
  if (isServiceAddress) return 'dropped';
  const owner = nodes.map(({ metadata }) => metadata.name).find((name) => name !== by && nodeAddresses(nodes, name).includes(address));
  return owner === undefined || nodeAddresses(nodes, by).includes(address)
    ? 'untouched'
    : oracle(cluster, { ...question, by: owner, via: 'packets' });
}

/* ---- Admitted sources, endpoints and the source address ---- */

/** [source-ranges] [source-ranges-pods] [source-ranges-node] [source-ranges-blanks] [source-ranges-family] */
function isAdmitted({ nodes }: Cluster, { spec }: ServiceObject, { source, family, from, by }: Question): boolean {
  const ranges = prefixes(spec.loadBalancerSourceRanges ?? []).filter((range) => familyOf(range.address) === family);
  if (ranges.length === 0) return true;
  const client = from === by ? nodeAddresses(nodes, by).find((address) => familyOf(address) === family) : source;
  return ranges.some((range) => range.length === 0 || (client !== undefined && prefixContains(range, client)));
}

/** [itp-local] [itp-local-external] [etp-local-outside] [etp-local-pod] [etp-local-node] [etp-local-no-detector] */
function answersLocally(cluster: Cluster, { service, kind }: Dialled, question: Question): boolean {
  if (kind === 'cluster') return service.spec.internalTrafficPolicy === 'Local';
  return service.spec.externalTrafficPolicy === 'Local' && question.from !== question.by && !isPod(cluster, question);
}

/** Whether the client is local by the local detector. [detector-bridge] [detector-prefix] */
function isPod(cluster: Cluster, { source, from, by }: Question): boolean {
  if (goesByDevice(cluster)) return PLACES.some(({ name, kind, node }) => name === from && kind === 'pod' && node === by);
  return detectorRanges(cluster, by).some((range) => prefixContains(range, source));
}

const goesByDevice = ({ flags }: Cluster): boolean =>
  ['BridgeInterface', 'InterfaceNamePrefix'].includes(flags.get('detect-local-mode') ?? '');

/** [detector-cluster-cidr] [detector-node-cidr] */
const detectorRanges = ({ flags, nodes }: Cluster, by: string): readonly Prefix[] =>
  flags.get('detect-local-mode') === 'NodeCIDR'
    ? prefixes(nodes.find(({ metadata }) => metadata.name === by)?.spec?.podCIDRs ?? [])
    : prefixes((flags.get('cluster-cidr') ?? '').split(','));

/** The client that an endpoint sees. */
function clientAt(cluster: Cluster, dialled: Dialled, endpoint: Listed, question: Question): Address {
  const node = nodeAddresses(cluster.nodes, question.by);
  const masked = node.find((address) => familyOf(address) === question.family) ?? question.source;
  if (question.from === question.by) return masked; // The node's own processes.
  // A packet to the node itself is delivered locally and does not pass postrouting, so it keeps its source.
  if (!goesByPackets(dialled, question) || node.includes(endpoint.address)) return question.source;
  return endpoint.address === question.source || isMasked(cluster, dialled, question) ? masked : question.source; // [hairpin]
}

/** A socket has no source address when it dials, so with source ranges its packets decide. */
const goesByPackets = ({ service, kind }: Dialled, { via, family }: Question): boolean =>
  via === 'packets' || (kind === 'balancer' && asksRanges(service, family));

function asksRanges({ spec }: ServiceObject, family: Family): boolean {
  const ranges = prefixes(spec.loadBalancerSourceRanges ?? []).filter((range) => familyOf(range.address) === family);
  return ranges.length > 0 && ranges.every((range) => range.length > 0);
}

/** [cluster-ip-pod] [cluster-ip-outside] [cluster-ip-no-detector] [masquerade-all] [itp-local-snat] [external-cluster-outside] ... */
function isMasked(cluster: Cluster, { service, kind }: Dialled, question: Question): boolean {
  if (kind !== 'cluster') return service.spec.externalTrafficPolicy !== 'Local';
  if (cluster.flags.get('masquerade-all') === 'true') return true;
  const detects =
    goesByDevice(cluster) || detectorRanges(cluster, question.by).some((range) => familyOf(range.address) === question.family); // [detector-family]
  return detects && !isPod(cluster, question);
}

/* ---- Predicates ---- */

const addresses = (texts: readonly (string | undefined)[]): readonly Address[] =>
  texts.flatMap((text) => readAddress(text?.trim() ?? '') ?? []);
const prefixes = (texts: readonly string[]): readonly Prefix[] => texts.flatMap((text) => readPrefix(text) ?? []);

/** Cache: the same texts recur. */
function remembered<T>(read: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    if (!known.has(text)) known.set(text, read(text));
    return known.get(text) as T;
  };
}

const readAddress = remembered(parseAddress);
const readPrefix = remembered(parsePrefix);

const nodeAddresses = (nodes: readonly NodeObject[], name: string): readonly Address[] =>
  addresses((nodes.find(({ metadata }) => metadata.name === name)?.status?.addresses ?? []).map(({ address }) => address));

const nameAt = (address: Address): string => PLACES.find(({ addresses: own }) => own[familyOf(address)] === address)?.name ?? address;
