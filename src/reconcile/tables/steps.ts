import {
  BACKEND_UNLISTED,
  FRONTEND_LOCAL_SOURCE_USES_LOCAL,
  FRONTEND_OUTSIDE_SOURCE_USES_LOCAL,
  type Frontend,
  type FrontendKey,
  type TableEntry,
  type TableKey,
  type TableName,
} from '#abi/generated.ts';
import { tablePrefixBits } from '#lib/address.ts';
import type { PlannedFrontend, PortPlan } from '#plan/port-plan.ts';
import { frontendKeys, frontendText } from '../wanted/keys.ts';
import type { Layout } from './layout.ts';
import { endpointText, type PlacedBackend, type PortState, rangeText, rememberWithdrawn, retiredText, type State } from './state.ts';

const IPPROTO_UDP = 17;

interface Put<K extends string, T extends TableName> {
  readonly kind: K;
  readonly port: PortState;
  readonly element: TableEntry<T>;
}

interface Remove<K extends string, T extends TableName> {
  readonly kind: K;
  readonly port: PortState;
  readonly element: TableKey<T>;
}

/** One kernel write for one Service port. */
export type Step =
  | Put<'name', 'services'>
  | (Put<'admit', 'backends'> & { readonly backend: PlacedBackend })
  | Put<'list', 'slots'>
  | Put<'allow', 'source_ranges'>
  | Put<'publish', 'frontends'>
  | Remove<'withdraw', 'frontends'>
  | Remove<'disallow', 'source_ranges'>
  | (Put<'retire', 'backends'> & { readonly backend: PlacedBackend })
  | Put<'uncount', 'service_counts'>
  | Remove<'unname', 'services'>;

export type StepKind = Step['kind'];

/** The wanted entries of a Service port. */
export interface WantedPort {
  readonly plan: PortPlan;
  /** The plan's frontends that this port owns. */
  readonly frontends: readonly PlannedFrontend[];
  /** Number of the plan's other frontends. */
  readonly lostFrontends: number;
  readonly layout: Layout;
}

/**
 * Steps from the kernel's entries to the wanted ones; none if both are equal. Their order guarantees that no frontend ever points to a
 * missing backend or to one of another Service port: first build unreferenced entries, then switch, then clear away.
 */
export function planSteps(port: PortState, target: WantedPort | undefined): Step[] {
  if (target === undefined) return [...withdrawals(port, []), ...disallowances(port, new Set()), ...retirements(port), ...unnaming(port)];
  const ranges = rangeKeys(port, target.plan);
  return [
    ...naming(port, target),
    ...admissions(port, target.layout),
    ...listings(port, target.layout),
    ...allowances(port, ranges),
    ...publications(port, target),
    ...withdrawals(port, frontendKeys(target.plan, target.frontends)),
    ...disallowances(port, new Set(ranges.map(rangeText))),
    ...retirements(port, target),
  ];
}

/** Steps that withdraw all frontends but `keep`. They are safe at any time, also if the other steps cannot be done. */
export function withdrawals(port: PortState, keep: readonly FrontendKey[]): Step[] {
  const kept = new Set(keep.map(frontendText));
  return [...port.frontends].filter(([text]) => !kept.has(text)).map(([, entry]) => ({ kind: 'withdraw', port, element: entry.key }));
}

function naming(port: PortState, { plan, lostFrontends }: WantedPort): Step[] {
  if (port.named && port.lostFrontends === lostFrontends) return [];
  const value = { text: plan.name, family: plan.family, protocol: plan.protocol, lostFrontends };
  return [{ kind: 'name', port, element: { key: { service: port.service }, value } }];
}

/** New backends, and backends that gain flags; they keep their old flags, because both lists are in use until the switch. */
const admissions = (port: PortState, layout: Layout): Step[] =>
  layout.backends
    .filter(({ placed, flags }) => (flags & ~placed.flags) !== 0)
    .map(({ placed, flags }) => ({ kind: 'admit', port, backend: placed, element: backendEntry(port, placed, placed.flags | flags) }));

function listings(port: PortState, { freshRange }: Layout): Step[] {
  if (freshRange === undefined) return [];
  return freshRange.backends.map((backend, i) => ({
    kind: 'list',
    port,
    element: { key: { value: freshRange.first + i }, value: { backend } },
  }));
}

const rangeKeys = (port: PortState, plan: PortPlan): TableKey<'source_ranges'>[] =>
  plan.sourceRanges.map((prefix) => ({ prefixBits: 32 + tablePrefixBits(prefix), service: port.service, address: prefix.address }));

const allowances = (port: PortState, ranges: readonly TableKey<'source_ranges'>[]): Step[] =>
  ranges
    .filter((key) => !port.sourceRanges.has(rangeText(key)))
    .map((key) => ({ kind: 'allow', port, element: { key, value: { present: 1 } } }));

function publications(port: PortState, { plan, frontends, layout }: WantedPort): Step[] {
  const keys = frontendKeys(plan, frontends);
  return frontends.flatMap((frontend, i): Step[] => {
    const key = keys[i] as FrontendKey;
    const value = frontendValue(port, plan, layout, frontend);
    const published = port.frontends.get(frontendText(key));
    if (published !== undefined && sameFrontend(published.value, value)) return [];
    return [{ kind: 'publish', port, element: { key, value } }];
  });
}

const frontendValue = (port: PortState, plan: PortPlan, layout: Layout, frontend: PlannedFrontend): Frontend => ({
  localSource: layout.extents[frontend.localSource],
  outsideSource: layout.extents[frontend.outsideSource],
  service: port.service,
  flags:
    frontend.flags |
    (frontend.localSource === 'local' ? FRONTEND_LOCAL_SOURCE_USES_LOCAL : 0) |
    (frontend.outsideSource === 'local' ? FRONTEND_OUTSIDE_SOURCE_USES_LOCAL : 0),
  affinitySeconds: plan.affinitySeconds,
});

const sameFrontend = (a: Frontend, b: Frontend): boolean =>
  a.localSource.first === b.localSource.first &&
  a.localSource.count === b.localSource.count &&
  a.outsideSource.first === b.outsideSource.first &&
  a.outsideSource.count === b.outsideSource.count &&
  a.service === b.service &&
  a.flags === b.flags &&
  a.affinitySeconds === b.affinitySeconds;

const disallowances = (port: PortState, keep: ReadonlySet<string>): Step[] =>
  [...port.sourceRanges].filter(([text]) => !keep.has(text)).map(([, key]) => ({ kind: 'disallow', port, element: key }));

/**
 * Backends that lose flags. A backend without flags keeps its address for programs that have read its id; one that serves unlisted keeps its
 * flows, see PortPlan.
 */
function retirements(port: PortState, target?: WantedPort): Step[] {
  const due = new Map(target?.layout.backends.map(({ placed, flags }) => [placed, flags]));
  const unlisted = new Set(target?.plan.unlisted?.map(endpointText));
  return port.backends.flatMap((backend): Step[] => {
    const flags = due.get(backend) ?? (unlisted.has(endpointText(backend)) ? BACKEND_UNLISTED : 0);
    if ((backend.flags & ~flags) === 0) return [];
    return [{ kind: 'retire', port, backend, element: backendEntry(port, backend, flags) }];
  });
}

/** Also resets the counts, so that the next owner of the id starts at 0. */
const unnaming = (port: PortState): Step[] =>
  port.named
    ? [
        { kind: 'uncount', port, element: { key: { value: port.service }, value: { connections: 0n, refusals: 0n } } },
        { kind: 'unname', port, element: { service: port.service } },
      ]
    : [];

const backendEntry = (port: PortState, backend: PlacedBackend, flags: number): TableEntry<'backends'> => ({
  key: { value: backend.id },
  value: { address: backend.address, port: backend.port, flags, service: port.service },
});

/** Updates the state after the kernel has taken a step; `now` in ms. */
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
      if (step.element.protocol === IPPROTO_UDP) rememberWithdrawn(state.withdrawn.frontends, frontendText(step.element), port.backends);
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
