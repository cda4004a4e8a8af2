import type { Address, Family, Prefix } from '#lib/address.ts';

/** Sets and maps of table `inet weir` whose elements change with Services and the node. Each exists once per family. */
export type SetName =
  /** Live ClusterIPs, whatever the protocol. */
  | 'cluster_ips'
  /** Addresses of this node on which NodePorts answer. */
  | 'node_addresses'
  /** Pod ranges of the local detector. */
  | 'local_nets'
  /** Networks of Service addresses: untranslated new flows to an address there are dropped. */
  | 'service_cidrs'
  /** Pairs of a backend's address with itself: flows that return to the pod that started them. */
  | 'hairpin'
  /** UDP Services that have no endpoint for processes of this node, which their sockets leave to packets: refused or dropped. */
  | 'udp_unserved'
  | 'udp_node_ports_unserved'
  /** Which chain answers a Service address and port: for pods and this node, and for all other sources. */
  | 'sctp_local'
  | 'sctp_outside'
  | 'sctp_node_ports_local'
  | 'sctp_node_ports_outside'
  /** Service addresses and ports with source ranges. */
  | 'sctp_ranged'
  /** Whether flows to a Service address and port get a new source. As above, an entry of the address precedes the entry of a NodePort. */
  | 'snat_local'
  | 'snat_outside'
  | 'snat_node_ports_local'
  | 'snat_node_ports_outside';

/** The fate of a flow, or of its source: `masquerade` replaces it, `accept` keeps it. `chain` names a RulesetChain. */
export type RulesetVerdict = 'drop' | 'refuse' | 'masquerade' | 'accept' | { readonly chain: string };

/** An element of a set, or of a map if it has a verdict. `key` is in nft syntax. */
export interface RulesetElement {
  readonly kind: 'element';
  /** `pod_devices`: indices of the devices that pods send through. */
  readonly set: `${SetName}${Family}` | 'pod_devices';
  readonly key: string;
  readonly verdict?: RulesetVerdict;
  /** `namespace/name` or `namespace/name:port` of the Service. */
  readonly comment?: string;
}

/** A set in which rules remember the clients of one backend. */
export interface RulesetMemory {
  readonly kind: 'memory';
  readonly name: string;
  readonly family: Family;
}

/** A chain of one Service port. */
export interface RulesetChain {
  readonly kind: 'chain';
  readonly name: string;
  readonly family: Family;
  readonly rules: readonly RulesetRule[];
}

export type RulesetRule =
  /** Translates to one of the backends with equal probability: at random, or by a hash of the source, which is stable while the backends stay the same. */
  | {
      readonly kind: 'translate';
      readonly by: 'chance' | 'source';
      readonly backends: readonly { readonly address: Address; readonly port: number }[];
    }
  /** Continues in one of the chains, with equal probability. */
  | { readonly kind: 'choose'; readonly chains: readonly string[] }
  /** Continues in the chain if the memory holds the source. */
  | { readonly kind: 'recall'; readonly memory: string; readonly chain: string }
  /** Stores the source in the memory for this many seconds. */
  | { readonly kind: 'remember'; readonly memory: string; readonly seconds: number }
  /** Drops every other source. */
  | { readonly kind: 'admit'; readonly prefixes: readonly Prefix[] };

/** A part of table `inet weir` that changes while the agent runs. */
export type RulesetItem = RulesetElement | RulesetMemory | RulesetChain;

/** One transaction: new items, items with another verdict or other rules, and items to remove. */
export interface RulesetChange {
  readonly add: readonly RulesetItem[];
  readonly replace: readonly RulesetItem[];
  readonly remove: readonly RulesetItem[];
}

/** Table `inet weir` as reconcile needs it; src/kernel implements it, tests use a fake. A call that throws has changed nothing. */
export interface Ruleset {
  /** Replaces the whole table by one with these items. */
  install(items: readonly RulesetItem[]): void;
  change(change: RulesetChange): void;
  /** Whether the table exists, also if another process made it. */
  isThere(): boolean;
}

/** Identifies an item. */
export const itemId = (item: RulesetItem): string => (item.kind === 'element' ? `${item.set} ${item.key}` : `${item.kind} ${item.name}`);
