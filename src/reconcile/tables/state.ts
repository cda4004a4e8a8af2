import type { RangeKey, TableEntry } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import type { Tables } from '../ports/tables.ts';
import { createIdAllocator, type IdAllocator, type Run } from './id-allocator.ts';

/** Freed slots and ids wait this long before they are used again: far longer than any program runs. */
export const REST_MS = 5000;

/** Tables whose places reconcile hands out itself. */
export type AllocatedTable = 'services' | 'backends' | 'slots';

/** A backend and its place; flags 0 = has an id, but is not (or no longer) live in the kernel. */
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

/** What the kernel holds of one service id. */
export interface PortState {
  /** portIdentity() of its name, or `#id` for entries that no name belongs to. */
  readonly identity: string;
  readonly service: number;
  /** `services` has it. */
  named: boolean;
  /** What `services` says of frontends that it wants and another has. */
  lostFrontends: number;
  backends: PlacedBackend[];
  /** Ranges that its frontends point into; between two passes no others. */
  ranges: SlotRange[];
  /** By frontendText(). */
  readonly frontends: Map<string, TableEntry<'frontends'>>;
  /** By rangeText(). */
  readonly sourceRanges: Map<string, RangeKey>;
}

/** Everything that the kernel holds, as reconcile knows it. */
export interface State {
  readonly ports: Map<string, PortState>;
  /** Whose frontend it is, by frontendText(). */
  readonly owners: Map<string, PortState>;
  /** ADDRESS_* bits. */
  readonly addresses: Map<Address, number>;
  readonly node: NodeTables;
  readonly allocators: Readonly<Record<AllocatedTable, IdAllocator>>;
  /** When backends went that are not back, ms, by retiredText(); the last REST_MS. */
  readonly retired: Map<string, number>;
  /** Found by adopt(): places that live frontends use although they are not theirs. Kept until everything is repaired. */
  quarantine: Readonly<Record<'backends' | 'slots', readonly Run[]>>;
}

/** Tables that no Service owns; keys are texts of the table's key. */
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

/** A service id that the kernel knows nothing of yet. */
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

/** Spaces of these tables. Service ids and backend ids start at 1, so an element of zeros never means a live one. */
export function createAllocators(tables: Tables, taken: Readonly<Record<AllocatedTable, readonly Run[]>>): State['allocators'] {
  const space = (name: AllocatedTable, bounds: Run): IdAllocator => createIdAllocator(bounds, REST_MS, taken[name]);
  return {
    services: space('services', { first: 1, count: tables.limit('services') }),
    backends: space('backends', { first: 1, count: tables.limit('backends') - 1 }),
    slots: space('slots', { first: 0, count: tables.limit('slots') }),
  };
}

/** Forgets backends that went long ago; they are in the order in which they went. */
export function forgetRetired({ retired }: State, now: number): void {
  for (const [text, wentAt] of retired) {
    if (now - wentAt < REST_MS) return;
    retired.delete(text);
  }
}

/** After a pass: gives back what no frontend of the port needs any more, and the port itself when nothing of it is left. */
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
