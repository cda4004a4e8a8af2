import { choice, integer, type LocatedFields, warn, wrong } from './fields.ts';
import type { ServicePort, TrafficPolicy } from './service.ts';

const TYPES = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const;

export type ServiceType = (typeof TYPES)[number];

export const POLICIES = ['Cluster', 'Local'] as const;

export const MAX_PORT = 65535;

/** spec.type of a Service. */
export const decodeType = (spec: LocatedFields): ServiceType => choice(spec, 'type', TYPES, 'ClusterIP');

/** A port of the node; 0 if absent. */
export const nodePortAt = (place: LocatedFields, key: string): number =>
  place.fields[key] === 0 ? 0 : integer(place, key, 1, MAX_PORT, 0);

/**
 * Warns of a field that has no effect for the type of the Service. For fields that the API server itself clears when the type of a
 * Service changes (registry/core/service/strategy.go, dropTypeDependentFields): a left-over value does not make the Service invalid.
 */
export const warnUnused = (place: LocatedFields, key: string, type: ServiceType): void =>
  warn(place, key, `is set although spec.type is ${type}, and has no effect`);

/** spec.externalTrafficPolicy; Cluster for a Service without an external address. */
export function decodeExternalPolicy(spec: LocatedFields, type: ServiceType, hasExternalIPs: boolean): TrafficPolicy {
  const policy = choice(spec, 'externalTrafficPolicy', POLICIES, 'Cluster');
  if (type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && hasExternalIPs)) return policy;
  if (policy === 'Local') warnUnused(spec, 'externalTrafficPolicy', type);
  return 'Cluster';
}

/** spec.healthCheckNodePort of a Service that needs one (validation.go, validateServiceExternalTrafficPolicy); else 0. */
export function decodeHealthCheckNodePort(
  spec: LocatedFields,
  { type, ports, policy }: { readonly type: ServiceType; readonly ports: readonly ServicePort[]; readonly policy: TrafficPolicy },
): number {
  const key = 'healthCheckNodePort';
  const port = nodePortAt(spec, key);
  if (type !== 'LoadBalancer' || policy === 'Cluster') {
    const why = type === 'LoadBalancer' ? 'spec.externalTrafficPolicy is Cluster' : `spec.type is ${type}`;
    if (port !== 0) warn(spec, key, `is set although ${why}, and has no effect`);
    return 0;
  }
  if (port === 0) warn(spec, key, 'is missing, so load balancers cannot ask nodes for endpoints; the API server would assign one');
  const twin = ports.findIndex(({ protocol, nodePort }) => protocol === 'TCP' && nodePort === port && port !== 0);
  if (twin >= 0) wrong(spec, key, port, `different from that of spec.ports[${twin}].nodePort`);
  return port;
}
