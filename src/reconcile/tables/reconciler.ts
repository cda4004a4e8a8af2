import type { TableName } from '#abi/generated.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { type FlowVerdict, frontendsAt, judgeFlow, type UdpFlow, type UdpLosses } from '../flows/flows.ts';
import type { TableErrorCode, Tables } from '../ports/tables.ts';
import { identityOf } from '../wanted/claims.ts';
import { createDesired, type PortKey, subjectOf } from '../wanted/wanted-state.ts';
import { adopt } from './adopt.ts';
import type { NodeFacts } from './node-tables.ts';
import { type PassContext, runPass } from './pass.ts';
import { createRetries, type Retries } from './retries.ts';
import { type AllocatedTable, forgetRetired, frontendText, type State } from './state.ts';
import { frontendKeys } from './steps.ts';

export type { FlowVerdict, StaleReason, UdpFlow, UdpLosses, UdpPlace } from '../flows/flows.ts';
export type { PortKey } from '../wanted/wanted-state.ts';
export type { NodeFacts } from './node-tables.ts';

/** Connections and refusals of a Service port in one family since it is in the tables. TCP and UDP only. */
export interface PortCount extends Pick<PortPlan, 'name' | 'family' | 'protocol'> {
  readonly connections: number;
  readonly refusals: number;
}

/** Something that is not in the kernel as it should be. */
export interface Problem {
  /** `namespace/name:port`; undefined = the node's own tables. */
  readonly port: string | undefined;
  /** `conflict`: an older Service keeps a frontend. Everything else is tried again. */
  readonly code: TableErrorCode | 'conflict';
  /** One sentence. */
  readonly message: string;
}

/** What a flush did. */
export interface Report {
  /** Entries put and removed; tables that were left alone are missing. */
  readonly writes: Readonly<Partial<Record<TableName, number>>>;
  /** What this flush could not do. */
  readonly failed: readonly Problem[];
  /** Service ports (and the node) that have something left to write. */
  readonly pending: number;
  /** When flush() should be called again although nothing changes; undefined = not needed. */
  readonly retryInMs: number | undefined;
  /** What UDP flows may have lost: where it is not nothing, some may be stale. */
  readonly udpLosses: Readonly<UdpLosses>;
}

/** Brings the kernel's tables to what is wanted, whatever fails on the way. */
export interface Reconciler {
  /** Reads what the kernel holds: before the first flush, and again when somebody else may have written to it. */
  adopt(): { readonly services: number; readonly frontends: number };
  /** What should exist for a Service port from the next flush on; undefined = nothing. */
  want(key: PortKey, plan: PortPlan | undefined): void;
  wantNode(facts: NodeFacts): void;
  /** Whether another Service port has one of the plan's frontends in the kernel, so that only all plans tell who should have it. */
  isContested(plan: PortPlan): boolean;
  /** Services, by `namespace/name`, are known for certain: what the kernel holds of them and nobody wants goes with the next flush. */
  dropUnwanted(services: readonly string[]): void;
  /** Writes what changed and what is due for another try. */
  flush(): Report;
  /** From now on everything is known that should be: a flush that also removes what adopt() found, or will find, and nobody wants. */
  prune(): Report;
  /** By what the kernel holds now. Flows of a Service port that is not in the tables yet are live: it is wanted, or may be before prune(). */
  judgeFlow(flow: UdpFlow): FlowVerdict;
  /** Everything that is not as it should be. */
  problems(): readonly Problem[];
  /** Entries of each table that Services fill, those at rest included. */
  usage(): Readonly<Partial<Record<TableName, number>>>;
  /** What the programs counted for each Service port that is in the tables, if it is not nothing. Throws where the kernel cannot be read. */
  counts(): readonly PortCount[];
}

const SPACES: readonly AllocatedTable[] = ['services', 'backends', 'slots'];

function usageOf({ allocators, owners, addresses, ports }: State): Partial<Record<TableName, number>> {
  let ranges = 0;
  for (const { sourceRanges } of ports.values()) ranges += sourceRanges.size;
  const ofSpaces = Object.fromEntries(SPACES.map((space) => [space, allocators[space].used()]));
  return { ...ofSpaces, frontends: owners.size, addresses: addresses.size, source_ranges: ranges };
}

/** `now`: ms of a clock that never goes back. */
export function createReconciler({ tables, now }: { readonly tables: Tables; readonly now: () => number }): Reconciler {
  const desired = createDesired();
  const retries = createRetries();
  const conflicts = new Map<string, readonly string[]>();
  let held: State | undefined;
  let isComplete = false;

  const takeOver = (): State => {
    const state = adopt(tables, now());
    desired.addresses.find(state.addresses);
    desired.touchAll();
    if (isComplete) disown(state);
    held = state;
    return state;
  };
  const disown = (state: State): void => {
    desired.addresses.forgetFound();
    for (const identity of state.ports.keys()) if (!desired.targets.has(identity)) desired.dirty.add(identity);
  };
  const flush = (): Report => {
    const state = held ?? takeOver();
    forgetRetired(state, now());
    const writes: Partial<Record<TableName, number>> = {};
    const udpLosses = { backends: desired.takeUnlistedLosses(), frontends: 0 };
    const wrote = (table: TableName): void => {
      writes[table] = (writes[table] ?? 0) + 1;
    };
    // After an error that nobody expected it is unknown what was written: the next flush reads the tables again
    held = undefined;
    const attempted = runPasses({ tables, state, desired, retries, conflicts, now: now(), udpLosses, wrote });
    held = state;
    desired.dirty.clear();
    if (isComplete && retries.failures().size === 0) releaseQuarantine(state, now());
    return {
      writes,
      failed: [...attempted].flatMap((holder) => problemsOf(holder, retries, conflicts)),
      pending: retries.failures().size,
      retryInMs: retryDelay(state, retries, now()),
      udpLosses,
    };
  };

  return {
    adopt() {
      const state = takeOver();
      return { services: state.ports.size, frontends: state.owners.size };
    },
    want: desired.want,
    wantNode: desired.wantNode,
    isContested(plan) {
      const { owners } = held ?? takeOver();
      const identity = identityOf(plan);
      return frontendKeys(plan, plan.frontends).some((key) => (owners.get(frontendText(key))?.identity ?? identity) !== identity);
    },
    dropUnwanted(services) {
      const { ports } = held ?? takeOver();
      const certain = new Set(services);
      const isCertain = (identity: string): boolean => certain.has(identity.replace(/[: ].*/, ''));
      for (const identity of ports.keys()) if (isCertain(identity) && !desired.targets.has(identity)) desired.dirty.add(identity);
    },
    flush,
    prune() {
      isComplete = true;
      disown(held ?? takeOver());
      return flush();
    },
    judgeFlow(flow) {
      const verdict = held === undefined ? 'live' : judgeFlow(held, desired.targets, flow, now());
      const isAwaited = !isComplete || desired.claims.winner(frontendsAt(flow.dialled)[0]) !== undefined;
      return verdict === 'service_gone' && isAwaited ? 'live' : verdict;
    },
    problems: () =>
      [...new Set([...retries.failures().keys(), ...conflicts.keys()])].flatMap((holder) => problemsOf(holder, retries, conflicts)),
    usage: () => (held === undefined ? {} : usageOf(held)),
    counts() {
      const counted = new Map(tables.dump('service_counts').map(({ key, value }) => [key.value, value]));
      return [...(held?.ports.values() ?? [])].flatMap(({ identity, service }) => {
        const [plan, count] = [desired.targets.get(identity), counted.get(service)];
        if (plan === undefined || count === undefined) return [];
        const { name, family, protocol } = plan;
        return { name, family, protocol, connections: Number(count.connections), refusals: Number(count.refusals) };
      });
    },
  };
}

/** Passes until nobody is left whom a full table kept back although it has room now; returns who took part. */
function runPasses(context: Omit<PassContext, 'freed'>): ReadonlySet<string> {
  const { desired, retries, state, now } = context;
  const freed = new Set<TableName>(SPACES.filter((space) => state.allocators[space].wake(now)));
  const attempted = new Set([...desired.dirty, ...retries.due(now), ...retries.waitingFor(freed)]);
  for (let holders = attempted as ReadonlySet<string>; ; ) {
    freed.clear();
    runPass({ ...context, freed }, holders);
    holders = new Set(retries.waitingFor(freed));
    if (holders.size === 0) return attempted;
    for (const holder of holders) attempted.add(holder);
  }
}

/** Places that nobody's frontends use any more now that everything is as it should be. */
function releaseQuarantine(state: State, now: number): void {
  for (const run of state.quarantine.slots) state.allocators.slots.release(run, now);
  for (const run of state.quarantine.backends) state.allocators.backends.release(run, now);
  state.quarantine = { slots: [], backends: [] };
}

function retryDelay(state: State, retries: Retries, now: number): number | undefined {
  const next = retries.nextDue((table) => (table in state.allocators ? state.allocators[table as AllocatedTable].nextWake() : undefined));
  return next === undefined ? undefined : Math.max(0, next - now);
}

function problemsOf(holder: string, retries: Retries, conflicts: PassContext['conflicts']): Problem[] {
  const failure = retries.failures().get(holder);
  const lost = conflicts.get(holder) ?? [];
  if (failure === undefined && lost.length === 0) return [];
  const { port, words } = subjectOf(holder, "the node's tables");
  const problems: Problem[] = lost.map((message) => ({ port, code: 'conflict', message }));
  if (failure !== undefined) problems.push({ port, code: failure.code, message: `Cannot program ${words}: ${failure.message}` });
  return problems;
}
