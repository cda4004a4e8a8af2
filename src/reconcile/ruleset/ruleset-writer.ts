import type { PortPlan } from '#plan/port-plan.ts';
import type { Ruleset, RulesetItem } from '../ports/ruleset.ts';
import type { Retries } from '../retries.ts';
import { NODE, subjectOf } from '../wanted/keys.ts';
import type { WantedState } from '../wanted/wanted-state.ts';
import type { Problem, Writer } from '../writer.ts';
import { createRulesetBook } from './book.ts';
import { itemsOf, memoriesFor, nodeItems, SCTP, UDP } from './items.ts';
import { createMemories, MAX_MEMORIES } from './memories.ts';

/** Writes table `inet weir`. */
export interface RulesetWriter extends Writer {
  /**
   * Writes changes and due retries, in one transaction. The first call installs the table; while the wanted state is incomplete it leaves
   * the table of an earlier agent as it is. If the table is gone, the call waits for install(). Throws if the table cannot be installed.
   */
  write: Writer['write'];
  /** Replaces the whole table. Throws if it cannot be installed. */
  install(): void;
}

interface RulesetWriterParts {
  readonly ruleset: Ruleset;
  readonly wanted: WantedState;
  /** Whether the table of an earlier agent stays until the wanted state is complete. */
  readonly keepsEarlierTable: boolean;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** The table is not installed yet. */
export function createRulesetWriter({ ruleset, wanted, keepsEarlierTable, now }: RulesetWriterParts): RulesetWriter {
  const book = createRulesetBook();
  const memories = createMemories();
  let isInstalled = false;
  let mayReplace = !keepsEarlierTable;
  /** Holders whose items are not in the book yet. */
  const outdated = new Set<string>();
  /** The retries of the last call of write(), which install() clears. */
  let attempts: Retries | undefined;

  wanted.follow(({ holders }) => {
    for (const holder of holders) outdated.add(holder);
  });

  const portItems = (holder: string, plan: PortPlan | undefined): readonly RulesetItem[] => {
    const mayRemember = memories.take(holder, plan === undefined ? 0 : memoriesFor(plan));
    if (plan === undefined) return [];
    const needsFrontends = plan.protocol === SCTP || plan.protocol === UDP;
    return itemsOf(plan, needsFrontends ? wanted.share(plan).won : [], mayRemember);
  };
  const bringUpToDate = (): void => {
    const refresh = (holder: string): void => book.hold(holder, portItems(holder, wanted.plan(holder)));
    for (const holder of outdated) {
      const node = wanted.node();
      if (holder !== NODE) refresh(holder);
      else if (node !== undefined) book.hold(NODE, nodeItems(node));
      // A holder that waits for room goes before holders that have changed now
      for (let next = memories.next(); next !== undefined; next = memories.next()) refresh(next);
    }
    outdated.clear();
  };
  /** All holders in one transaction, or, if nft refuses it, each half by itself: a holder that nft refuses does not stop the others. */
  const apply = (holders: readonly string[], retries: Retries | undefined): void => {
    const group = new Set(holders);
    try {
      const change = book.changeFor(group);
      if (change !== undefined) ruleset.change(change);
      book.changed(group);
    } catch (error) {
      const half = holders.length >> 1;
      if (half === 0) retries?.fail(holders[0] as string, { code: 'transient', message: firstLine(error) }, now());
      else for (const part of [holders.slice(0, half), holders.slice(half)]) apply(part, retries);
    }
  };
  const install = (): void => {
    bringUpToDate();
    attempts?.clear();
    try {
      ruleset.install(book.wanted());
      book.installed();
    } catch {
      ruleset.install(book.wanted(NODE));
      book.installed(NODE);
      apply([...book.dirty()], attempts);
    }
    isInstalled = true;
  };
  /** A holder that nft refused waits for its retry, even if it changes meanwhile. */
  const applyDue = (retries: Retries): void => {
    const retried = new Set(retries.due(now()));
    const due = [...book.dirty()].filter((holder) => retried.has(holder) || !retries.isFailing(holder));
    for (const holder of due) retries.begin(holder);
    apply(due, retries);
    for (const holder of due) retries.end(holder);
  };

  return {
    write(holders, retries) {
      attempts = retries;
      bringUpToDate();
      if (!isInstalled && (mayReplace || !ruleset.isThere())) install();
      else if (isInstalled && [...book.dirty()].length > 0 && ruleset.isThere()) applyDue(retries);
      return { attempted: holders, writes: {}, udpLosses: { backends: 0, frontends: 0 } };
    },
    prune(services) {
      if (services === undefined) mayReplace = true;
      return [];
    },
    troubled: memories.refused,
    problemsOf(holder, failure) {
      const failed = failure === undefined ? [] : [writeProblem(holder, failure.message)];
      return memories.isRefused(holder) ? [...failed, affinityProblem(holder)] : failed;
    },
    install,
  };
}

function writeProblem(holder: string, message: string): Problem {
  const { port, words } = subjectOf(holder, "the node's part");
  return { port, code: 'transient', message: `Cannot program ${words} of table inet weir: ${message}` };
}

function affinityProblem(identity: string): Problem {
  const { port, words } = subjectOf(identity, '');
  const reason = `table inet weir has room for the clients of ${MAX_MEMORIES} endpoints`;
  return {
    port,
    code: 'full',
    message: `Cannot remember clients of ${words}: ${reason}; a hash of the client's address chooses until there is room`,
  };
}

const firstLine = (error: unknown): string => String(error instanceof Error ? error.message : error).split('\n')[0] as string;
