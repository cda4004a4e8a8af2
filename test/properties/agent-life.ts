import assert from 'node:assert/strict';
import type { Frontend } from '#abi/generated.ts';
import { type Knowledge, nextPass, type Pass, type Phase, phaseAfter, type SourceState } from '#agent/lifecycle.ts';
import { createPasses, type RunPass } from '#agent/passes.ts';
import { createProgrammer } from '#agent/programmer.ts';
import { createStore, type Store } from '#agent/store.ts';
import type { Config } from '#config/config.ts';
import type { ModelObject } from '#model/objects.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { createReconciler, type Reconciler } from '#reconcile/reconciler.ts';
import { createRulesetWriter } from '#reconcile/ruleset/ruleset-writer.ts';
import { REST_MS } from '#reconcile/tables/state.ts';
import { createTablesWriter, type TablesWriter } from '#reconcile/tables/tables-writer.ts';
import { frontendKeys, frontendText } from '#reconcile/wanted/keys.ts';
import { createWantedState, type WantedState } from '#reconcile/wanted/wanted-state.ts';
import { Crash, createFakeTables, type FakeTables } from '#support/fake-tables.ts';
import { readerOf } from '#support/table-reader.ts';
import { WriteWatcher } from '#support/write-watcher.ts';
import { FakeRuleset, RulesetFault } from './fake-ruleset.ts';

/** Small enough to be full at times during a history, large enough for its last objects. */
const LIMITS = { slots: 160, backends: 120, services: 60 } as const;

/** Objects of a source by kind and key. */
export type Objects = ReadonlyMap<string, ModelObject>;

/** One agent process: the composition of src/agent without the parts that need a kernel. */
interface Agent {
  readonly store: Store;
  readonly wanted: WantedState;
  readonly reconciler: Reconciler;
  readonly tables: TablesWriter;
  readonly runPass: RunPass;
  /** Whether it adopted the tables of an earlier agent. */
  readonly hasEarlierTables: boolean;
  phase: Phase;
  source: SourceState;
}

/** The tables of a node and its successive agents; a watcher checks every write. */
export class AgentLife {
  readonly tables: FakeTables;
  readonly ruleset: FakeRuleset;
  devices: readonly LocalDevice[] = [];
  now = 0;
  readonly #config: Config;
  readonly #objects = new Map<string, ModelObject>();
  /** Every Service that ever existed. */
  readonly #services = new Set<string>();
  /** Objects whose file is unreadable at the moment. */
  readonly #hidden = new Set<string>();
  /** Wanted plans; plans of a former agent until the current one replaces or removes them. */
  readonly #wanted = new Map<string, PortPlan>();
  readonly #judged = new Set<string>();
  readonly #watcher: WriteWatcher;
  #agent: Agent;

  constructor(config: Config, seed: number) {
    this.#config = config;
    this.tables = createFakeTables({ seed, limits: LIMITS });
    this.ruleset = new FakeRuleset(seed);
    this.#watcher = new WriteWatcher({ tables: this.tables, wanted: () => this.#wanted.values(), now: () => this.now });
    this.#agent = this.#birth(false);
    this.complete();
  }

  get objects(): Objects {
    return this.#objects;
  }

  put(object: ModelObject): void {
    const id = idOf(object.kind, object.key);
    this.#objects.set(id, object);
    if (object.kind === 'Service') this.#services.add(object.key);
    if (!this.#hidden.has(id)) this.#agent.store.set(object);
  }

  remove(kind: ModelObject['kind'], key: string): void {
    const id = idOf(kind, key);
    this.#objects.delete(id);
    if (!this.#hidden.has(id)) this.#agent.store.remove(kind, key);
  }

  /** Runs the passes of one wake-up of the agent's loop, including a pass over all changes. */
  pass(): void {
    this.#prepare();
    const agent = this.#agent;
    const pass = nextPass(agent.phase, this.#knowledge());
    if (pass !== 'flush' && pass !== 'prune') return;
    const isComplete = agent.source === 'complete';
    const [before, judged] = [isComplete ? [] : answering(this.tables), new Set(this.#judged)];
    try {
      this.#run(pass);
    } catch (error) {
      // The loop retries
      if (!(error instanceof RulesetFault)) throw error;
    }
    if (!isComplete) this.#refuseSilencing(before, judged);
  }

  /** Runs the passes before the first complete one. */
  #prepare(): void {
    for (let pass = nextPass(this.#agent.phase, this.#knowledge()); pass === 'adopt' || pass === 'delta'; ) {
      this.#run(pass);
      pass = nextPass(this.#agent.phase, this.#knowledge());
    }
  }

  #run(pass: Pass): void {
    const agent = this.#agent;
    agent.runPass(pass, this.devices, this.#knowledge());
    agent.phase = phaseAfter(agent.phase, pass);
  }

  #knowledge(): Knowledge {
    const { hasEarlierTables, source, store } = this.#agent;
    return { hasEarlierTables, source, hasNode: store.node() !== undefined };
  }

  /** Asserts that unreadable slices do not make a Service port of a former agent refuse. */
  #refuseSilencing(before: readonly string[], judged: ReadonlySet<string>): void {
    const after = new Map(this.tables.dump('frontends').map(({ key, value }) => [frontendText(key), value]));
    const names = new Map(this.tables.dump('services').map(({ key, value }) => [key.service, value]));
    for (const text of before) {
      const now = after.get(text);
      const name = names.get(now?.service ?? 0);
      if (now === undefined || name === undefined || isAnswered(now) || judged.has(`${name.family} ${name.text}`)) continue;
      const { slices } = this.#agent.store.service(name.text.split(':')[0] ?? '');
      assert.ok(
        slices.some(({ family }) => family === name.family),
        `${text} has no backend any more`,
      );
    }
  }

  /** Kills the agent during a pass and starts another, which cannot read the `hidden` objects at first. */
  restart(afterWrites: number, hidden: readonly string[]): void {
    this.#kill(afterWrites);
    this.#hidden.clear();
    for (const id of hidden) if (this.#objects.has(id)) this.#hidden.add(id);
    this.#agent = this.#birth(true);
    for (const [id, object] of this.#objects) if (!this.#hidden.has(id)) this.#agent.store.set(object);
    if (this.#hidden.size === 0) this.complete();
    else this.pass();
  }

  /** Kills the agent and starts another, which recalls the objects of the first one and then receives the changes of `meanwhile`. */
  succeed(afterWrites: number, meanwhile: () => void): void {
    this.#kill(afterWrites);
    this.#agent = this.#birth(true);
    const { store } = this.#agent;
    for (const [id, object] of this.#objects) if (!this.#hidden.has(id)) store.recall(object);
    meanwhile();
    const before = ownersOf(this.tables);
    if (this.#hidden.size === 0) this.#agent.source = 'complete';
    this.#prepare();
    for (const [text, owner] of ownersOf(this.tables))
      assert.equal(before.get(text) ?? owner, owner, `${text} changed its Service too early`);
    if (this.#hidden.size === 0) this.complete();
    else this.pass();
  }

  #kill(afterWrites: number): void {
    this.tables.crashAfter(afterWrites);
    this.ruleset.isAgentKilled = afterWrites % 2 === 1;
    try {
      this.pass();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
    }
    this.tables.crashAfter(undefined);
    this.ruleset.isAgentKilled = false;
    this.#watcher.forgetSlowPrograms();
  }

  /** Makes all objects readable. */
  complete(): void {
    for (const id of this.#hidden) {
      const object = this.#objects.get(id);
      if (object !== undefined) this.#agent.store.set(object);
    }
    this.#hidden.clear();
    this.#agent.source = 'complete';
    this.pass();
  }

  /** Ends all faults and runs until no work is left. */
  heal(): void {
    this.tables.faultRate = this.ruleset.faultRate = 0;
    this.complete();
    const { reconciler } = this.#agent;
    for (let round = 0; round < 20; round++) {
      const { retryInMs } = reconciler.flush();
      if (retryInMs === undefined) break;
      this.now += retryInMs;
    }
    const problems = reconciler.problems().filter(({ code }) => code !== 'conflict');
    assert.deepEqual(problems, []);
    this.now += REST_MS;
    assert.deepEqual(reconciler.flush().writes, {});
  }

  /** Meaning and usage of the tables, the ruleset, and the health checks. */
  outcome(): object {
    const { wanted, tables } = this.#agent;
    const checks = [...this.#services].sort().map((service) => [service, wanted.health.checks(service)] as const);
    return {
      ...readerOf(this.tables).meaning(),
      usage: tables.usage(),
      ruleset: this.ruleset.meaning(),
      checks: checks.filter(([, wants]) => wants.length > 0),
    };
  }

  #birth(hasEarlierTables: boolean): Agent {
    const now = (): number => this.now;
    const store = createStore(this.#config.nodeName);
    const wanted = createWantedState();
    const tables = createTablesWriter({ tables: this.tables, wanted, now });
    const ruleset = createRulesetWriter({ ruleset: this.ruleset, wanted, keepsEarlierTable: hasEarlierTables, now });
    this.#judged.clear();
    this.#forgetUnserved();
    this.#overhear(wanted);
    const reconciler = createReconciler({ wanted, writers: [tables, ruleset], now });
    const programmer = createProgrammer({ config: this.#config, store, wanted, isContested: tables.isContested, netnsCookie: 7n });
    const runPass = createPasses({ programmer, reconciler: this.#watched(reconciler), tables });
    return { store, wanted, reconciler, tables, runPass, hasEarlierTables, phase: 'starting', source: 'synced' };
  }

  /** Forgets plans that a former agent did not finish. */
  #forgetUnserved(): void {
    const live = new Set(this.tables.dump('frontends').map(({ key }) => frontendText(key)));
    for (const [id, plan] of this.#wanted)
      if (!frontendKeys(plan, plan.frontends).every((key) => live.has(frontendText(key)))) this.#wanted.delete(id);
  }

  /** Forgets plans of a former agent that the current one does not want. */
  #forgetUnjudged(): void {
    for (const id of this.#wanted.keys()) if (!this.#judged.has(id)) this.#wanted.delete(id);
  }

  #overhear(wanted: WantedState): void {
    wanted.follow(({ before, after }) => {
      const plan = after ?? before;
      if (plan === undefined) return;
      const id = `${plan.family} ${plan.name}`;
      this.#judged.add(id);
      if (after === undefined) this.#wanted.delete(id);
      else this.#wanted.set(id, after);
    });
  }

  /** Updates the watcher before each write. */
  #watched(reconciler: Reconciler): Reconciler {
    const writing = <T>(write: () => T): T => {
      if (this.#agent.source === 'complete' && nextPass(this.#agent.phase, this.#knowledge()) !== 'delta') this.#forgetUnjudged();
      this.#watcher.wantedChanged();
      return write();
    };
    return {
      ...reconciler,
      flush: (only) => writing(() => reconciler.flush(only)),
      prune: () => writing(() => reconciler.prune()),
      pruneServices: (services) => {
        for (const [id, { name }] of this.#wanted)
          if (services.includes(name.replace(/:.*/, '')) && !this.#judged.has(id)) this.#wanted.delete(id);
        reconciler.pruneServices(services);
      },
    };
  }
}

/** Applies the last state at once to empty tables. */
export function writtenAtOnce(config: Config, objects: Objects, devices: readonly LocalDevice[]): object {
  const life = new AgentLife(config, 1);
  life.tables.faultRate = life.ruleset.faultRate = 0;
  life.devices = devices;
  for (const object of objects.values()) life.put(object);
  life.pass();
  return life.outcome();
}

const isAnswered = ({ localSource, outsideSource }: Frontend): boolean => localSource.count + outsideSource.count > 0;

/** Names of the Service ports that frontends belong to. */
function ownersOf(tables: FakeTables): ReadonlyMap<string, string | undefined> {
  const names = new Map(tables.dump('services').map(({ key, value }) => [key.service, value.text]));
  return new Map(tables.dump('frontends').map(({ key, value }) => [frontendText(key), names.get(value.service)]));
}

/** Frontends with a backend. */
const answering = (tables: FakeTables): readonly string[] =>
  tables
    .dump('frontends')
    .filter(({ value }) => isAnswered(value))
    .map(({ key }) => frontendText(key));

/** Id of an object in `Objects`. */
export const idOf = (kind: string, key: string): string => `${kind} ${key}`;
