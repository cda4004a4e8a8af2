import type { Address } from '#lib/address.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import type { ServicePort } from '#model/service.ts';

/** A usable address and port, and its endpoint. */
export interface Candidate {
  readonly address: Address;
  readonly port: number;
  readonly endpoint: Endpoint;
}

export interface SelectRequest {
  readonly servicePort: Pick<ServicePort, 'name' | 'protocol'>;
  /** Slices of one Service and one family, in any order. */
  readonly slices: readonly EndpointSlice[];
  /** This node; empty = no endpoint is local. */
  readonly nodeName: string;
  /** Label topology.kubernetes.io/zone of this node; empty if absent. */
  readonly zone: string;
}

export interface Selection {
  /** Endpoints for policy Cluster. */
  readonly cluster: readonly Candidate[];
  /** Endpoints of this node, for policy Local. May contain endpoints that `cluster` does not. */
  readonly local: readonly Candidate[];
  /** Ready endpoints of this node without topology; health checks count them. */
  readonly localReady: readonly Candidate[];
  /** All serving endpoints, including draining ones and ones that topology and policy exclude: their flows go on. */
  readonly serving: readonly Candidate[];
  /** Some node has a usable endpoint: an empty list then drops instead of refusing. */
  readonly anyUsable: boolean;
}

/**
 * The usable endpoints of one Service port on this node: pkg/proxy/topology.go, CategorizeEndpoints. Each list has its ready
 * endpoints; without a ready one, its endpoints that serve while terminating. Topology hints narrow only the ready endpoints of the
 * cluster list.
 */
export function selectEndpoints({ servicePort, slices, nodeName, zone }: SelectRequest): Selection {
  const candidates = candidatesOf(servicePort, slices);
  const ready = candidates.filter(({ endpoint }) => endpoint.ready);
  const leaving = candidates.filter(({ endpoint }) => !endpoint.ready && endpoint.serving && endpoint.terminating);
  const isHere = ({ endpoint }: Candidate): boolean => nodeName !== '' && endpoint.nodeName === nodeName;
  const readyHere = ready.filter(isHere);
  return {
    cluster: ready.length > 0 ? narrowByHints(ready, nodeName, zone) : leaving,
    local: readyHere.length > 0 ? readyHere : leaving.filter(isHere),
    localReady: readyHere,
    serving: candidates.filter(({ endpoint }) => endpoint.ready || endpoint.serving),
    anyUsable: ready.length > 0 || leaving.length > 0,
  };
}

/** Node hints take precedence over zone hints. Either kind applies only if all endpoints have it and one names this node or zone. */
function narrowByHints(ready: readonly Candidate[], nodeName: string, zone: string): readonly Candidate[] {
  return hintedFor(ready, 'hintNodes', nodeName) ?? hintedFor(ready, 'hintZones', zone) ?? ready;
}

function hintedFor(ready: readonly Candidate[], kind: 'hintNodes' | 'hintZones', place: string): readonly Candidate[] | undefined {
  if (ready.some(({ endpoint }) => endpoint[kind].length === 0)) return undefined;
  const hinted = ready.filter(({ endpoint }) => endpoint[kind].includes(place));
  return hinted.length > 0 ? hinted : undefined;
}

/**
 * Each address and port once. An endpoint serves only the port names of its own slice; protocols are distinct ports
 * (pkg/proxy/endpointslicecache.go, endpointInfoByServicePort).
 */
function candidatesOf(servicePort: SelectRequest['servicePort'], slices: readonly EndpointSlice[]): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of inNameOrder(slices)) {
    const port = slice.ports.find(({ name, protocol }) => name === servicePort.name && protocol === servicePort.protocol)?.port;
    if (port === undefined || slice.unproxied === true) continue;
    for (const endpoint of slice.endpoints) {
      const key = `${endpoint.address} ${port}`;
      const twin = found.get(key);
      if (twin === undefined || rank(endpoint) > rank(twin.endpoint)) found.set(key, { address: endpoint.address, port, endpoint });
    }
  }
  return [...found.values()];
}

/**
 * Of two endpoints with one address (a pod moves between slices, or its address is reused before its endpoint is gone) the one that
 * is not terminating wins, as in addEndpoints of endpointslicecache.go. Else the ready one wins, where upstream has no order.
 */
const rank = ({ ready, serving, terminating }: Endpoint): number => (terminating ? 0 : 4) + (ready ? 2 : 0) + (serving ? 1 : 0);

/** Makes the choice between equal endpoints independent of the order of the slices. */
const inNameOrder = (slices: readonly EndpointSlice[]): readonly EndpointSlice[] =>
  slices.length < 2 ? slices : slices.toSorted((a, b) => (a.name < b.name ? -1 : 1));
