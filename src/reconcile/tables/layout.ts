import { BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST, type Extent } from '#abi/generated.ts';
import type { EndpointList, PlannedFrontend, PortPlan } from '#plan/port-plan.ts';
import { endpointText, type PlacedBackend, type PortState, type SlotRange, type State } from './state.ts';

/** The places of a plan in the tables. */
export interface Layout {
  /** Planned backends with an id, in the plan's order, and the flags that they need. */
  readonly backends: readonly { readonly placed: PlacedBackend; readonly flags: number }[];
  /** A range to write; undefined if the kernel holds it already. */
  readonly freshRange: SlotRange | undefined;
  readonly extents: Readonly<Record<EndpointList, Extent>>;
}

/** Why a table has no room for a plan. */
export interface LayoutShortage {
  readonly table: 'services' | 'backends' | 'slots';
  readonly message: string;
}

const EMPTY: Extent = { first: 0, count: 0 };

/**
 * Finds or allocates a place for each part of the plan and attaches it to the port. Returns no layout if the list cannot be published at
 * all; a layout with a shortage leaves out some endpoints.
 */
export function layOut(
  state: State,
  port: PortState,
  plan: PortPlan,
  frontends: readonly PlannedFrontend[],
): { readonly layout?: Layout; readonly shortage?: LayoutShortage } {
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
      const id = state.found.ids.get(endpointText({ address, port: number }))?.shift() ?? state.allocators.backends.take(1);
      if (id === undefined) continue;
      placed = { id, address, port: number, flags: 0 };
      port.backends.push(placed);
    }
    backends.push({ placed, flags });
  }
  return backends;
}

/** Only lists that a frontend uses take slots, so an adopted port looks as it was written. */
function usedWindow(backends: Layout['backends'], frontends: readonly PlannedFrontend[]): { readonly begin: number; readonly end: number } {
  const uses = (list: EndpointList): boolean =>
    frontends.some((frontend) => frontend.localSource === list || frontend.outsideSource === list);
  if (frontends.length === 0) return { begin: 0, end: 0 };
  return {
    begin: uses('cluster') ? 0 : backends.length - countIn(backends, BACKEND_LOCAL_LIST),
    end: uses('local') ? backends.length : countIn(backends, BACKEND_CLUSTER_LIST),
  };
}

/** Extents of both lists if the whole list of backends started at `origin`. */
function extentsAt(origin: number, backends: Layout['backends']): Layout['extents'] {
  const cluster = countIn(backends, BACKEND_CLUSTER_LIST);
  const local = countIn(backends, BACKEND_LOCAL_LIST);
  return {
    cluster: cluster === 0 ? EMPTY : { first: origin, count: cluster },
    local: local === 0 ? EMPTY : { first: origin + backends.length - local, count: local },
  };
}

const countIn = (backends: Layout['backends'], list: number): number => {
  let count = 0;
  for (const backend of backends) if ((backend.flags & list) !== 0) count++;
  return count;
};

const sameIds = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((id, i) => id === b[i]);
