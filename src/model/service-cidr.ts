import type { Prefix } from '#lib/address.ts';

/** What a proxy needs of a networking.k8s.io ServiceCIDR (KEP-1880), validated. */
export interface ServiceCIDR {
  readonly name: string;
  /** Networks that ClusterIPs are taken from, at most one for each family. */
  readonly cidrs: readonly Prefix[];
}
