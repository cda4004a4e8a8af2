import type { Address } from '#lib/address.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import type { ServicePort } from '#model/service.ts';

/** One address and port that may answer, and the endpoint behind it. */
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
  /** Label topology.kubernetes.io/zone of this node, else empty. */
  readonly zone: string;
}

export interface Selection {
  /** Who answers where the policy is Cluster. */
  readonly cluster: readonly Candidate[];
  /** Who answers where the policy is Local: endpoints of this node. May hold some that `cluster` does not. */
  readonly local: readonly Candidate[];
  /** Ready endpoints of this node, whatever the topology says: what health checks count. */
  readonly localReady: readonly Candidate[];
  /** Everybody who serves, draining or out of reach of topology and policy: their flows go on. */
  readonly serving: readonly Candidate[];
  /** Somebody could answer on some node: an empty list then means drop, not refuse. */
  readonly anyUsable: boolean;
}

/**
 * The endpoints that may answer for one Service port on this node: pkg/proxy/topology.go, CategorizeEndpoints. Ready ones; if
 * there are none, those that still serve while they terminate, decided for each list by itself. Topology hints narrow the
 * ready endpoints of the cluster list and nothing else.
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

/** Hints for nodes come before hints for zones; either kind counts only if all have it and one names this place. */
function narrowByHints(ready: readonly Candidate[], nodeName: string, zone: string): readonly Candidate[] {
  return hintedFor(ready, 'hintNodes', nodeName) ?? hintedFor(ready, 'hintZones', zone) ?? ready;
}

function hintedFor(ready: readonly Candidate[], kind: 'hintNodes' | 'hintZones', place: string): readonly Candidate[] | undefined {
  if (ready.some(({ endpoint }) => endpoint[kind].length === 0)) return undefined;
  const hinted = ready.filter(({ endpoint }) => endpoint[kind].includes(place));
  return hinted.length > 0 ? hinted : undefined;
}

/**
 * Each address and port once. An endpoint serves only the port names of its own slice; a port of another protocol is another
 * port (pkg/proxy/endpointslicecache.go, endpointInfoByServicePort).
 */
function candidatesOf(servicePort: SelectRequest['servicePort'], slices: readonly EndpointSlice[]): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of inNameOrder(slices)) {
    const port = slice.ports.find(({ name, protocol }) => name === servicePort.name && protocol === servicePort.protocol)?.port;
    if (port === undefined || slice.headless === true) continue;
    for (const endpoint of slice.endpoints) {
      const key = `${endpoint.address} ${port}`;
      const twin = found.get(key);
      if (twin === undefined || rank(endpoint) > rank(twin.endpoint)) found.set(key, { address: endpoint.address, port, endpoint });
    }
  }
  return [...found.values()];
}

/**
 * Of two endpoints with one address (a pod moves between slices, or its address was given away before it was gone) the running
 * one counts, as in addEndpoints of endpointslicecache.go; of two running ones, where upstream leaves it open, the ready one.
 */
const rank = ({ ready, serving, terminating }: Endpoint): number => (terminating ? 0 : 4) + (ready ? 2 : 0) + (serving ? 1 : 0);

/** So that equal twins are settled the same way whatever the order of the slices. */
const inNameOrder = (slices: readonly EndpointSlice[]): readonly EndpointSlice[] =>
  slices.length < 2 ? slices : slices.toSorted((a, b) => (a.name < b.name ? -1 : 1));
