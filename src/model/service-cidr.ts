import type { Prefix } from '#lib/address.ts';

/** The validated fields of a networking.k8s.io ServiceCIDR (KEP-1880) that a proxy needs. */
export interface ServiceCIDR {
  readonly name: string;
  /** Networks of ClusterIPs, at most one per family. */
  readonly cidrs: readonly Prefix[];
}
