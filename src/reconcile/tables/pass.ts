import { ADDRESS_CLUSTER_IP, ADDRESS_NODE, type TableName } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import type { PlannedFrontend, PortPlan } from '#plan/port-plan.ts';
import { countLosses, type UdpLosses } from '../flows/flows.ts';
import type { Tables } from '../ports/tables.ts';
import type { Retries, WriteFailure } from '../retries.ts';
import { lossMessage } from '../wanted/claims.ts';
import { frontendKeys, frontendText, identityOf, NODE } from '../wanted/keys.ts';
import type { WantedState } from '../wanted/wanted-state.ts';
import type { AddressBook } from './addresses.ts';
import { fullFailure, runBatch } from './batches.ts';
import { layOut } from './layout.ts';
import { writeNodeTables } from './node-tables.ts';
import { newPort, type PortState, rememberWithdrawn, type State, settle } from './state.ts';
import { planSteps, recordStep, type Step, type StepKind, withdrawals } from './steps.ts';

/** The state that a pass reads and changes. */
export interface PassContext {
  readonly tables: Tables;
  readonly state: State;
  readonly wanted: WantedState;
  readonly addresses: AddressBook;
  readonly retries: Retries;
  /** Sentences about frontends that another Service owns, by identity. */
  readonly conflicts: Map<string, readonly string[]>;
  readonly now: number;
  /** Tables from which the pass removed an entry. */
  readonly freed: Set<TableName>;
  /** The pass adds to it. */
  readonly udpLosses: UdpLosses;
  /** Called after each write. */
  wrote(table: TableName): void;
}

type Phase = { readonly kind: StepKind; readonly table: TableName; readonly verb: 'put' | 'remove' };

const BUILD_AND_SWITCH: readonly Phase[] = [
  { kind: 'name', table: 'services', verb: 'put' },
  { kind: 'admit', table: 'backends', verb: 'put' },
  { kind: 'list', table: 'slots', verb: 'put' },
  { kind: 'allow', table: 'source_ranges', verb: 'put' },
  { kind: 'publish', table: 'frontends', verb: 'put' },
];

const CLEAR_AWAY: readonly Phase[] = [
  { kind: 'withdraw', table: 'frontends', verb: 'remove' },
  { kind: 'disallow', table: 'source_ranges', verb: 'remove' },
  { kind: 'retire', table: 'backends', verb: 'put' },
  { kind: 'uncount', table: 'service_counts', verb: 'put' },
  { kind: 'unname', table: 'services', verb: 'remove' },
];

/**
 * Writes the holders' entries, phase by phase, and in each phase all holders together. A ClusterIP starts to refuse its other ports after
 * all its frontends are published and stops before the first is withdrawn.
 */
export function runPass(context: PassContext, holders: ReadonlySet<string>): void {
  for (const holder of holders) context.retries.begin(holder);
  if (holders.has(NODE)) writeNode(context);
  const { ports, queues, shortages } = prepare(context, holders);
  for (const phase of BUILD_AND_SWITCH) runPhase(context, phase, queues.get(phase.kind) ?? []);
  writeAddresses(context);
  for (const phase of CLEAR_AWAY) runPhase(context, phase, queues.get(phase.kind) ?? []);
  for (const port of ports) settle(context.state, port, context.now);
  for (const [holder, failure] of shortages) context.retries.fail(holder, failure, context.now);
  for (const holder of holders) context.retries.end(holder);
}

function count({ wrote, freed }: PassContext, table: TableName, verb: 'put' | 'remove'): void {
  wrote(table);
  if (verb === 'remove') freed.add(table);
}

function writeNode(context: PassContext): void {
  const facts = context.wanted.node();
  if (facts === undefined) return;
  writeNodeTables(context.tables, context.state.node, facts, {
    wrote: (table, verb) => count(context, table, verb),
    failed: (failure) => context.retries.fail(NODE, failure, context.now),
  });
}

interface Work {
  readonly ports: PortState[];
  readonly queues: Map<StepKind, Step[]>;
  /** Failures of ports that are published with fewer endpoints. */
  readonly shortages: Map<string, WriteFailure>;
}

function prepare(context: PassContext, holders: ReadonlySet<string>): Work {
  const work: Work = { ports: [], queues: new Map(), shortages: new Map() };
  for (const identity of holders) {
    const plan = context.wanted.plan(identity);
    const port = context.state.ports.get(identity) ?? (plan === undefined ? undefined : addPort(context, identity));
    if (plan === undefined) context.conflicts.delete(identity);
    if (port === undefined) continue;
    work.ports.push(port);
    for (const step of plan === undefined ? planSteps(port, undefined) : stepsTowards(context, port, plan, work)) {
      const queue = work.queues.get(step.kind);
      if (queue === undefined) work.queues.set(step.kind, [step]);
      else queue.push(step);
    }
  }
  return work;
}

function addPort({ state, tables, retries, now }: PassContext, identity: string): PortState | undefined {
  const service = state.allocators.services.take(1);
  if (service === undefined) {
    retries.fail(identity, fullFailure(tables, 'services'), now);
    return undefined;
  }
  const port = newPort(identity, service);
  state.ports.set(identity, port);
  return port;
}

function stepsTowards(context: PassContext, port: PortState, plan: PortPlan, work: Work): Step[] {
  const frontends = wonFrontends(context, plan);
  const { layout, shortage } = layOut(context.state, port, plan, frontends);
  const failure = shortage === undefined ? undefined : fullFailure(context.tables, shortage.table, shortage.message);
  if (layout === undefined) {
    if (failure !== undefined) context.retries.fail(port.identity, failure, context.now);
    return withdrawals(port, frontendKeys(plan, frontends));
  }
  if (failure !== undefined) work.shortages.set(port.identity, failure);
  return planSteps(port, { plan, frontends, lostFrontends: context.conflicts.get(identityOf(plan))?.length ?? 0, layout });
}

/** The plan's frontends, each once, without the frontends that another Service owns. */
function wonFrontends({ wanted, conflicts }: PassContext, plan: PortPlan): readonly PlannedFrontend[] {
  const { won, lost } = wanted.share(plan);
  if (lost.length > 0)
    conflicts.set(
      identityOf(plan),
      lost.map(({ frontend, winner }) => lossMessage(frontend, plan, winner)),
    );
  else conflicts.delete(identityOf(plan));
  return won;
}

function runPhase(context: PassContext, { table, verb }: Phase, steps: readonly Step[]): void {
  const { tables, state, retries, now } = context;
  runBatch<Step>(tables, {
    table,
    verb,
    steps,
    element: (step) => step.element,
    skip(step) {
      if (step.kind === 'withdraw') return state.owners.get(frontendText(step.element)) !== step.port;
      // An id that another program wrote may exceed the array of counts
      const isForeign = step.kind === 'uncount' && step.element.key.value >= tables.limit('service_counts');
      return isForeign || retries.isFailing(step.port.identity);
    },
    done(step) {
      countLosses(context.udpLosses, state, step);
      recordStep(state, step, now);
      count(context, table, verb);
    },
    failed: (step, failure) => retries.fail(step.port.identity, failure, now),
  });
}

function writeAddresses(context: PassContext): void {
  const { tables, state, retries, now, addresses, wanted } = context;
  const { puts, removals } = addressChanges(state, addresses, retries);
  const flagsOf = (address: Address): number => puts.get(address) ?? 0;
  const write = (verb: 'put' | 'remove', changed: readonly Address[]): void =>
    runBatch<Address>(tables, {
      table: 'addresses',
      verb,
      steps: changed,
      element: (address) => (verb === 'put' ? { key: { address }, value: { flags: flagsOf(address) } } : { address }),
      skip: () => false,
      done(address) {
        const lost = (state.addresses.get(address) ?? 0) & ~flagsOf(address);
        if ((lost & ADDRESS_NODE) !== 0) {
          context.udpLosses.frontends++;
          rememberWithdrawn(state.withdrawn.nodeAddresses, address, true);
        }
        if (verb === 'put') state.addresses.set(address, flagsOf(address));
        else state.addresses.delete(address);
        if (flagsOf(address) === addresses.flagsOf(address)) addresses.dirty.delete(address);
        count(context, 'addresses', verb);
      },
      failed(address, failure) {
        const holders = [...addresses.holders(address)].filter((holder) => wanted.plan(holder) !== undefined);
        for (const holder of holders.length > 0 ? holders : [NODE]) retries.fail(holder, failure, now);
      },
    });
  write('put', [...puts.keys()]);
  write('remove', removals);
}

/** Addresses to put, with their flags, and to remove. A ClusterIP does not refuse other ports while one of its frontends may be missing. */
function addressChanges(
  state: State,
  addresses: AddressBook,
  retries: Retries,
): { readonly puts: ReadonlyMap<Address, number>; readonly removals: readonly Address[] } {
  const puts = new Map<Address, number>();
  const removals: Address[] = [];
  for (const address of addresses.dirty) {
    const [held, wanted] = [state.addresses.get(address) ?? 0, addresses.flagsOf(address)];
    const isWhole = ![...addresses.holders(address)].some(retries.isFailing);
    const flags = isWhole ? wanted : wanted & (held | ~ADDRESS_CLUSTER_IP);
    if (flags === held) {
      if (flags === wanted) addresses.dirty.delete(address);
    } else if (flags !== 0) puts.set(address, flags);
    else if (wanted === 0) removals.push(address);
  }
  return { puts, removals };
}
