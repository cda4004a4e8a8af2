import { BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST, type Extent } from '#abi/generated.ts';
import type { EndpointList, PlannedFrontend, PortPlan } from '#plan/port-plan.ts';
import type { PlacedBackend, PortState, SlotRange, State } from './state.ts';

/** Places that a plan takes. */
export interface Layout {
  /** Planned backends that have an id, in the plan's order, and the flags that they should have. */
  readonly backends: readonly { readonly placed: PlacedBackend; readonly flags: number }[];
  /** A range that must still be written. */
  readonly freshRange: SlotRange | undefined;
  readonly extents: Readonly<Record<EndpointList, Extent>>;
}

/** What a table lacks for a plan. */
export interface Shortage {
  readonly table: 'services' | 'backends' | 'slots';
  readonly message: string;
}

const NOBODY: Extent = { first: 0, count: 0 };

/**
 * Finds or takes a place for everything in the plan and attaches it to the port. Without a layout the list cannot be published at
 * all; with a layout and a shortage some endpoints are left out of it.
 */
export function layOut(
  state: State,
  port: PortState,
  plan: PortPlan,
  frontends: readonly PlannedFrontend[],
): { readonly layout?: Layout; readonly shortage?: Shortage } {
  const backends = placeBackends(state, port, plan);
  const window = usedWindow(backends, frontends);
  const ids = backends.slice(window.begin, window.end).map((backend) => backend.placed.id);
  const known = port.ranges.find((range) => sameIds(range.backends, ids));
  const first = ids.length === 0 ? 0 : (known?.first ?? state.allocators.slots.take(ids.length));
  if (first === undefined) return { shortage: { table: 'slots', message: `no ${ids.length} adjacent free entries` } };

  const freshRange = known === undefined && ids.length > 0 ? { first, backends: ids } : undefined;
  if (freshRange !== undefined) port.ranges.push(freshRange);
  const layout = { backends, freshRange, extents: extentsAt(first - window.begin, backends) };
  const missing = plan.backends.length - backends.length;
  if (missing === 0) return { layout };
  return { layout, shortage: { table: 'backends', message: `${missing} of ${plan.backends.length} endpoints left out` } };
}

function placeBackends(state: State, port: PortState, plan: PortPlan): Layout['backends'] {
  const known = new Map(port.backends.map((backend) => [endpointText(backend), backend]));
  const backends: { placed: PlacedBackend; flags: number }[] = [];
  for (const { address, port: number, flags } of plan.backends) {
    let placed = known.size === 0 ? undefined : known.get(endpointText({ address, port: number }));
    if (placed === undefined) {
      const id = state.allocators.backends.take(1);
      if (id === undefined) continue;
      placed = { id, address, port: number, flags: 0 };
      port.backends.push(placed);
    }
    backends.push({ placed, flags });
  }
  return backends;
}

const endpointText = (endpoint: { readonly address: string; readonly port: number }): string => `${endpoint.address} ${endpoint.port}`;

/** Only lists that a frontend uses take slots, so a port found after a restart looks as it was written. */
function usedWindow(backends: Layout['backends'], frontends: readonly PlannedFrontend[]): { readonly begin: number; readonly end: number } {
  const uses = (list: EndpointList): boolean =>
    frontends.some((frontend) => frontend.localSource === list || frontend.outsideSource === list);
  if (frontends.length === 0) return { begin: 0, end: 0 };
  return {
    begin: uses('cluster') ? 0 : backends.length - countIn(backends, BACKEND_LOCAL_LIST),
    end: uses('local') ? backends.length : countIn(backends, BACKEND_CLUSTER_LIST),
  };
}

/** Extents of both lists, where the whole list of backends would start at `origin`. */
function extentsAt(origin: number, backends: Layout['backends']): Layout['extents'] {
  const cluster = countIn(backends, BACKEND_CLUSTER_LIST);
  const local = countIn(backends, BACKEND_LOCAL_LIST);
  return {
    cluster: cluster === 0 ? NOBODY : { first: origin, count: cluster },
    local: local === 0 ? NOBODY : { first: origin + backends.length - local, count: local },
  };
}

const countIn = (backends: Layout['backends'], list: number): number => {
  let count = 0;
  for (const backend of backends) if ((backend.flags & list) !== 0) count++;
  return count;
};

const sameIds = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((id, i) => id === b[i]);
