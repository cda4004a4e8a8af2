import { FRONTEND_DROP_LOCAL, FRONTEND_DROP_OUTSIDE } from '#abi/generated.ts';
import type { PortPlan } from './port-plan.ts';

/** A traffic policy: of ClusterIPs, or of the other addresses. */
export type PolicyKind = 'internal' | 'external';

/**
 * The policies `Local` without an endpoint on this node while other nodes have some; kube-proxy counts them (nftables/proxier.go,
 * serviceNoLocalEndpointsTotalInternal and ...External).
 */
export function policiesWithoutLocal({ frontends, clusterIPs }: PortPlan): readonly PolicyKind[] {
  const internal = frontends.some(
    ({ address, localSource, flags }) => clusterIPs.includes(address) && localSource === 'local' && (flags & FRONTEND_DROP_LOCAL) !== 0,
  );
  const external = frontends.some(
    ({ address, outsideSource, flags }) =>
      !clusterIPs.includes(address) && outsideSource === 'local' && (flags & FRONTEND_DROP_OUTSIDE) !== 0,
  );
  return [...(internal ? (['internal'] as const) : []), ...(external ? (['external'] as const) : [])];
}
