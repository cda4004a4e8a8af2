import type { LocalDevice } from '#plan/plan-node.ts';
import type { FlushReport, Reconciler } from '#reconcile/reconciler.ts';
import type { TablesWriter } from '#reconcile/tables/tables-writer.ts';
import type { Knowledge, Pass } from './lifecycle.ts';
import type { Programmer } from './programmer.ts';

interface Parts {
  readonly programmer: Pick<Programmer, 'plan' | 'planDelta'>;
  readonly reconciler: Reconciler;
  /** Writes a delta alone: the ruleset of the earlier agent stays until all Services are planned. */
  readonly tables: TablesWriter;
}

/** Runs a pass over the wanted state and the kernel. Returns what it wrote; undefined if it wrote nothing. Throws what the kernel refuses. */
export type RunPass = (pass: Pass, devices: readonly LocalDevice[], knowledge: Knowledge) => FlushReport | undefined;

/** The passes of an agent, and of the property test of agent lives. */
export function createPasses({ programmer, reconciler, tables }: Parts): RunPass {
  return (pass, devices, { hasEarlierTables, source }) => {
    const isComplete = source === 'complete';
    switch (pass) {
      case 'adopt':
        reconciler.adopt();
        return undefined;
      case 'delta': {
        const services = programmer.planDelta(devices, isComplete);
        if (services.length === 0) return undefined;
        if (isComplete) reconciler.pruneServices(services);
        return reconciler.flush([tables]);
      }
      case 'flush':
      case 'prune':
        programmer.plan(devices, hasEarlierTables && !isComplete);
        return pass === 'prune' ? reconciler.prune() : reconciler.flush();
      default:
        return undefined;
    }
  };
}
