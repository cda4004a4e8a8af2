import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { ModelKind, ModelObject } from '#model/objects.ts';
import type { Service } from '#model/service.ts';
import { type Item, NodeItem, ServiceCIDRItem, ServiceItem } from './items.ts';

/** Everything that can be sent, by small numbers, so that what a client has can be a plain array. */
export interface Board {
  set(object: ModelObject): void;
  remove(kind: ModelKind, key: string): void;
  /** Brings the items up to date; numbers of those that have changed since the last call. */
  takeChanged(): readonly number[];
  item(number: number): Item | undefined;
  /** Numbers of all items, and of some that are gone. */
  numbers(): Iterable<number>;
  zoneOf(nodeName: string): string;
  counts(): { readonly services: number; readonly endpoints: number };
  /** `isHeld`: whether some client still has what was there. The others are given to new items. */
  reuse(isHeld: (number: number) => boolean): void;
}

/** Numbers without an item beyond which it is worth asking whether they can be used again. */
const MANY = 1000;

/** An empty board. */
export function createBoard(): Board {
  const services = new Map<string, Service>();
  const slices = new Map<string, EndpointSlice>();
  const slicesOf = new Map<string, Map<string, EndpointSlice>>();
  const items: (Item | undefined)[] = [];
  const numbers = new Map<string, number>();
  /** What is gone keeps its number while somebody has it: what comes back under its name must not be deleted by its end. */
  const retired = new Map<number, string>();
  const free: number[] = [];
  const touched = new Set<string>();
  const changed = new Set<number>();

  const put = (id: string, item: Item | undefined): void => {
    const known = numbers.get(id);
    if (known === undefined && item === undefined) return;
    const number = known ?? free.pop() ?? items.length;
    items[number] = item;
    changed.add(number);
    numbers.set(id, number);
    if (item === undefined) retired.set(number, id);
    else retired.delete(number);
  };

  const putSlice = (key: string, slice: EndpointSlice | undefined): void => {
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

  const build = (key: string): void => {
    const service = services.get(key);
    const group = slicesOf.get(key);
    if (group?.size === 0) slicesOf.delete(key);
    const number = numbers.get(`Service ${key}`);
    const before = number === undefined ? undefined : (items[number] as ServiceItem | undefined);
    put(`Service ${key}`, service?.proxied ? new ServiceItem(service, [...(group?.values() ?? [])], before) : undefined);
  };

  return {
    set(object) {
      if (object.kind === 'EndpointSlice') putSlice(object.key, object.value);
      else if (object.kind === 'Node') put(`Node ${object.key}`, new NodeItem(object.value));
      else if (object.kind === 'ServiceCIDR') put(`ServiceCIDR ${object.key}`, new ServiceCIDRItem(object.value));
      else {
        services.set(object.key, object.value);
        touched.add(object.key);
      }
    },
    remove(kind, key) {
      if (kind === 'EndpointSlice') putSlice(key, undefined);
      else if (kind !== 'Service') put(`${kind} ${key}`, undefined);
      else {
        services.delete(key);
        touched.add(key);
      }
    },
    takeChanged() {
      for (const key of touched) build(key);
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
    reuse(isHeld) {
      if (retired.size < MANY) return;
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
