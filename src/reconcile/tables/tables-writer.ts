import type { TableName } from '#abi/generated.ts';
import { ADDRESS_CLUSTER_IP, ADDRESS_FRONTENDS, ADDRESS_HELD, ADDRESS_NODE } from '#abi/generated.ts';
import { type Address, ZERO_ADDRESS } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { countUnlisted, type FlowVerdict, frontendsAt, judgeFlow, type UdpFlow } from '../flows/flows.ts';
import type { Tables } from '../ports/tables.ts';
import type { WriteFailure } from '../retries.ts';
import { frontendKeys, frontendText, identityOf, NODE, serviceOf, subjectOf } from '../wanted/keys.ts';
import type { NodeFacts, WantedState } from '../wanted/wanted-state.ts';
import type { Problem, Writer } from '../writer.ts';
import { createAddressBook, type Meanings } from './addresses.ts';
import { adopt } from './adopt.ts';
import { type PassContext, runPass } from './pass.ts';
import { type AllocatedTable, forgetRetired, REST_MS, releaseFound, type State } from './state.ts';

/** Connections and refusals of a Service port in one family since it is in the tables. TCP and UDP only. */
export interface PortCount extends Pick<PortPlan, 'name' | 'family' | 'protocol'> {
  readonly connections: number;
  readonly refusals: number;
}

/** Writes the tables of the programs. */
export interface TablesWriter extends Writer {
  adopt(): void;
  /** How many Service ports and frontends the kernel holds. */
  held(): { readonly services: number; readonly frontends: number };
  /** Whether another Service port has one of the plan's frontends in the kernel, so that only all plans together decide who owns it. */
  isContested(plan: PortPlan): boolean;
  /**
   * Judges by what the kernel holds now. A flow of a Service port that is not in the tables yet is live: the port is wanted, or may be before
   * the wanted state is complete.
   */
  judgeFlow(flow: UdpFlow): FlowVerdict;
  /** Entries of each table that Services fill, with the entries at rest. */
  usage(): Readonly<Partial<Record<TableName, number>>>;
  /** What the programs counted for each Service port in the tables, if it is more than 0. Throws if the kernel cannot be read. */
  counts(): readonly PortCount[];
}

const ALLOCATED: readonly AllocatedTable[] = ['services', 'backends', 'slots'];

interface TablesWriterParts {
  readonly tables: Tables;
  readonly wanted: WantedState;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** Reads the tables before the first write. */
export function createTablesWriter({ tables, wanted, now }: TablesWriterParts): TablesWriter {
  const addresses = createAddressBook();
  const conflicts = new Map<string, readonly string[]>();
  let held: State | undefined;
  let isComplete = false;
  /** Endpoints outside both lists that stopped serving since the last write. */
  let unlistedLosses = 0;
  let nodeFacts: NodeFacts | undefined;

  wanted.follow(({ before, after }) => {
    if (before !== undefined || after !== undefined) followPort(before, after);
    else followNode();
  });
  const followPort = (before: PortPlan | undefined, after: PortPlan | undefined): void => {
    const [old, fresh] = [before, after].map((plan) => plan && identityOf(plan));
    if (old !== undefined && old !== fresh) addresses.hold(old, meaningsOf(before), NO_MEANINGS);
    if (fresh !== undefined) addresses.hold(fresh, old === fresh ? meaningsOf(before) : NO_MEANINGS, meaningsOf(after));
    unlistedLosses += countUnlisted(before, after);
  };
  const followNode = (): void => {
    const next = wanted.node();
    addresses.hold(NODE, nodeMeanings(nodeFacts), nodeMeanings(next));
    nodeFacts = next;
  };
  const readTables = (): State => {
    const state = { ...adopt(tables, now()), ...(held && { withdrawn: held.withdrawn }) };
    addresses.find(state.addresses);
    held = state;
    return state;
  };

  return {
    adopt: () => void readTables(),
    held: () => ({ services: held?.ports.size ?? 0, frontends: held?.owners.size ?? 0 }),
    write(holders, retries) {
      const state = held ?? readTables();
      forgetRetired(state, now());
      releaseFound(state, now());
      const writes: Partial<Record<TableName, number>> = {};
      const udpLosses = { backends: unlistedLosses, frontends: 0 };
      unlistedLosses = 0;
      const wrote = (table: TableName): void => {
        writes[table] = (writes[table] ?? 0) + 1;
      };
      // After an unexpected error the next write must read the tables again
      held = undefined;
      const attempted = runPasses({ tables, state, wanted, addresses, retries, conflicts, now: now(), udpLosses, wrote }, holders);
      held = state;
      if (isComplete && retries.failures().size === 0) releaseQuarantine(state, now());
      return { attempted, writes, udpLosses };
    },
    prune(services) {
      const { ports } = held ?? readTables();
      if (services === undefined) {
        isComplete = true;
        addresses.forgetFound();
      }
      const certain = services && new Set(services);
      return [...ports.keys()].filter(
        (identity) => wanted.plan(identity) === undefined && (certain === undefined || certain.has(serviceOf(identity))),
      );
    },
    hasRoomAt: (table) => (held === undefined ? undefined : roomAt(held, table)),
    troubled: () => conflicts.keys(),
    problemsOf: (holder, failure) => problemsOf(holder, failure, conflicts.get(holder) ?? []),
    isContested(plan) {
      const { owners } = held ?? readTables();
      const identity = identityOf(plan);
      return frontendKeys(plan, plan.frontends).some((key) => (owners.get(frontendText(key))?.identity ?? identity) !== identity);
    },
    judgeFlow(flow) {
      const verdict = held === undefined ? 'live' : judgeFlow(held, wanted, flow, now());
      const isAwaited = !isComplete || wanted.winner(frontendsAt(flow.dialled)[0]) !== undefined;
      return verdict === 'service_gone' && isAwaited ? 'live' : verdict;
    },
    usage: () => (held === undefined ? {} : usageOf(held)),
    counts() {
      const counted = new Map(tables.dump('service_counts').map(({ key, value }) => [key.value, value]));
      return [...(held?.ports.values() ?? [])].flatMap(({ identity, service }) => {
        const [plan, count] = [wanted.plan(identity), counted.get(service)];
        if (plan === undefined || count === undefined) return [];
        const { name, family, protocol } = plan;
        return { name, family, protocol, connections: Number(count.connections), refusals: Number(count.refusals) };
      });
    },
  };
}

const NO_MEANINGS: Meanings = new Map();

/** A port lists the addresses of all its frontends, also of a frontend that another Service has: that one lists them, too. */
function meaningsOf(plan: PortPlan | undefined): Meanings {
  const meanings = new Map<Address, number>();
  for (const { address } of plan?.frontends ?? [])
    if (address !== ZERO_ADDRESS[plan?.family ?? 4]) meanings.set(address, ADDRESS_FRONTENDS);
  for (const address of plan?.clusterIPs ?? []) meanings.set(address, (meanings.get(address) ?? 0) | ADDRESS_CLUSTER_IP);
  return meanings;
}

function nodeMeanings(facts: NodeFacts | undefined): Meanings {
  const meanings = new Map<Address, number>((facts?.heldAddresses ?? []).map((address) => [address, ADDRESS_HELD]));
  for (const address of facts?.nodeAddresses ?? []) meanings.set(address, (meanings.get(address) ?? 0) | ADDRESS_NODE);
  return meanings;
}

/** Repeats the pass for holders that a full table refused while it frees room; returns all holders that took part. */
function runPasses(context: Omit<PassContext, 'freed'>, first: ReadonlySet<string>): ReadonlySet<string> {
  const { retries, state, now } = context;
  const freed = new Set<TableName>(ALLOCATED.filter((table) => state.allocators[table].wake(now)));
  const attempted = new Set([...first, ...retries.waitingFor(freed)]);
  for (let holders = attempted as ReadonlySet<string>; ; ) {
    freed.clear();
    runPass({ ...context, freed }, holders);
    holders = new Set(retries.waitingFor(freed));
    if (holders.size === 0) return attempted;
    for (const holder of holders) attempted.add(holder);
  }
}

function roomAt({ allocators, found }: State, table: TableName): number | undefined {
  if (!(table in allocators)) return undefined;
  const next = allocators[table as AllocatedTable].nextWake();
  return next === undefined && table === 'backends' && found.ids.size > 0 ? found.at + REST_MS : next;
}

/** Places that no frontend uses any more now that everything is as it should be. */
function releaseQuarantine(state: State, now: number): void {
  for (const run of state.quarantine.slots) state.allocators.slots.release(run, now);
  for (const run of state.quarantine.backends) state.allocators.backends.release(run, now);
  state.quarantine = { slots: [], backends: [] };
}

function usageOf({ allocators, owners, addresses, ports }: State): Partial<Record<TableName, number>> {
  let ranges = 0;
  for (const { sourceRanges } of ports.values()) ranges += sourceRanges.size;
  const allocated = Object.fromEntries(ALLOCATED.map((table) => [table, allocators[table].used()]));
  return { ...allocated, frontends: owners.size, addresses: addresses.size, source_ranges: ranges };
}

function problemsOf(holder: string, failure: WriteFailure | undefined, lost: readonly string[]): Problem[] {
  const { port, words } = subjectOf(holder, "the node's tables");
  const problems: Problem[] = lost.map((message) => ({ port, code: 'conflict', message }));
  if (failure !== undefined) problems.push({ port, code: failure.code, message: `Cannot program ${words}: ${failure.message}` });
  return problems;
}
