import type { Address, Family, Prefix } from '#lib/address.ts';

/** One endpoint of one Service port. `flags` are BACKEND_* of bpf/abi/types.h and never 0. */
export interface PlannedBackend {
  readonly address: Address;
  readonly port: number;
  readonly flags: number;
}

/** Which list answers: `cluster` (usable endpoints anywhere, narrowed by topology) or `local` (usable endpoints of this node). */
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
 * Everything that should exist for one Service port in one family. Backends are unique and ordered: those of the cluster list
 * alone, those of both lists, those of the local list alone; so each list is one run of slots, and both share one range.
 */
export interface PortPlan {
  /** `namespace/name:port`, or `namespace/name` for an unnamed port: unique together with `family`. At most 151 bytes. */
  readonly name: string;
  readonly family: Family;
  /** IPPROTO_*: 6, 17 or 132. */
  readonly protocol: number;
  /** The older Service keeps a frontend that two claim; equal times go by name. RFC 3339 or empty (= youngest). */
  readonly createdAt: string;
  /** ClusterIPs of this family, for `addresses`; several ports name the same ones. */
  readonly clusterIPs: readonly Address[];
  readonly backends: readonly PlannedBackend[];
  /** UDP: endpoints that serve but are in no list, as while they drain: nobody new is sent there, but flows go on. */
  readonly unlisted?: readonly Pick<PlannedBackend, 'address' | 'port'>[];
  readonly frontends: readonly PlannedFrontend[];
  readonly sourceRanges: readonly Prefix[];
  /** 0 = none. */
  readonly affinitySeconds: number;
}
