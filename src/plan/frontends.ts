import {
  FRONTEND_DROP_LOCAL,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_RANGES_ADMIT_NODE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
} from '#abi/generated.ts';
import { type Address, ZERO_ADDRESS } from '#lib/address.ts';
import type { Service, ServicePort } from '#model/service.ts';
import type { Selection } from '#select/endpoints.ts';
import type { NodeView } from './node-view.ts';
import type { PlannedFrontend } from './port-plan.ts';
import type { ServiceAddresses } from './service-addresses.ts';

/** Behaviour of one kind of Service address: the list for each source, and FRONTEND_SNAT_* bits. */
type Route = Pick<PlannedFrontend, 'localSource' | 'outsideSource' | 'flags'>;

const SNAT_ALL = FRONTEND_SNAT_LOCAL | FRONTEND_SNAT_OUTSIDE;

/** The frontends of one Service port. An address of several kinds is a ClusterIP first, then a LoadBalancer address. */
export function planFrontends(
  service: Service,
  port: ServicePort,
  addresses: ServiceAddresses,
  selection: Selection,
  view: NodeView,
): readonly PlannedFrontend[] {
  const external = withDrops(externalRoute(service), selection);
  const balanced = { ...external, flags: external.flags | rangeFlags(addresses) };
  const internal = withDrops(internalRoute(service, addresses, view), selection);
  const routes = new Map<Address, Route>();
  for (const address of addresses.externalIPs) routes.set(address, external);
  for (const address of addresses.loadBalancerIPs) routes.set(address, balanced);
  for (const address of addresses.clusterIPs) routes.set(address, internal);
  const frontends = Array.from(routes, ([address, route]): PlannedFrontend => ({ address, port: port.port, ...route }));
  if (port.nodePort !== 0) frontends.push({ address: ZERO_ADDRESS[addresses.family], port: port.nodePort, ...external });
  return frontends;
}

/** ClusterIP: internalTrafficPolicy selects the list and does not affect SNAT (nftables/proxier.go, "masquerade clusterIP traffic"). */
function internalRoute(service: Service, { family }: ServiceAddresses, view: NodeView): Route {
  const list = service.internalTrafficPolicy === 'Local' ? 'local' : 'cluster';
  const flags = view.masqueradeAll ? SNAT_ALL : view.hasLocalDetector[family] ? FRONTEND_SNAT_OUTSIDE : 0;
  return { localSource: list, outsideSource: list, flags };
}

/**
 * externalIP, LoadBalancer IP and NodePort. With policy Cluster the endpoint may be on another node, so SNAT brings the reply back
 * through this node. With policy Local outsiders keep their address, and pods and the node reach every endpoint ("short circuit": as
 * if their packets had gone out to the load balancer and come back).
 */
function externalRoute(service: Service): Route {
  if (service.externalTrafficPolicy === 'Cluster') return { localSource: 'cluster', outsideSource: 'cluster', flags: SNAT_ALL };
  return { localSource: 'cluster', outsideSource: 'local', flags: 0 };
}

const rangeFlags = ({ sourceRanges, rangesAdmitNode }: ServiceAddresses): number =>
  (sourceRanges.length > 0 ? FRONTEND_SOURCE_RANGES : 0) | (rangesAdmitNode ? FRONTEND_RANGES_ADMIT_NODE : 0);

/** An empty list drops while another node has a usable endpoint, so that a load balancer tries that node; else it refuses. */
function withDrops(route: Route, selection: Selection): Route {
  const drops = (list: 'cluster' | 'local'): boolean => selection.anyUsable && selection[list].length === 0;
  const flags = (drops(route.localSource) ? FRONTEND_DROP_LOCAL : 0) | (drops(route.outsideSource) ? FRONTEND_DROP_OUTSIDE : 0);
  return { ...route, flags: route.flags | flags };
}
