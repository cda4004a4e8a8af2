/** Keeps the source's objects as numbered items, and notes which items change. */
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { ModelKind, ModelObject } from '#model/objects.ts';
import type { Service } from '#model/service.ts';
import { type Item, NodeItem, ServiceCIDRItem, ServiceItem } from './items.ts';

/** All items, by small numbers, so that the views that a client has fit in a plain array. */
export interface ItemStore {
  set(object: ModelObject): void;
  remove(kind: ModelKind, key: string): void;
  /** Rebuilds the affected items; returns the numbers of the items that changed since the last call. */
  takeChanged(): readonly number[];
  item(number: number): Item | undefined;
  /** Numbers of all items, and of some removed ones. */
  numbers(): Iterable<number>;
  zoneOf(nodeName: string): string;
  counts(): { readonly services: number; readonly endpoints: number };
  /** Frees the numbers of removed items for new ones. `isHeld`: whether a client still has the item. */
  releaseNumbers(isHeld: (number: number) => boolean): void;
}

/** Removed items from which on it is worth releasing their numbers. */
const RELEASE_THRESHOLD = 1000;

/** An empty store. */
export function createItemStore(): ItemStore {
  const services = new Map<string, Service>();
  const slices = new Map<string, EndpointSlice>();
  const slicesOf = new Map<string, Map<string, EndpointSlice>>();
  const items: (Item | undefined)[] = [];
  const numbers = new Map<string, number>();
  /** Removed items, by number. An item keeps its number while a client has it: if it comes back, the client gets a change, not a late delete. */
  const retired = new Map<number, string>();
  const free: number[] = [];
  const touched = new Set<string>();
  const changed = new Set<number>();

  const setItem = (id: string, item: Item | undefined): void => {
    const known = numbers.get(id);
    if (known === undefined && item === undefined) return;
    const number = known ?? free.pop() ?? items.length;
    items[number] = item;
    changed.add(number);
    numbers.set(id, number);
    if (item === undefined) retired.set(number, id);
    else retired.delete(number);
  };

  const setSlice = (key: string, slice: EndpointSlice | undefined): void => {
    const before = slices.get(key);
    if (before !== undefined) {
      slicesOf.get(ownerOf(before))?.delete(key);
      touched.add(ownerOf(before));
    }
    if (slice === undefined) {
      slices.delete(key);
      return;
    }
    slices.set(key, slice);
    const group = slicesOf.get(ownerOf(slice)) ?? new Map<string, EndpointSlice>();
    slicesOf.set(ownerOf(slice), group.set(key, slice));
    touched.add(ownerOf(slice));
  };

  const rebuildService = (key: string): void => {
    const service = services.get(key);
    const group = slicesOf.get(key);
    if (group?.size === 0) slicesOf.delete(key);
    const number = numbers.get(`Service ${key}`);
    const before = number === undefined ? undefined : (items[number] as ServiceItem | undefined);
    setItem(`Service ${key}`, service?.proxied ? new ServiceItem(service, [...(group?.values() ?? [])], before) : undefined);
  };

  return {
    set(object) {
      if (object.kind === 'EndpointSlice') setSlice(object.key, object.value);
      else if (object.kind === 'Node') setItem(`Node ${object.key}`, new NodeItem(object.value));
      else if (object.kind === 'ServiceCIDR') setItem(`ServiceCIDR ${object.key}`, new ServiceCIDRItem(object.value));
      else {
        services.set(object.key, object.value);
        touched.add(object.key);
      }
    },
    remove(kind, key) {
      if (kind === 'EndpointSlice') setSlice(key, undefined);
      else if (kind !== 'Service') setItem(`${kind} ${key}`, undefined);
      else {
        services.delete(key);
        touched.add(key);
      }
    },
    takeChanged() {
      for (const key of touched) rebuildService(key);
      touched.clear();
      const numbersChanged = [...changed];
      changed.clear();
      return numbersChanged;
    },
    item: (number) => items[number],
    numbers: () => numbers.values(),
    zoneOf(nodeName) {
      const item = items[numbers.get(`Node ${nodeName}`) ?? -1];
      return item instanceof NodeItem ? item.node.zone : '';
    },
    counts: () => ({
      services: services.size,
      endpoints: [...slices.values()].reduce((sum, { endpoints }) => sum + endpoints.length, 0),
    }),
    releaseNumbers(isHeld) {
      if (retired.size < RELEASE_THRESHOLD) return;
      for (const [number, id] of retired) {
        if (isHeld(number)) continue;
        retired.delete(number);
        numbers.delete(id);
        free.push(number);
      }
    },
  };
}

const ownerOf = (slice: EndpointSlice): string => `${slice.namespace}/${slice.serviceName}`;
