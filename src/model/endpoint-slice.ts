import type { Address, Family } from '#lib/address.ts';
import type { Protocol } from './service.ts';

export interface Endpoint {
  /** The first of `addresses`; kube-proxy ignores the others. */
  readonly address: Address;
  /** conditions.ready, nil counts as true. */
  readonly ready: boolean;
  /** conditions.serving, nil counts as true (discovery/v1 types.go since 1.34, and kube-proxy's endpointslicecache.go). */
  readonly serving: boolean;
  /** conditions.terminating, nil counts as false. */
  readonly terminating: boolean;
  /** Empty for an endpoint without a node, which counts as remote. */
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

/** The validated fields of a discovery.k8s.io/v1 EndpointSlice that a proxy needs. Slices of type FQDN are ignored. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** Label kubernetes.io/service-name; empty if the slice belongs to no Service. */
  readonly serviceName: string;
  readonly family: Family;
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly EndpointPort[];
  /** Time of the event that caused the last change, ms since 1970 (the controller's annotation, KEP-1685 SLO); 0 = unknown. */
  readonly triggeredAt: number;
  /** True with a label that leaves the slice to others (service-proxy-name, headless): it serves no Service. */
  readonly unproxied?: boolean;
}
