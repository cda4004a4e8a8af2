import type { Address, Prefix } from '#lib/address.ts';

/** What a proxy needs of a v1 Node, validated. */
export interface Node {
  readonly name: string;
  /** status.addresses of type InternalIP, then ExternalIP, in the order given; the first of a family is its primary. */
  readonly addresses: readonly Address[];
  readonly podCIDRs: readonly Prefix[];
  /** Label topology.kubernetes.io/zone, else empty. */
  readonly zone: string;
  /** It is being deleted, or its autoscaler is about to: load balancers should send nothing new (KEP-3836). */
  readonly isLeaving: boolean;
}
