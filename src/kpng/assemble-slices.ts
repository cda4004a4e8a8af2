/** Rebuilds EndpointSlices from the endpoints that a peer sends one by one. */
import type { Endpoint, EndpointPort, EndpointSlice } from '#model/endpoint-slice.ts';
import type { Service } from '#model/service.ts';
import type { DecodedEndpoint } from './decode-endpoint.ts';
import type { PortMapping } from './messages.ts';

/** A Service as a peer describes it, validated. */
export interface DecodedService {
  readonly service: Service;
  /** Target ports: the port of an endpoint whose message names none. */
  readonly targets: readonly Pick<PortMapping, 'Name' | 'TargetPort' | 'TargetPortName'>[];
}

/** A Service of a peer and its endpoints. */
export interface DecodedGroup {
  readonly namespace: string;
  readonly name: string;
  /** Undefined: not received yet, or not valid. */
  readonly service: DecodedService | undefined;
  /** In an order independent of their arrival. */
  readonly endpoints: readonly DecodedEndpoint[];
  /** The node that follows the stream; empty in the global stream. */
  readonly nodeName: string;
}

/** A hint that matches no node. */
const ELSEWHERE: readonly string[] = Object.freeze(['-']);

/**
 * EndpointSlices from which `select` chooses the endpoints that the peer means. Endpoints with facts give back their original slices.
 * Endpoints that the peer has already selected get facts by which `select` chooses them again; they need their Service and are left out
 * until it arrives.
 */
export function assembleSlices({ namespace, name, service, endpoints, nodeName }: DecodedGroup): readonly EndpointSlice[] {
  const groups = new Map<
    string,
    { readonly slice: string; readonly like: DecodedEndpoint; ports: readonly EndpointPort[]; all: Endpoint[] }
  >();
  const placed = placements(endpoints, service?.service, nodeName);
  endpoints.forEach((each, i) => {
    const ports = portsOf(each, service);
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

/** Ports of an endpoint; undefined while its Service, which names them, is missing. */
function portsOf({ ports, scopes }: DecodedEndpoint, decoded: DecodedService | undefined): readonly EndpointPort[] | undefined {
  if (ports.length > 0 && ports.every(({ protocol }) => protocol !== undefined)) return ports as readonly EndpointPort[];
  if (decoded === undefined) return scopes === undefined && ports.length === 0 ? [] : undefined;
  return decoded.service.ports.flatMap(({ name, protocol }, i) => {
    const target = decoded.targets[i];
    // As KPNG's own back ends look for it (api/localv1/endpoint.go, PortMapping)
    const override = ports.find((port) => port.name === (name === '' ? (target?.TargetPortName ?? '') : name));
    const port = override?.port ?? target?.TargetPort ?? 0;
    return port === 0 ? [] : [{ name, protocol, port }];
  });
}

/** The endpoints; those without facts (`scopes` is set) get a node and hints by which `select` chooses them again. */
function placements(endpoints: readonly DecodedEndpoint[], service: Service | undefined, nodeName: string): readonly Endpoint[] {
  const lists = endpoints.map(({ scopes }) => listsOf(scopes, service));
  const needHints = lists.some((list) => list?.local && !list.cluster);
  return endpoints.map(({ endpoint }, i) => {
    const list = lists[i];
    if (list === undefined) return endpoint;
    const hintNodes = needHints ? (list.cluster ? [nodeName] : ELSEWHERE) : endpoint.hintNodes;
    return { ...endpoint, nodeName: list.local ? nodeName : '', hintNodes };
  });
}

/** The lists of `select` that an endpoint selected by the peer belongs to; undefined where `select` decides by the facts. */
function listsOf(scopes: DecodedEndpoint['scopes'], service: Service | undefined): { cluster: boolean; local: boolean } | undefined {
  if (scopes === undefined) return undefined;
  const { internal, external, local } = scopes;
  const internalIsLocal = service?.internalTrafficPolicy === 'Local';
  const externalIsLocal = service?.externalTrafficPolicy === 'Local';
  return {
    cluster: (!internalIsLocal && internal) || (!externalIsLocal && external),
    local: internalIsLocal || externalIsLocal ? (internalIsLocal && internal) || (externalIsLocal && external) : local,
  };
}
