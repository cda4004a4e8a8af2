import assert from 'node:assert/strict';
import type { Frontend } from '#abi/generated.ts';
import { createProgrammer, type Programmer } from '#agent/programmer.ts';
import { createStore, type Store } from '#agent/store.ts';
import type { Config } from '#config/config.ts';
import type { ModelObject } from '#model/objects.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { createRulesetReconciler, type RulesetReconciler } from '#reconcile/ruleset/reconciler.ts';
import { createReconciler, type PortKey, type Reconciler } from '#reconcile/tables/reconciler.ts';
import { frontendText, REST_MS } from '#reconcile/tables/state.ts';
import { frontendKeys } from '#reconcile/tables/steps.ts';
import { Crash, createFakeTables, type FakeTables } from '#support/fake-tables.ts';
import { readerOf } from '#support/table-reader.ts';
import { WriteWatcher } from '#support/write-watcher.ts';
import { FakeRuleset } from './fake-ruleset.ts';

/** Full now and then while a history goes on, but never for what it ends with. */
const LIMITS = { slots: 160, backends: 120, services: 60 } as const;

/** What a source has: objects by kind and key. */
export type Objects = ReadonlyMap<string, ModelObject>;

/** What health check node ports should say, by Service. */
type HealthChecks = Map<string, readonly object[]>;

/** One agent process: what src/agent puts together, without what only a kernel has. */
interface Agent {
  readonly store: Store;
  readonly programmer: Programmer;
  readonly reconciler: Reconciler;
  readonly ruleset: RulesetReconciler;
  readonly checks: HealthChecks;
  /** Opened tables of an earlier agent. */
  readonly adopted: boolean;
  isReady: boolean;
  isComplete: boolean;
  isPruned: boolean;
}

/** The tables of a node and the agents that look after them, one after the other; watched at every write. */
export class AgentLife {
  readonly tables: FakeTables;
  readonly ruleset: FakeRuleset;
  devices: readonly LocalDevice[] = [];
  now = 0;
  readonly #config: Config;
  readonly #objects = new Map<string, ModelObject>();
  /** Objects whose file cannot be read at the moment. */
  readonly #hidden = new Set<string>();
  /** What the agents asked for; of a former agent what the present one has not yet judged. */
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
    if (!this.#hidden.has(id)) this.#agent.store.set(object);
  }

  remove(kind: ModelObject['kind'], key: string): void {
    const id = idOf(kind, key);
    this.#objects.delete(id);
    if (!this.#hidden.has(id)) this.#agent.store.remove(kind, key);
  }

  /** What the loop does when it is woken. */
  pass(): void {
    const agent = this.#agent;
    const { store, programmer, reconciler } = agent;
    const [before, judged] = [agent.isComplete ? [] : answering(this.tables), new Set(this.#judged)];
    if (!agent.isReady && !agent.isComplete && agent.adopted && store.node() === undefined) return;
    programmer.plan(this.devices, agent.adopted && !agent.isComplete);
    if (agent.isComplete) this.#forgetUnjudged();
    this.#watcher.wantedChanged();
    if (agent.isComplete && !agent.isPruned) reconciler.prune();
    else reconciler.flush();
    if (!agent.isComplete) this.#refuseSilencing(before, judged);
    agent.isPruned = agent.isComplete;
    if (this.#flushRuleset()) agent.isReady = true;
  }

  /** A Service port that a former agent served is not refused because its slices cannot be read. */
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
        `${text} is answered no more`,
      );
    }
  }

  /** False where the table cannot be installed at the moment: the loop tries again then. */
  #flushRuleset(): boolean {
    try {
      this.#agent.ruleset.flush(this.#agent.isComplete);
      return true;
    } catch (error) {
      if (error instanceof Crash || error instanceof assert.AssertionError) throw error;
      return false;
    }
  }

  /** Kills the agent in the middle of a pass and starts another, which cannot read some of the objects at first. */
  restart(afterWrites: number, hidden: readonly string[]): void {
    this.#kill(afterWrites);
    this.#hidden.clear();
    for (const id of hidden) if (this.#objects.has(id)) this.#hidden.add(id);
    this.#agent = this.#birth(true);
    for (const [id, object] of this.#objects) if (!this.#hidden.has(id)) this.#agent.store.set(object);
    if (this.#hidden.size === 0) this.complete();
    else this.pass();
  }

  /** Kills the agent and starts another, which recalls what that one knew; `meanwhile` things change, which it hears of next. */
  succeed(afterWrites: number, meanwhile: () => void): void {
    this.#kill(afterWrites);
    this.#agent = this.#birth(true);
    const { store, programmer, reconciler } = this.#agent;
    for (const [id, object] of this.#objects) if (!this.#hidden.has(id)) store.recall(object);
    meanwhile();
    const before = ownersOf(this.tables);
    programmer.planNews(this.devices, this.#hidden.size === 0);
    this.#watcher.wantedChanged();
    reconciler.flush();
    for (const [text, owner] of ownersOf(this.tables)) assert.equal(before.get(text) ?? owner, owner, `${text} is another's too early`);
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

  /** Everything can be read. */
  complete(): void {
    for (const id of this.#hidden) {
      const object = this.#objects.get(id);
      if (object !== undefined) this.#agent.store.set(object);
    }
    this.#hidden.clear();
    this.#agent.isComplete = true;
    this.pass();
  }

  /** Everything goes well from here on; runs until nothing is left to do. */
  heal(): void {
    this.tables.faultRate = this.ruleset.faultRate = 0;
    this.complete();
    const { reconciler, ruleset } = this.#agent;
    for (let round = 0; round < 20; round++) {
      const waits = [reconciler.flush().retryInMs, ruleset.flush(true)].filter((wait) => wait !== undefined);
      if (waits.length === 0) break;
      this.now += Math.min(...waits);
    }
    const problems = [...reconciler.problems(), ...ruleset.problems()].filter(({ code }) => code !== 'conflict');
    assert.deepEqual(problems, []);
    this.now += REST_MS;
    assert.deepEqual(reconciler.flush().writes, {});
  }

  /** What the tables say and how much room they take, and what health checks answer. */
  outcome(): object {
    const { reconciler, checks } = this.#agent;
    return { ...readerOf(this.tables).meaning(), usage: reconciler.usage(), ruleset: this.ruleset.meaning(), checks };
  }

  #birth(adopted: boolean): Agent {
    const store = createStore(this.#config.nodeName);
    const reconciler = this.#overheard(createReconciler({ tables: this.tables, now: () => this.now }));
    if (adopted) reconciler.adopt();
    this.#judged.clear();
    this.#forgetUnserved();
    const ruleset = createRulesetReconciler({ ruleset: this.ruleset, now: () => this.now });
    const checks: HealthChecks = new Map();
    const serviceHealth = {
      want: (service: string, wanted: readonly object[]) => void (wanted.length > 0 ? checks.set(service, wanted) : checks.delete(service)),
      listenAt() {},
    };
    const programmer = createProgrammer({ config: this.#config, store, reconciler, ruleset, serviceHealth, netnsCookie: 7n });
    return { store, programmer, reconciler, ruleset, checks, adopted, isReady: false, isComplete: false, isPruned: false };
  }

  /** What a former agent did not bring to an end is known to nobody. */
  #forgetUnserved(): void {
    const live = new Set(this.tables.dump('frontends').map(({ key }) => frontendText(key)));
    for (const [id, plan] of this.#wanted)
      if (!frontendKeys(plan, plan.frontends).every((key) => live.has(frontendText(key)))) this.#wanted.delete(id);
  }

  /** What a former agent was asked for and this one knows not to exist. */
  #forgetUnjudged(): void {
    for (const id of this.#wanted.keys()) if (!this.#judged.has(id)) this.#wanted.delete(id);
  }

  #overheard(reconciler: Reconciler): Reconciler {
    const want = (key: PortKey, plan: PortPlan | undefined): void => {
      const id = `${key.family} ${key.name}`;
      this.#judged.add(id);
      if (plan === undefined) this.#wanted.delete(id);
      else this.#wanted.set(id, plan);
      reconciler.want(key, plan);
    };
    const dropUnwanted = (services: readonly string[]): void => {
      const isCertain = (name: string): boolean => services.includes(name.replace(/:.*/, ''));
      for (const [id, { name }] of this.#wanted) if (isCertain(name) && !this.#judged.has(id)) this.#wanted.delete(id);
      reconciler.dropUnwanted(services);
    };
    return { ...reconciler, want, dropUnwanted };
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

/** Frontends that lead to somebody. */
const answering = (tables: FakeTables): readonly string[] =>
  tables
    .dump('frontends')
    .filter(({ value }) => isAnswered(value))
    .map(({ key }) => frontendText(key));

/** What an object is known by. */
export const idOf = (kind: string, key: string): string => `${kind} ${key}`;
