import type { Address, Family, Prefix } from '#lib/address.ts';

/** One endpoint of one Service port. `flags` are BACKEND_* of bpf/abi/types.h and never 0. */
export interface PlannedBackend {
  readonly address: Address;
  readonly port: number;
  readonly flags: number;
}

/** A list of backends: `cluster` (usable endpoints of all nodes, narrowed by topology) or `local` (usable endpoints of this node). */
export type EndpointList = 'cluster' | 'local';

/** One address and port that a client dials. `flags` are FRONTEND_* without the two ..._USES_LOCAL, which follow from the lists. */
export interface PlannedFrontend {
  /** ZERO_ADDRESS of the family for a NodePort. */
  readonly address: Address;
  readonly port: number;
  readonly flags: number;
  readonly localSource: EndpointList;
  readonly outsideSource: EndpointList;
}

/**
 * The wanted entries of one Service port in one family. Backends are unique and ordered: cluster list only, both lists, local list
 * only. So each list is one run of slots within one range.
 */
export interface PortPlan {
  /** `namespace/name:port`, or `namespace/name` for an unnamed port: unique together with `family`. At most 151 bytes. */
  readonly name: string;
  readonly family: Family;
  /** IPPROTO_*: 6, 17 or 132. */
  readonly protocol: number;
  /** Of two Services that claim a frontend, the older keeps it; at equal times the name decides. RFC 3339 or empty (= youngest). */
  readonly createdAt: string;
  /** ClusterIPs of this family, for `addresses`; ports of one Service share them. */
  readonly clusterIPs: readonly Address[];
  readonly backends: readonly PlannedBackend[];
  /** UDP: serving endpoints outside both lists, such as draining ones: they get no new flows, and existing flows go on. */
  readonly unlisted?: readonly Pick<PlannedBackend, 'address' | 'port'>[];
  readonly frontends: readonly PlannedFrontend[];
  readonly sourceRanges: readonly Prefix[];
  /** 0 = none. */
  readonly affinitySeconds: number;
}
