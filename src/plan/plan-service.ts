import { BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST } from '#abi/generated.ts';
import type { Family } from '#lib/address.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { Protocol, Service, ServicePort } from '#model/service.ts';
import { type Candidate, selectEndpoints } from '#select/endpoints.ts';
import { planFrontends } from './frontends.ts';
import type { NodeView } from './node-view.ts';
import type { EndpointList, PlannedBackend, PortPlan } from './port-plan.ts';
import { addressesOf, type ServiceAddresses } from './service-addresses.ts';

const FAMILIES: readonly Family[] = [4, 6];

/** IPPROTO_*. */
const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Bytes of `text` in struct service_name, without the final zero. */
const MAX_NAME_BYTES = 151;

/**
 * Plans a Service on one node: one plan per port and family of its ClusterIPs. Addresses of a family without a ClusterIP are not
 * served, as in kube-proxy (servicechangetracker.go, serviceToServiceMap). Never throws.
 */
export function planService(service: Service, slices: readonly EndpointSlice[], view: NodeView): readonly PortPlan[] {
  if (!service.proxied) return [];
  return FAMILIES.flatMap((family) => {
    const addresses = addressesOf(service, family, view);
    if (addresses.clusterIPs.length === 0) return [];
    const own = slices.filter((slice) => slice.family === family);
    return service.ports.map((port) => planPort(service, port, addresses, own, view));
  });
}

function planPort(
  service: Service,
  port: ServicePort,
  addresses: ServiceAddresses,
  slices: readonly EndpointSlice[],
  view: NodeView,
): PortPlan {
  const selection = selectEndpoints({ servicePort: port, slices, nodeName: view.nodeName, zone: view.zone });
  const frontends = planFrontends(service, port, addresses, selection, view);
  const listed = (list: EndpointList): readonly Candidate[] =>
    frontends.some(({ localSource, outsideSource }) => localSource === list || outsideSource === list) ? selection[list] : [];
  const backends = planBackends(listed('cluster'), listed('local'));
  return {
    name: planName(service, port),
    family: addresses.family,
    protocol: PROTOCOL_NUMBERS[port.protocol],
    createdAt: service.createdAt,
    clusterIPs: addresses.clusterIPs,
    backends,
    ...(port.protocol === 'UDP' ? unlistedAmong(selection.serving, backends) : {}),
    frontends,
    sourceRanges: addresses.sourceRanges,
    affinitySeconds: service.affinitySeconds,
  };
}

/** Policy, topology and termination do not end a flow: pkg/proxy/conntrack/cleanup.go, CleanStaleEntries. */
function unlistedAmong(serving: readonly Candidate[], backends: readonly PlannedBackend[]): Pick<PortPlan, 'unlisted'> {
  if (serving.length === backends.length) return {};
  const listed = new Set(backends.map(({ address, port }) => `${address} ${port}`));
  return {
    unlisted: serving.filter(({ address, port }) => !listed.has(`${address} ${port}`)).map(({ address, port }) => ({ address, port })),
  };
}

/** Port names have up to 63 characters. A name that does not fit is cut; port number and protocol keep the plan's name unique. */
function planName(service: Service, port: ServicePort): string {
  const name = `${service.namespace}/${service.name}${port.name === '' ? '' : `:${port.name}`}`;
  if (name.length <= MAX_NAME_BYTES) return name;
  const tail = `~${port.port}/${port.protocol}`;
  return name.slice(0, MAX_NAME_BYTES - tail.length) + tail;
}

function planBackends(cluster: readonly Candidate[], local: readonly Candidate[]): readonly PlannedBackend[] {
  const inCluster = new Set(cluster);
  const inLocal = new Set(local);
  return [
    ...inOrder(
      cluster.filter((candidate) => !inLocal.has(candidate)),
      BACKEND_CLUSTER_LIST,
    ),
    ...inOrder(
      cluster.filter((candidate) => inLocal.has(candidate)),
      BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST,
    ),
    ...inOrder(
      local.filter((candidate) => !inCluster.has(candidate)),
      BACKEND_LOCAL_LIST,
    ),
  ];
}

/** Sorted by address, then port, so that an unrelated change moves no backend. */
const inOrder = (candidates: readonly Candidate[], flags: number): readonly PlannedBackend[] =>
  candidates
    .map(({ address, port }) => ({ address, port, flags }))
    .sort((a, b) => (a.address === b.address ? a.port - b.port : a.address < b.address ? -1 : 1));
