import {
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  DEVICE_PODS,
  FRONTEND_DROP_LOCAL,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_RANGES_ADMIT_NODE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
} from '#abi/generated.ts';
import { type Family, familyOf, formatPrefix, type Prefix, prefixContains, ZERO_ADDRESS } from '#lib/address.ts';
import type { EndpointList, PlannedBackend, PlannedFrontend, PortPlan } from '#plan/port-plan.ts';
import type { RulesetChain, RulesetItem, RulesetMemory, RulesetRule, RulesetVerdict } from '../ports/ruleset.ts';
import type { NodeFacts } from '../wanted/wanted-state.ts';

/** IPPROTO_SCTP: the one protocol of Services that the ruleset translates; the conntrack functions of the kernel take TCP and UDP only. */
export const SCTP = 132;

/** IPPROTO_UDP: the programs translate datagrams, but the ruleset refuses datagrams of processes of the node. */
export const UDP = 17;

/** How many memories session affinity needs: one for each endpoint, or none. */
export const memoriesFor = ({ protocol, affinitySeconds, backends }: PortPlan): number =>
  protocol === SCTP && affinitySeconds > 0 ? backends.length : 0;

/**
 * The items of a Service port that owns these frontends: its ClusterIPs, for UDP its refusals, and for SCTP its translation. Without `mayRemember`, session
 * affinity chooses by a hash of the client's address.
 */
export function itemsOf(plan: PortPlan, frontends: readonly PlannedFrontend[], mayRemember: boolean): readonly RulesetItem[] {
  const comment = plan.name.split(':')[0] as string;
  const live = plan.clusterIPs.map((key): RulesetItem => ({ kind: 'element', set: `cluster_ips${plan.family}`, key, comment }));
  if (plan.protocol === UDP) return [...live, ...frontends.flatMap((frontend) => unservedItems(plan, frontend))];
  if (plan.protocol !== SCTP) return live;
  const lists = LISTS.filter((list) => frontends.some((frontend) => frontend.localSource === list || frontend.outsideSource === list));
  const choice = plan.affinitySeconds === 0 ? 'chance' : mayRemember ? 'memory' : 'source';
  return [
    ...live,
    ...frontends.flatMap((frontend) => frontendItems(plan, frontend)),
    ...lists.flatMap((list) => listItems(plan, list, choice)),
    ...endpointItems(plan, choice),
    ...rangeItems(plan, frontends),
  ];
}

/** The items of the node. */
export function nodeItems({ nodeAddresses, localNets, serviceCIDRs, devices }: NodeFacts): readonly RulesetItem[] {
  return [
    ...nodeAddresses.map((key): RulesetItem => ({ kind: 'element', set: `node_addresses${familyOf(key)}`, key })),
    ...networkItems('local_nets', localNets),
    ...networkItems('service_cidrs', serviceCIDRs),
    ...devices
      .filter(({ flags }) => (flags & DEVICE_PODS) !== 0)
      .map(({ ifindex }): RulesetItem => ({ kind: 'element', set: 'pod_devices', key: String(ifindex) })),
  ];
}

/** An interval set rejects overlaps, so of overlapping networks the widest is kept. */
function networkItems(set: 'local_nets' | 'service_cidrs', networks: readonly Prefix[]): readonly RulesetItem[] {
  const isWithin = (net: Prefix, i: number, other: Prefix, k: number): boolean =>
    prefixContains(other, net.address) && (other.length < net.length || (other.length === net.length && k < i));
  return networks
    .filter((net, i) => !networks.some((other, k) => k !== i && isWithin(net, i, other, k)))
    .map((net): RulesetItem => ({ kind: 'element', set: `${set}${familyOf(net.address)}`, key: formatPrefix(net) }));
}

const LISTS: readonly EndpointList[] = ['cluster', 'local'];
const SIDES = ['local', 'outside'] as const;
type Side = (typeof SIDES)[number];
/** How an endpoint of a list is chosen. */
type Choice = 'chance' | 'source' | 'memory';

const LIST_BITS: Readonly<Record<EndpointList, number>> = { cluster: BACKEND_CLUSTER_LIST, local: BACKEND_LOCAL_LIST };
const DROP_BITS: Readonly<Record<Side, number>> = { local: FRONTEND_DROP_LOCAL, outside: FRONTEND_DROP_OUTSIDE };
const SNAT_BITS: Readonly<Record<Side, number>> = { local: FRONTEND_SNAT_LOCAL, outside: FRONTEND_SNAT_OUTSIDE };

const backendsIn = ({ backends }: PortPlan, list: EndpointList): readonly PlannedBackend[] =>
  backends.filter(({ flags }) => (flags & LIST_BITS[list]) !== 0);

/** Where a frontend is found: `_node_ports` in the name of the map, and its key there. */
function placeOf({ address, port }: PlannedFrontend, family: Family): { readonly place: '_node_ports' | ''; readonly key: string } {
  return address === ZERO_ADDRESS[family] ? { place: '_node_ports', key: String(port) } : { place: '', key: `${address} . ${port}` };
}

/** The refusal or drop of datagrams from processes of the node, if the frontend has no endpoint for them. */
function unservedItems(plan: PortPlan, frontend: PlannedFrontend): readonly RulesetItem[] {
  const { flags } = frontend;
  const isExcluded = (flags & FRONTEND_SOURCE_RANGES) !== 0 && (flags & FRONTEND_RANGES_ADMIT_NODE) === 0;
  const verdict = isExcluded ? 'drop' : verdictOf(plan, frontend, 'local');
  if (typeof verdict !== 'string') return [];
  const { place, key } = placeOf(frontend, plan.family);
  return [{ kind: 'element', set: `udp${place}_unserved${plan.family}`, key, verdict, comment: plan.name }];
}

function frontendItems(plan: PortPlan, frontend: PlannedFrontend): readonly RulesetItem[] {
  const { family } = plan;
  const { place, key } = placeOf(frontend, family);
  return SIDES.flatMap((side): RulesetItem[] => {
    const source = (frontend.flags & SNAT_BITS[side]) !== 0 ? 'masquerade' : 'accept';
    return [
      { kind: 'element', set: `sctp${place}_${side}${family}`, key, verdict: verdictOf(plan, frontend, side), comment: plan.name },
      { kind: 'element', set: `snat${place}_${side}${family}`, key, verdict: source },
    ];
  });
}

function verdictOf(plan: PortPlan, frontend: PlannedFrontend, side: Side): RulesetVerdict {
  const list = side === 'local' ? frontend.localSource : frontend.outsideSource;
  if (backendsIn(plan, list).length > 0) return { chain: chainName(plan, list) };
  return (frontend.flags & DROP_BITS[side]) !== 0 ? 'drop' : 'refuse';
}

function listItems(plan: PortPlan, list: EndpointList, choice: Choice): readonly RulesetItem[] {
  const backends = backendsIn(plan, list);
  if (backends.length === 0) return [];
  return [{ kind: 'chain', name: chainName(plan, list), family: plan.family, rules: listRules(plan, backends, choice) }];
}

/** With affinity, a client returns to its last backend while that is in the list. */
function listRules(plan: PortPlan, backends: readonly PlannedBackend[], choice: Choice): readonly RulesetRule[] {
  if (choice !== 'memory') return [{ kind: 'translate', by: choice, backends: backends.map(({ address, port }) => ({ address, port })) }];
  return [
    ...backends.map(
      (backend): RulesetRule => ({
        kind: 'recall',
        memory: endpointName(plan, 'clients', backend),
        chain: endpointName(plan, 'backend', backend),
      }),
    ),
    { kind: 'choose', chains: backends.map((backend) => endpointName(plan, 'backend', backend)) },
  ];
}

/** Each backend has a memory of its own, which goes with it; both lists share it. */
function endpointItems(plan: PortPlan, choice: Choice): readonly RulesetItem[] {
  const { family, affinitySeconds: seconds } = plan;
  return plan.backends.flatMap((backend): RulesetItem[] => {
    const { address, port } = backend;
    const hairpin: RulesetItem = { kind: 'element', set: `hairpin${family}`, key: `${address} . ${address}` };
    if (choice !== 'memory') return [hairpin];
    const memory: RulesetMemory = { kind: 'memory', name: endpointName(plan, 'clients', backend), family };
    const chain: RulesetChain = {
      kind: 'chain',
      name: endpointName(plan, 'backend', backend),
      family,
      rules: [
        { kind: 'remember', memory: memory.name, seconds },
        { kind: 'translate', by: 'chance', backends: [{ address, port }] },
      ],
    };
    return [hairpin, memory, chain];
  });
}

function rangeItems(plan: PortPlan, frontends: readonly PlannedFrontend[]): readonly RulesetItem[] {
  const { family, sourceRanges } = plan;
  const ranged = frontends.filter(({ flags }) => (flags & FRONTEND_SOURCE_RANGES) !== 0);
  if (ranged.length === 0) return [];
  const chain = chainName(plan, 'ranges');
  return [
    { kind: 'chain', name: chain, family, rules: [{ kind: 'admit', prefixes: sourceRanges }] },
    ...ranged.map(
      ({ address, port }): RulesetItem => ({
        kind: 'element',
        set: `sctp_ranged${family}`,
        key: `${address} . ${port}`,
        verdict: { chain },
      }),
    ),
  ];
}

/** `cluster4/shop/web/signals`. */
const chainName = (plan: PortPlan, role: EndpointList | 'ranges'): string => `${role}${plan.family}/${nftName(plan.name)}`;

/** `backend6/fd00..7_2905/shop/web/signals`. */
const endpointName = (plan: PortPlan, role: 'backend' | 'clients', { address, port }: PlannedBackend): string =>
  `${role}${plan.family}/${address.replaceAll(':', '.')}_${port}/${nftName(plan.name)}`;

/** Encodes a name with the letters of nft identifiers: letters, digits, `/`, `-`, `_` and `.`. Different names stay different. */
const nftName = (name: string): string =>
  name.replace(':', '/').replace(/[^a-zA-Z0-9/.-]/g, (letter) => `_${letter.codePointAt(0)?.toString(16)}_`);
