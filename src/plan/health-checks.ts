import { type Address, type Family, familyOf, ZERO_ADDRESS } from '#lib/address.ts';
import { scopeOf } from '#model/address-fields.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { Service } from '#model/service.ts';
import { selectEndpoints } from '#select/endpoints.ts';
import type { NodeView } from './node-view.ts';
import type { NodeRequest } from './plan-node.ts';

/** Content of a Service's health check node port on this node, for one address family of the clients. */
export interface HealthCheck {
  readonly family: Family;
  readonly port: number;
  /** Addresses of ready endpoints on this node. */
  readonly localEndpoints: number;
}

const FAMILIES: readonly Family[] = [4, 6];

/**
 * One health check per family of a Service's ClusterIPs, as kube-proxy has one proxier per family. It counts the addresses of the
 * endpoints that the Service's ports select, each once for all its ports (endpointschangetracker.go, LocalReadyEndpoints).
 */
export function planHealthChecks(service: Service, slices: readonly EndpointSlice[], { nodeName, zone }: NodeView): readonly HealthCheck[] {
  const { healthCheckNodePort: port, proxied, clusterIPs, ports } = service;
  if (!proxied || port === 0) return [];
  return FAMILIES.filter((family) => clusterIPs.some((address) => familyOf(address) === family)).map((family) => {
    const own = slices.filter((slice) => slice.family === family);
    const ready = ports.flatMap((servicePort) => selectEndpoints({ servicePort, slices: own, nodeName, zone }).localReady);
    return { family, port, localEndpoints: new Set(ready.map(({ address }) => address)).size };
  });
}

/**
 * Listen addresses of health checks: the NodePort addresses, or the zero address of a family whose NodePorts use all addresses of the
 * node (service_health.go, newServiceHealthServer). Link-local addresses are left out, because listening there needs a device name.
 */
export function planHealthAddresses(
  nodePortAddresses: readonly Address[],
  wanted: NodeRequest['rules']['nodePortAddresses'],
): readonly Address[] {
  return FAMILIES.flatMap((family) => {
    if (takesAll(family, wanted)) return ZERO_ADDRESS[family];
    return nodePortAddresses.filter((address) => familyOf(address) === family && scopeOf(address) !== 'link-local');
  });
}

function takesAll(family: Family, wanted: NodeRequest['rules']['nodePortAddresses']): boolean {
  if (wanted.mode === 'primary') return false;
  const own = wanted.prefixes.filter(({ address }) => familyOf(address) === family);
  return own.length === 0 ? !wanted.primary : own.some(({ length }) => length === 0);
}
