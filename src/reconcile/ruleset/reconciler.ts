import type { FrontendKey } from '#abi/generated.ts';
import type { PlannedFrontend, PortPlan } from '#plan/port-plan.ts';
import type { Ruleset } from '../ports/ruleset.ts';
import type { NodeFacts } from '../tables/node-tables.ts';
import type { Problem } from '../tables/reconciler.ts';
import { frontendKeys } from '../tables/steps.ts';
import { createClaims, identityOf } from '../wanted/claims.ts';
import { NODE, type PortKey, subjectOf } from '../wanted/wanted-state.ts';
import { createRulesetBook } from './book.ts';
import { itemsOf, memoriesFor, nodeItems, SCTP } from './items.ts';
import { createMemories, MAX_MEMORIES } from './memories.ts';

/** Brings table `inet weir` to what is wanted, whatever fails on the way. */
export interface RulesetReconciler {
  /** What should exist for a Service port from the next flush on; undefined = nothing. */
  want(key: PortKey, plan: PortPlan | undefined): void;
  wantNode(facts: NodeFacts): void;
  /**
   * Writes what changed and what is due for another try, in one transaction. The first one installs the table; while not everything
   * is known that should be (`isComplete`) one that is there already stays as it is. One that is gone waits for install(). Returns
   * when it should be called again although nothing changes, in ms; undefined = not needed. Throws where the table cannot be installed
   * at all.
   */
  flush(isComplete: boolean): number | undefined;
  /** Puts the whole table in the place of what is there. Throws where it cannot be installed at all. */
  install(): void;
  /** Everything that is not as it should be. */
  problems(): readonly Problem[];
}

const FIRST_MS = 200;
const LAST_MS = 30_000;

interface Failure {
  readonly message: string;
  readonly count: number;
  readonly dueAt: number;
}

/** `now`: ms of a clock that never goes back. */
export function createRulesetReconciler({ ruleset, now }: { readonly ruleset: Ruleset; readonly now: () => number }): RulesetReconciler {
  const book = createRulesetBook();
  const { forgetful, ...wanted } = createWanted(book.hold);
  const failures = new Map<string, Failure>();
  let isInstalled = false;

  const fail = (holder: string, error: unknown): void => {
    const count = (failures.get(holder)?.count ?? 0) + 1;
    const pause = Math.min(LAST_MS, FIRST_MS * 2 ** (count - 1));
    failures.set(holder, { message: firstLine(error), count, dueAt: now() + pause });
  };
  /** All together, or if that fails each half by itself: one that nft refuses does not stop the others. */
  const apply = (holders: readonly string[]): void => {
    const group = new Set(holders);
    try {
      const change = book.changeFor(group);
      if (change !== undefined) ruleset.change(change);
      book.changed(group);
      for (const holder of holders) failures.delete(holder);
    } catch (error) {
      const half = holders.length >> 1;
      if (half === 0) fail(holders[0] as string, error);
      else for (const part of [holders.slice(0, half), holders.slice(half)]) apply(part);
    }
  };
  const isDue = (holder: string): boolean => (failures.get(holder)?.dueAt ?? 0) <= now();
  const install = (): void => {
    failures.clear();
    try {
      ruleset.install(book.wanted());
      book.installed();
    } catch {
      ruleset.install(book.wanted(NODE));
      book.installed(NODE);
      apply([...book.dirty()]);
    }
    isInstalled = true;
  };

  return {
    ...wanted,
    install,
    flush(isComplete) {
      const due = [...book.dirty()].filter(isDue);
      if (!isInstalled && (isComplete || !ruleset.isThere())) install();
      else if (isInstalled && due.length > 0 && ruleset.isThere()) apply(due);
      const next = Math.min(...[...failures.values()].map(({ dueAt }) => dueAt));
      return next === Number.POSITIVE_INFINITY ? undefined : Math.max(0, next - now());
    },
    problems: () => [...[...failures].map(([holder, { message }]) => problemOf(holder, message)), ...[...forgetful()].map(affinityProblem)],
  };
}

interface Wanted extends Pick<RulesetReconciler, 'want' | 'wantNode'> {
  /** Service ports with session affinity for whose clients there is no room. */
  forgetful(): Iterable<string>;
}

/** Turns plans into items; of an SCTP frontend that several claim the older Service's counts, as in the tables. */
function createWanted(hold: ReturnType<typeof createRulesetBook>['hold']): Wanted {
  const plans = new Map<string, PortPlan>();
  const targets = new Map<string, PortPlan>();
  const claims = createClaims();
  const memories = createMemories();

  const wonFrontends = (plan: PortPlan): readonly PlannedFrontend[] => {
    const keys = frontendKeys(plan, plan.frontends);
    return plan.frontends.filter((_, i) => claims.winner(keys[i] as FrontendKey) === plan);
  };
  const refresh = (identity: string): void => {
    const plan = targets.get(identity);
    const mayRemember = memories.take(identity, plan === undefined ? 0 : memoriesFor(plan));
    hold(identity, plan === undefined ? [] : itemsOf(plan, wonFrontends(plan), mayRemember));
  };

  return {
    want(key, plan) {
      const text = `${key.family} ${key.name}`;
      const before = plans.get(text);
      if (plan === undefined) plans.delete(text);
      else plans.set(text, plan);
      const [old, fresh] = [before, plan].map((one) => one && identityOf(one));
      if (old !== undefined) targets.delete(old);
      if (plan !== undefined) targets.set(fresh as string, plan);
      const affected = claims.replace(ofSctp(before), ofSctp(plan));
      for (const identity of new Set([old, fresh, ...affected])) if (identity !== undefined) refresh(identity);
      for (let next = memories.next(); next !== undefined; next = memories.next()) refresh(next);
    },
    wantNode: (facts) => hold(NODE, nodeItems(facts)),
    forgetful: memories.refused,
  };
}

const ofSctp = (plan: PortPlan | undefined): PortPlan | undefined => (plan?.protocol === SCTP ? plan : undefined);

function problemOf(holder: string, message: string): Problem {
  const { port, words } = subjectOf(holder, "the node's part");
  return { port, code: 'transient', message: `Cannot program ${words} of table inet weir: ${message}` };
}

function affinityProblem(identity: string): Problem {
  const { port, words } = subjectOf(identity, '');
  const reason = `table inet weir remembers those of ${MAX_MEMORIES} endpoints of all Services at most, its own do not fit`;
  return {
    port,
    code: 'full',
    message: `Cannot remember clients of ${words}: ${reason}; a hash of their address chooses until there is room`,
  };
}

const firstLine = (error: unknown): string => String(error instanceof Error ? error.message : error).split('\n')[0] as string;
