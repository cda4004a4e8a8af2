import type { Address, Family } from '#lib/address.ts';
import type { Protocol } from './service.ts';

export interface Endpoint {
  /** The first of `addresses`; kube-proxy uses no other. */
  readonly address: Address;
  /** conditions.ready, nil counts as true. */
  readonly ready: boolean;
  /** conditions.serving, nil counts as true (discovery/v1 types.go since 1.34, and kube-proxy's endpointslicecache.go). */
  readonly serving: boolean;
  /** conditions.terminating, nil counts as false. */
  readonly terminating: boolean;
  /** Empty for an endpoint that is placed on no node: treated as remote. */
  readonly nodeName: string;
  readonly hintZones: readonly string[];
  readonly hintNodes: readonly string[];
  /** `namespace/name` of targetRef when that is a Pod, else empty. */
  readonly pod: string;
}

export interface EndpointPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** What a proxy needs of a discovery.k8s.io/v1 EndpointSlice, validated. Slices of type FQDN are never decoded to this. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** Label kubernetes.io/service-name; empty when the slice belongs to no Service. */
  readonly serviceName: string;
  readonly family: Family;
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly EndpointPort[];
  /** When what led to its last change happened, ms since 1970 (annotation of the controller, KEP-1685 SLO); 0 = not said. */
  readonly triggeredAt: number;
  /** True with label service.kubernetes.io/headless: such a slice answers for no Service (kube-proxy does not even watch it). */
  readonly headless?: boolean;
}
