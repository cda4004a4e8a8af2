import type { Endpoint, EndpointPort, EndpointSlice } from '#model/endpoint-slice.ts';
import type { Service } from '#model/service.ts';
import type { HeardEndpoint } from './hear-endpoint.ts';
import type { PortMapping } from './messages.ts';

/** A Service as a peer describes it, checked. */
export interface HeardService {
  readonly service: Service;
  /** Where peers look for the port of an endpoint that names none. */
  readonly targets: readonly Pick<PortMapping, 'Name' | 'TargetPort' | 'TargetPortName'>[];
}

/** Everything that a peer says about the endpoints of one Service. */
export interface HeardGroup {
  readonly namespace: string;
  readonly name: string;
  /** Undefined: not said, or not valid. */
  readonly heard: HeardService | undefined;
  /** In an order that does not depend on when they came. */
  readonly endpoints: readonly HeardEndpoint[];
  /** This node; empty in the global stream. */
  readonly nodeName: string;
}

/** A hint for a place that is no node. */
const ELSEWHERE: readonly string[] = Object.freeze(['-']);

/**
 * EndpointSlices of which `select` makes what the peer means. Endpoints that come with all facts give the slices that they were taken
 * from; of those that a peer has selected the facts are made up so that they are selected again. The latter need their Service: until it
 * is there they are left out.
 */
export function assembleSlices({ namespace, name, heard, endpoints, nodeName }: HeardGroup): readonly EndpointSlice[] {
  const groups = new Map<
    string,
    { readonly slice: string; readonly like: HeardEndpoint; ports: readonly EndpointPort[]; all: Endpoint[] }
  >();
  const placed = placements(endpoints, heard?.service, nodeName);
  endpoints.forEach((each, i) => {
    const ports = portsOf(each, heard);
    if (ports === undefined) return;
    const slice = each.slice === '' ? `${name}-ipv${each.family}` : each.slice;
    const key = `${slice} ${each.family} ${JSON.stringify(ports)}`;
    const group = groups.get(key) ?? { slice, like: each, ports, all: [] };
    group.all.push(placed[i] as Endpoint);
    groups.set(key, group);
  });
  const used = new Map<string, number>();
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { slice, like, ports, all }]) => {
      const twins = used.get(slice) ?? 0;
      used.set(slice, twins + 1);
      const unique = twins === 0 ? slice : `${slice}.${twins}`;
      return { namespace, name: unique, serviceName: name, family: like.family, endpoints: all, ports, triggeredAt: 0 };
    });
}

/** Undefined: what is needed for that has not been said yet. */
function portsOf({ ports, standing }: HeardEndpoint, heard: HeardService | undefined): readonly EndpointPort[] | undefined {
  if (ports.length > 0 && ports.every(({ protocol }) => protocol !== undefined)) return ports as readonly EndpointPort[];
  if (heard === undefined) return standing === undefined && ports.length === 0 ? [] : undefined;
  return heard.service.ports.flatMap(({ name, protocol }, i) => {
    const target = heard.targets[i];
    // As KPNG's own back ends look for it (api/localv1/endpoint.go, PortMapping)
    const override = ports.find((port) => port.name === (name === '' ? (target?.TargetPortName ?? '') : name));
    const port = override?.port ?? target?.TargetPort ?? 0;
    return port === 0 ? [] : [{ name, protocol, port }];
  });
}

/** Endpoints, those that a peer has selected with facts by which they are selected again: ready, here if the policy Local wants them. */
function placements(endpoints: readonly HeardEndpoint[], service: Service | undefined, nodeName: string): readonly Endpoint[] {
  const lists = endpoints.map(({ standing }) => listsOf(standing, service));
  const needHints = lists.some((list) => list?.local && !list.cluster);
  return endpoints.map(({ endpoint }, i) => {
    const list = lists[i];
    if (list === undefined) return endpoint;
    const hintNodes = needHints ? (list.cluster ? [nodeName] : ELSEWHERE) : endpoint.hintNodes;
    return { ...endpoint, nodeName: list.local ? nodeName : '', hintNodes };
  });
}

/** In which of the lists of `select` an endpoint belongs that a peer has selected; undefined where `select` decides itself. */
function listsOf(standing: HeardEndpoint['standing'], service: Service | undefined): { cluster: boolean; local: boolean } | undefined {
  if (standing === undefined) return undefined;
  const { internal, external, local } = standing;
  const internalIsLocal = service?.internalTrafficPolicy === 'Local';
  const externalIsLocal = service?.externalTrafficPolicy === 'Local';
  return {
    cluster: (!internalIsLocal && internal) || (!externalIsLocal && external),
    local: internalIsLocal || externalIsLocal ? (internalIsLocal && internal) || (externalIsLocal && external) : local,
  };
}
