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

/** What a proxy needs of a v1 Service, validated. */
export interface Service {
  readonly namespace: string;
  readonly name: string;
  /** metadata.creationTimestamp, RFC 3339; empty when the object has none. The older of two claimants keeps an address. */
  readonly createdAt: string;
  /** False for ExternalName, headless and foreign Services (semantics: label service-proxy-name, label headless). */
  readonly proxied: boolean;
  readonly clusterIPs: readonly Address[];
  readonly externalIPs: readonly Address[];
  /** Ingress addresses of a LoadBalancer, those with `ipMode: Proxy` left out. */
  readonly loadBalancerIPs: readonly Address[];
  /** Empty = everybody may come. */
  readonly sourceRanges: readonly Prefix[];
  readonly ports: readonly ServicePort[];
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly externalTrafficPolicy: TrafficPolicy;
  /** ClientIP session affinity in seconds; 0 = none. */
  readonly affinitySeconds: number;
  /** Only LoadBalancers with externalTrafficPolicy Local have one; 0 = none. */
  readonly healthCheckNodePort: number;
}
