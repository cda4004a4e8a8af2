import type { HealthCheck } from '#plan/health-checks.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import type { Ruleset } from '#reconcile/ports/ruleset.ts';
import type { Tables } from '#reconcile/ports/tables.ts';
import { createReconciler, type Reconciler } from '#reconcile/reconciler.ts';
import { createRulesetWriter } from '#reconcile/ruleset/ruleset-writer.ts';
import { createTablesWriter, type TablesWriter } from '#reconcile/tables/tables-writer.ts';
import { createWantedState, type NodeFacts, type WantedState } from '#reconcile/wanted/wanted-state.ts';
import type { Problem } from '#reconcile/writer.ts';

type PortKey = Pick<PortPlan, 'name' | 'family'>;

/** Wants one Service port at a time; the wanted state takes whole Services. */
interface PortByPort {
  /** Without a plan the port is no longer wanted. */
  want(key: PortKey, plan: PortPlan | undefined): void;
  wantNode(facts: NodeFacts): void;
}

const NO_CHECKS: readonly HealthCheck[] = [];

function portByPort(wanted: WantedState): PortByPort {
  return {
    want(key, plan) {
      const service = key.name.replace(/:.*/, '');
      const ports = wanted.plansOf(service).filter(({ name, family }) => name !== key.name || family !== key.family);
      wanted.want(service, { plans: plan === undefined ? ports : [...ports, plan], healthChecks: NO_CHECKS });
    },
    wantNode: (facts) => wanted.wantNode(facts, []),
  };
}

/** A wanted state, its reconciler and the writer of the tables, as one object. */
export interface TablesReconciler extends Reconciler, PortByPort, Omit<TablesWriter, 'adopt' | 'prune' | 'write'> {}

/** Reconciles tables alone. `now`: ms of a clock that never goes back. */
export function reconcilerOfTables({ tables, now }: { readonly tables: Tables; readonly now: () => number }): TablesReconciler {
  const wanted = createWantedState();
  const writer = createTablesWriter({ tables, wanted, now });
  return { ...writer, ...portByPort(wanted), ...createReconciler({ wanted, writers: [writer], now }) };
}

/** A wanted state, its reconciler and the writer of the ruleset, as one object. */
export interface RulesetReconciler extends PortByPort {
  /** Returns when it should be called again, in ms. `isComplete`: everything is wanted that should exist. */
  flush(isComplete: boolean): number | undefined;
  install(): void;
  problems(): readonly Problem[];
}

/** Reconciles table `inet weir` alone. An earlier table stays until everything is wanted. */
export function reconcilerOfRuleset({ ruleset, now }: { readonly ruleset: Ruleset; readonly now: () => number }): RulesetReconciler {
  const wanted = createWantedState();
  const writer = createRulesetWriter({ ruleset, wanted, keepsEarlierTable: true, now });
  const reconciler = createReconciler({ wanted, writers: [writer], now });
  return {
    ...portByPort(wanted),
    flush: (isComplete) => (isComplete ? reconciler.prune() : reconciler.flush()).retryInMs,
    install: writer.install,
    problems: reconciler.problems,
  };
}
