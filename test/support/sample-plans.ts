import { BACKEND_CLUSTER_LIST } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import type { PlannedBackend, PlannedFrontend, PortPlan } from '#plan/port-plan.ts';

/** IPPROTO_TCP. */
export const TCP = 6;
/** IPPROTO_UDP. */
export const UDP = 17;

/** A plan for tests: by default one ClusterIP frontend on port 80 for all sources, and no backends. */
export function samplePlan(name: string, fields: Partial<PortPlan> = {}): PortPlan {
  const clusterIPs = fields.clusterIPs ?? ['172.30.0.1' as Address];
  return {
    name,
    family: 4,
    protocol: TCP,
    createdAt: '2026-01-01T00:00:00Z',
    clusterIPs,
    backends: [],
    frontends: clusterIPs.map((address) => sampleFrontend(address)),
    sourceRanges: [],
    affinitySeconds: 0,
    ...fields,
  };
}

/** A frontend on port 80 that the cluster list answers. */
export const sampleFrontend = (address: string, fields: Partial<PlannedFrontend> = {}): PlannedFrontend => ({
  address: address as Address,
  port: 80,
  flags: 0,
  localSource: 'cluster',
  outsideSource: 'cluster',
  ...fields,
});

/** A backend on port 8080 of the cluster list. */
export const sampleBackend = (address: string, flags: number = BACKEND_CLUSTER_LIST, port = 8080): PlannedBackend => ({
  address: address as Address,
  port,
  flags,
});

/** Number `i` of many Services: its own ClusterIP and `count` endpoints of its own. */
export function numberedPlan(i: number, count: number): PortPlan {
  const backends = Array.from({ length: count }, (_, k) => sampleBackend(`10.${k}.${i >> 8}.${i & 255}`));
  return samplePlan(`many/service-${i}:http`, { clusterIPs: [`172.30.${i >> 8}.${i & 255}` as Address], backends });
}
