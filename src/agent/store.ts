import type { Prefix } from '#lib/address.ts';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { Node } from '#model/node.ts';
import type { ModelKind, ModelObject } from '#model/objects.ts';
import type { Service } from '#model/service.ts';

/** The latest objects of the source, and the Services that have changed since the last pass. */
export interface Store {
  set(object: ModelObject): void;
  /** Like set(), for an object from the journal: the kernel holds what follows from it. */
  recall(object: ModelObject): void;
  remove(kind: ModelKind, key: string): void;
  /** The Service and its EndpointSlices. */
  service(key: string): { readonly service: Service | undefined; readonly slices: readonly EndpointSlice[] };
  node(): Node | undefined;
  /** The ranges of all ServiceCIDRs; a new array after each change. */
  serviceCIDRs(): readonly Prefix[];
  /** Marks every known Service as touched, because the node's facts have changed. */
  touchAll(): void;
  /** Keys of the Services touched since the last call, by set(), remove() or recall(). */
  takeTouched(): readonly string[];
  /** Keys of the Services touched by set() or remove() after a recall(); empty if nothing was recalled. */
  takeNews(): readonly string[];
  counts(): { readonly services: number; readonly slices: number };
}

/** `nodeName`: the only Node that the store keeps. */
export function createStore(nodeName: string): Store {
  const services = new Map<string, Service>();
  const slices = new Map<string, EndpointSlice>();
  const slicesOfService = new Map<string, Map<string, EndpointSlice>>();
  const touched = new Set<string>();
  const recalled = new Set<string>();
  let ownNode: Node | undefined;
  const ranges = new Map<string, readonly Prefix[]>();
  let allRanges: readonly Prefix[] = [];

  const putSlice = (key: string, slice: EndpointSlice | undefined, marked = touched): void => {
    const before = slices.get(key);
    if (before !== undefined) unlink(slicesOfService, serviceKey(before), key, marked);
    if (slice === undefined) {
      slices.delete(key);
      return;
    }
    slices.set(key, slice);
    const group = slicesOfService.get(serviceKey(slice)) ?? new Map<string, EndpointSlice>();
    slicesOfService.set(serviceKey(slice), group.set(key, slice));
    marked.add(serviceKey(slice));
  };

  const putService = (key: string, service: Service | undefined, marked = touched): void => {
    if (service === undefined) services.delete(key);
    else services.set(key, service);
    marked.add(key);
  };

  const putRange = (key: string, cidrs: readonly Prefix[] | undefined): void => {
    if (cidrs === undefined) ranges.delete(key);
    else ranges.set(key, cidrs);
    allRanges = [...ranges.values()].flat();
  };

  const put = (object: ModelObject, marked: Set<string>): void => {
    if (object.kind === 'Service') putService(object.key, object.value, marked);
    else if (object.kind === 'EndpointSlice') putSlice(object.key, object.value, marked);
    else if (object.kind === 'ServiceCIDR') putRange(object.key, object.value.cidrs);
    else if (object.key === nodeName) ownNode = object.value;
  };

  const take = (...marks: readonly Set<string>[]): readonly string[] => {
    const keys = new Set(marks.flatMap((marked) => [...marked]));
    for (const marked of marks) marked.clear();
    return [...keys];
  };

  return {
    set: (object) => put(object, touched),
    recall: (object) => put(object, recalled),
    remove(kind, key) {
      if (kind === 'Service') putService(key, undefined);
      else if (kind === 'EndpointSlice') putSlice(key, undefined);
      else if (kind === 'ServiceCIDR') putRange(key, undefined);
      else if (key === nodeName) ownNode = undefined;
    },
    service: (key) => ({ service: services.get(key), slices: [...(slicesOfService.get(key)?.values() ?? [])] }),
    node: () => ownNode,
    serviceCIDRs: () => allRanges,
    touchAll() {
      for (const key of services.keys()) touched.add(key);
    },
    takeTouched: () => take(touched, recalled),
    takeNews: () => (recalled.size === 0 ? [] : take(touched)),
    counts: () => ({ services: services.size, slices: slices.size }),
  };
}

const serviceKey = (slice: EndpointSlice): string => `${slice.namespace}/${slice.serviceName}`;

function unlink(groups: Map<string, Map<string, EndpointSlice>>, service: string, key: string, touched: Set<string>): void {
  const group = groups.get(service);
  group?.delete(key);
  if (group?.size === 0) groups.delete(service);
  touched.add(service);
}
