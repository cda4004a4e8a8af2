import { FRONTEND_DROP_LOCAL, FRONTEND_DROP_OUTSIDE } from '#abi/generated.ts';
import type { PortPlan } from './port-plan.ts';

/** Whose policy `Local` finds no endpoint on this node although others have some: that of ClusterIPs, or of the other addresses. */
export type PolicyKind = 'internal' | 'external';

/** kube-proxy counts these (nftables/proxier.go, serviceNoLocalEndpointsTotalInternal and ...External). */
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
