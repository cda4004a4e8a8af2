import type { FrontendKey, RangeKey, TableEntry } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import { createSpace, type Run, type Space } from './space.ts';
import type { Step } from './steps.ts';
import type { Tables } from './tables.ts';

/** Freed slots and ids wait this long before they are used again: far longer than any program runs. */
export const REST_MS = 5000;

/** Tables whose places reconcile hands out itself. */
export type SpaceName = 'services' | 'backends' | 'slots';

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
  readonly spaces: Readonly<Record<SpaceName, Space>>;
  /** When backends went that are not back, ms, by retiredText(); the last REST_MS. */
  readonly retired: Map<string, number>;
  /** Found by adopt(): places that live frontends use although they are not theirs. Kept until everything is repaired. */
  limbo: Readonly<Record<'backends' | 'slots', readonly Run[]>>;
}

/** Tables that no Service owns; keys are texts of the table's key. */
export interface NodeTables {
  readonly settings: Map<string, TableEntry<'settings'>>;
  readonly local_nets: Map<string, TableEntry<'local_nets'>>;
  readonly devices: Map<string, TableEntry<'devices'>>;
}

/** One Service port in one family and one protocol: what a service id stands for. */
export const portIdentity = (name: string, family: number, protocol: number): string => `${name} ${family} ${protocol}`;

/** Text of a frontend's key, for maps. */
export const frontendText = (key: FrontendKey): string => `${key.address} ${key.port} ${key.protocol}`;

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
export function createSpaces(tables: Tables, taken: Readonly<Record<SpaceName, readonly Run[]>>): State['spaces'] {
  const space = (name: SpaceName, bounds: Run): Space => createSpace(bounds, REST_MS, taken[name]);
  return {
    services: space('services', { first: 1, count: tables.limit('services') }),
    backends: space('backends', { first: 1, count: tables.limit('backends') - 1 }),
    slots: space('slots', { first: 0, count: tables.limit('slots') }),
  };
}

/** Notes that the kernel has done a step; `now` in ms. */
export function recordStep(state: State, step: Step, now: number): void {
  const { port } = step;
  switch (step.kind) {
    case 'name':
      port.named = true;
      port.lostFrontends = step.element.value.lostFrontends;
      break;
    case 'unname':
      port.named = false;
      break;
    case 'admit':
    case 'retire':
      step.backend.flags = step.element.value.flags;
      state.retired.delete(retiredText(port, step.backend));
      if (step.backend.flags === 0) state.retired.set(retiredText(port, step.backend), now);
      break;
    case 'allow':
      port.sourceRanges.set(rangeText(step.element.key), step.element.key);
      break;
    case 'disallow':
      port.sourceRanges.delete(rangeText(step.element));
      break;
    case 'publish':
      publish(state, port, step.element);
      break;
    case 'withdraw':
      port.frontends.delete(frontendText(step.element));
      state.owners.delete(frontendText(step.element));
      break;
  }
}

function publish(state: State, port: PortState, entry: TableEntry<'frontends'>): void {
  const text = frontendText(entry.key);
  const before = state.owners.get(text);
  if (before !== port) before?.frontends.delete(text);
  port.frontends.set(text, entry);
  state.owners.set(text, port);
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
  const { spaces } = state;
  const [kept, left] = partition(port.ranges, (range) => isPointedTo(port, range));
  port.ranges = kept;
  for (const range of left) spaces.slots.release({ first: range.first, count: range.backends.length }, now);
  if (port.backends.some((backend) => backend.flags === 0)) releaseBackends(state, port, now);
  if (port.named || port.backends.length + port.frontends.size + port.sourceRanges.size > 0) return;
  spaces.services.release({ first: port.service, count: 1 }, now);
  state.ports.delete(port.identity);
}

function releaseBackends(state: State, port: PortState, now: number): void {
  const listed = new Set(port.ranges.flatMap((range) => range.backends));
  const [kept, gone] = partition(port.backends, (backend) => backend.flags !== 0 || listed.has(backend.id));
  port.backends = kept;
  for (const backend of gone) state.spaces.backends.release({ first: backend.id, count: 1 }, now);
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
