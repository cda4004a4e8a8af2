import type { Address, Prefix } from '#lib/address.ts';

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export type TrafficPolicy = 'Cluster' | 'Local';

export interface ServicePort {
  /** Empty for the one unnamed port of a Service. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  /** 0 = none. */
  readonly nodePort: number;
}

/** The validated fields of a v1 Service that a proxy needs. */
export interface Service {
  readonly namespace: string;
  readonly name: string;
  /** metadata.creationTimestamp, RFC 3339; empty if absent. Of two Services that claim an address, the older keeps it. */
  readonly createdAt: string;
  /** False for ExternalName and headless Services and for Services of another proxy (labels service-proxy-name and headless). */
  readonly proxied: boolean;
  readonly clusterIPs: readonly Address[];
  readonly externalIPs: readonly Address[];
  /** Ingress addresses of a LoadBalancer, without addresses with `ipMode: Proxy`. */
  readonly loadBalancerIPs: readonly Address[];
  /** Empty = all sources are admitted. */
  readonly sourceRanges: readonly Prefix[];
  readonly ports: readonly ServicePort[];
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly externalTrafficPolicy: TrafficPolicy;
  /** ClientIP session affinity in seconds; 0 = none. */
  readonly affinitySeconds: number;
  /** Only for a LoadBalancer with externalTrafficPolicy Local; 0 = none. */
  readonly healthCheckNodePort: number;
}
