import type { Address, Family, Prefix } from '#lib/address.ts';

/** Sets of table `inet weir`: addresses that mean something, and what new SCTP flows are looked up in. One for each family. */
export type SetName =
  /** Live ClusterIPs, whatever the protocol. */
  | 'cluster_ips'
  /** Addresses of this node on which NodePorts answer. */
  | 'node_addresses'
  /** Pod ranges of the local detector. */
  | 'local_nets'
  /** Networks of Service addresses: new flows to an address there that nobody translated are dropped. */
  | 'service_cidrs'
  /** Pairs of a backend's address with itself: flows that came back to the pod that started them. */
  | 'hairpin'
  /** Who answers a Service address and port, by source: pods and this node, or everybody else. */
  | 'sctp_local'
  | 'sctp_outside'
  | 'sctp_node_ports_local'
  | 'sctp_node_ports_outside'
  /** Service addresses and ports with source ranges. */
  | 'sctp_ranged'
  /** Whether flows to a Service address and port get a new source, by source: as with who answers, its own entry counts before a NodePort's. */
  | 'snat_local'
  | 'snat_outside'
  | 'snat_node_ports_local'
  | 'snat_node_ports_outside';

/** What becomes of a flow, or of its source: `masquerade`, or `accept` as it is. The chain is the name of a RulesetChain. */
export type Verdict = 'drop' | 'refuse' | 'masquerade' | 'accept' | { readonly chain: string };

/** An element of a set, of a map where it has a verdict. `key` is in nft's words. */
export interface RulesetElement {
  readonly kind: 'element';
  /** `pod_devices`: interface indices from which pods come. */
  readonly set: `${SetName}${Family}` | 'pod_devices';
  readonly key: string;
  readonly verdict?: Verdict;
  /** `namespace/name` or `namespace/name:port` of the Service. */
  readonly comment?: string;
}

/** A set in which rules keep clients of one backend. */
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
  /** Translates to one of the backends, all alike: by chance, or by the source, always to the same while the backends are the same. */
  | {
      readonly kind: 'translate';
      readonly by: 'chance' | 'source';
      readonly backends: readonly { readonly address: Address; readonly port: number }[];
    }
  /** Goes on in one of the chains, all alike. */
  | { readonly kind: 'choose'; readonly chains: readonly string[] }
  /** Goes on in the chain if the memory has the source. */
  | { readonly kind: 'recall'; readonly memory: string; readonly chain: string }
  /** Puts the source into the memory for so many seconds from now. */
  | { readonly kind: 'remember'; readonly memory: string; readonly seconds: number }
  /** Drops every other source. */
  | { readonly kind: 'admit'; readonly prefixes: readonly Prefix[] };

/** Something in table `inet weir` that comes and goes. */
export type RulesetItem = RulesetElement | RulesetMemory | RulesetChain;

/** One transaction: what is new, what has another verdict or other rules than before, what is gone. */
export interface RulesetChange {
  readonly add: readonly RulesetItem[];
  readonly replace: readonly RulesetItem[];
  readonly remove: readonly RulesetItem[];
}

/** Table `inet weir` as reconcile needs it; src/kernel gives the real one, tests a fake. All or nothing: what throws has changed nothing. */
export interface Ruleset {
  /** Puts the whole table, with these items, in the place of what is there. */
  install(items: readonly RulesetItem[]): void;
  change(change: RulesetChange): void;
  /** Whether the table is there, whoever made it. */
  isThere(): boolean;
}

/** What an item is known by. */
export const itemId = (item: RulesetItem): string => (item.kind === 'element' ? `${item.set} ${item.key}` : `${item.kind} ${item.name}`);
