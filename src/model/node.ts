import type { Address, Prefix } from '#lib/address.ts';

/** The validated fields of a v1 Node that a proxy needs. */
export interface Node {
  readonly name: string;
  /** status.addresses of type InternalIP, then ExternalIP, in their order; the first of a family is the primary one. */
  readonly addresses: readonly Address[];
  readonly podCIDRs: readonly Prefix[];
  /** Label topology.kubernetes.io/zone; empty if absent. */
  readonly zone: string;
  /** The Node is being deleted, or the autoscaler is about to delete it: load balancers should stop sending connections (KEP-3836). */
  readonly isLeaving: boolean;
}
