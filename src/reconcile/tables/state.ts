import type { RangeKey, TableEntry } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import type { Tables } from '../ports/tables.ts';
import { createIdAllocator, type IdAllocator, type Run } from './id-allocator.ts';

/** How long freed slots and ids rest before they are used again, ms: far longer than any program runs. */
export const REST_MS = 5000;

/** Tables whose places reconcile allocates. */
export type AllocatedTable = 'services' | 'backends' | 'slots';

/** A backend and its id. Flags 0: the kernel does not hold it as live, not yet or no longer. */
export interface PlacedBackend {
  readonly id: number;
  readonly address: Address;
  readonly port: number;
  flags: number;
}

/** A run of slots and the backend ids in it. */
export interface SlotRange {
  readonly first: number;
  readonly backends: readonly number[];
}

/** The entries of one service id in the kernel. */
export interface PortState {
  /** portIdentity() of its name; `#id` for entries of an id without a name. */
  readonly identity: string;
  readonly service: number;
  /** Table `services` holds its name. */
  named: boolean;
  /** The count in `services` of wanted frontends that another Service port owns. */
  lostFrontends: number;
  backends: PlacedBackend[];
  /** Ranges that its frontends point into. During a pass also ranges that are being replaced. */
  ranges: SlotRange[];
  /** By frontendText(). */
  readonly frontends: Map<string, TableEntry<'frontends'>>;
  /** By rangeText(). */
  readonly sourceRanges: Map<string, RangeKey>;
}

/** The contents of the kernel's tables. */
export interface State {
  readonly ports: Map<string, PortState>;
  /** The port that owns a frontend, by frontendText(). */
  readonly owners: Map<string, PortState>;
  /** ADDRESS_* bits. */
  readonly addresses: Map<Address, number>;
  readonly node: NodeTables;
  readonly allocators: Readonly<Record<AllocatedTable, IdAllocator>>;
  /** When each backend of the last REST_MS was retired, ms, by retiredText(); backends that came back are left out. */
  readonly retired: Map<string, number>;
  /** What UDP flows may still use although the kernel does not hold it any more, since the agent started. */
  readonly withdrawn: Withdrawn;
  /** Ids that programs of an earlier agent may use with other tables, by the endpoint that they mean there; free after REST_MS. */
  found: { readonly ids: ReadonlyMap<string, number[]>; readonly at: number };
  /** Places found by adopt() that live frontends of several ports use. They stay taken until every port is repaired. */
  quarantine: Readonly<Record<'backends' | 'slots', readonly Run[]>>;
}

/** Destinations that weir has withdrawn; the last WITHDRAWN_KEPT of each. */
export interface Withdrawn {
  /** Backends of UDP frontends when they were withdrawn, by frontendText(). */
  readonly frontends: Map<string, readonly PlacedBackend[]>;
  /** Addresses of the node that lost their NodePorts. */
  readonly nodeAddresses: Map<Address, true>;
}

const WITHDRAWN_KEPT = 10_000;

/** Adds to a map of withdrawn destinations; the oldest one goes if there are too many. */
export function rememberWithdrawn<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > WITHDRAWN_KEPT) map.delete(map.keys().next().value as K);
}

/** The node's own tables, by the text of each key. */
export interface NodeTables {
  readonly settings: Map<string, TableEntry<'settings'>>;
  readonly local_nets: Map<string, TableEntry<'local_nets'>>;
  readonly devices: Map<string, TableEntry<'devices'>>;
}

/** Text of a backend of a Service port, for maps. */
export const retiredText = (port: PortState, backend: { readonly address: Address; readonly port: number }): string =>
  `${port.identity} ${backend.address} ${backend.port}`;

/** Text of a prefix in a longest-prefix table, for maps. */
export const rangeText = (key: { readonly prefixBits: number; readonly address: Address }): string => `${key.address}/${key.prefixBits}`;

/** A service id without entries in the kernel. */
export const newPort = (identity: string, service: number): PortState => ({
  identity,
  service,
  named: false,
  lostFrontends: 0,
  backends: [],
  ranges: [],
  frontends: new Map(),
  sourceRanges: new Map(),
});

/** Allocators for these tables. Service ids and backend ids start at 1, so an element of zeros is never live. */
export function createAllocators(tables: Tables, taken: Readonly<Record<AllocatedTable, readonly Run[]>>): State['allocators'] {
  const space = (name: AllocatedTable, bounds: Run): IdAllocator => createIdAllocator(bounds, REST_MS, taken[name]);
  return {
    services: space('services', { first: 1, count: tables.limit('services') }),
    backends: space('backends', { first: 1, count: tables.limit('backends') - 1 }),
    slots: space('slots', { first: 0, count: tables.limit('slots') }),
  };
}

/** Forgets backends that were retired more than REST_MS ago; the map is in the order of retirement. */
export function forgetRetired({ retired }: State, now: number): void {
  for (const [text, wentAt] of retired) {
    if (now - wentAt < REST_MS) return;
    retired.delete(text);
  }
}

/** Releases the found ids that no backend has taken, once programs of this agent run. */
export function releaseFound(state: State, now: number): void {
  if (state.found.ids.size === 0 || now - state.found.at < REST_MS) return;
  for (const ids of state.found.ids.values()) for (const first of ids) state.allocators.backends.release({ first, count: 1 }, now);
  state.found = { ids: new Map(), at: now };
}

/** Text of an endpoint, for maps. */
export const endpointText = (endpoint: { readonly address: string; readonly port: number }): string =>
  `${endpoint.address} ${endpoint.port}`;

/** After a pass: releases places that no frontend of the port needs any more, and the service id of a port without entries. */
export function settle(state: State, port: PortState, now: number): void {
  const { allocators } = state;
  const [kept, left] = partition(port.ranges, (range) => isPointedTo(port, range));
  port.ranges = kept;
  for (const range of left) allocators.slots.release({ first: range.first, count: range.backends.length }, now);
  if (port.backends.some((backend) => backend.flags === 0)) releaseBackends(state, port, now);
  if (port.named || port.backends.length + port.frontends.size + port.sourceRanges.size > 0) return;
  allocators.services.release({ first: port.service, count: 1 }, now);
  state.ports.delete(port.identity);
}

function releaseBackends(state: State, port: PortState, now: number): void {
  const listed = new Set(port.ranges.flatMap((range) => range.backends));
  const [kept, gone] = partition(port.backends, (backend) => backend.flags !== 0 || listed.has(backend.id));
  port.backends = kept;
  for (const backend of gone) state.allocators.backends.release({ first: backend.id, count: 1 }, now);
}

function isPointedTo(port: PortState, range: SlotRange): boolean {
  const end = range.first + range.backends.length;
  for (const { value } of port.frontends.values()) {
    for (const extent of [value.localSource, value.outsideSource]) {
      if (extent.count > 0 && extent.first < end && extent.first + extent.count > range.first) return true;
    }
  }
  return false;
}

function partition<T>(items: readonly T[], keep: (item: T) => boolean): [T[], T[]] {
  const kept: T[] = [];
  const left: T[] = [];
  for (const item of items) (keep(item) ? kept : left).push(item);
  return [kept, left];
}
