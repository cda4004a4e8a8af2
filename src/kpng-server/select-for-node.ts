/** Selects the endpoints of a Service that one node needs. */
import { type Address, type Family, familyOf } from '#lib/address.ts';
import type { Endpoint, EndpointSlice } from '#model/endpoint-slice.ts';
import type { Service, ServicePort } from '#model/service.ts';
import { type Candidate, type Selection, selectEndpoints } from '#select/endpoints.ts';

export interface NodePlace {
  readonly nodeName: string;
  readonly zone: string;
}

/** The endpoints of a Service that serve traffic on a node, and the addresses that the node needs. */
export interface NodeSelection {
  /** `internal`: endpoints for clients that dial a ClusterIP; `external`: for clients that dial another address from outside. */
  readonly internal: ReadonlySet<Endpoint>;
  readonly external: ReadonlySet<Endpoint>;
  /** With only these addresses `select` returns the same result on the node as with all; undefined = all are needed. */
  readonly needed: ReadonlySet<Address> | undefined;
}

/** The selection for one Service port in one address family. */
interface PortSelection {
  readonly port: ServicePort;
  readonly slices: readonly EndpointSlice[];
  readonly selection: Selection;
}

/** `slices`: the slices of the Service. */
export function selectForNode(service: Service, slices: readonly EndpointSlice[], node: NodePlace): NodeSelection {
  const ports = FAMILIES.filter((family) => service.clusterIPs.some((address) => familyOf(address) === family)).flatMap((family) => {
    const own = slices.filter((slice) => slice.family === family);
    return service.ports.map(
      (port): PortSelection => ({ port, slices: own, selection: selectEndpoints({ servicePort: port, slices: own, ...node }) }),
    );
  });
  const [internal, external] = [new Set<Endpoint>(), new Set<Endpoint>()];
  for (const { selection } of ports) {
    for (const { endpoint } of selection[listOf(service.internalTrafficPolicy)]) internal.add(endpoint);
    for (const { endpoint } of selection[listOf(service.externalTrafficPolicy)]) external.add(endpoint);
  }
  return { internal, external, needed: neededAddresses(service, ports, node) };
}

const FAMILIES: readonly Family[] = [4, 6];

const listOf = (policy: Service['externalTrafficPolicy']): 'cluster' | 'local' => (policy === 'Local' ? 'local' : 'cluster');

function neededAddresses(service: Service, ports: readonly PortSelection[], node: NodePlace): ReadonlySet<Address> | undefined {
  const needed = new Set<Address>();
  for (const { port, selection } of ports) {
    const lists = usedLists(service, port).map((list) => selection[list]);
    for (const { address } of lists.flat()) needed.add(address);
    // An endpoint on another node makes the node drop packets instead of refusing them
    const [witness] = selection.cluster;
    if (witness !== undefined && lists.every((list) => list.length === 0)) needed.add(witness.address);
  }
  const isEnough = ports.every(({ port, slices, selection }) => {
    const fewer = slices.map((slice) => ({ ...slice, endpoints: slice.endpoints.filter(({ address }) => needed.has(address)) }));
    if (fewer.every(({ endpoints }, i) => endpoints.length === slices[i]?.endpoints.length)) return true;
    const again = selectEndpoints({ servicePort: port, slices: fewer, ...node });
    return again.anyUsable === selection.anyUsable && usedLists(service, port).every((list) => areSame(again[list], selection[list]));
  });
  return isEnough ? needed : undefined;
}

/** The lists that `plan` reads. Pods that dial an outer address of policy Local reach all endpoints; UDP flows stay with serving endpoints. */
function usedLists(service: Service, port: ServicePort): readonly ('cluster' | 'local' | 'localReady' | 'serving')[] {
  const isOuter = port.nodePort > 0 || service.externalIPs.length > 0 || service.loadBalancerIPs.length > 0;
  const hasLocal = service.internalTrafficPolicy === 'Local' || service.externalTrafficPolicy === 'Local';
  return [
    ...(service.internalTrafficPolicy === 'Cluster' || isOuter ? (['cluster'] as const) : []),
    ...(hasLocal ? (['local', 'localReady'] as const) : []),
    ...(port.protocol === 'UDP' ? (['serving'] as const) : []),
  ];
}

const areSame = (one: readonly Candidate[], other: readonly Candidate[]): boolean =>
  one.length === other.length && one.every(({ endpoint, port }, i) => endpoint === other[i]?.endpoint && port === other[i]?.port);
