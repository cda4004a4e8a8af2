import type { EventReason } from '#events/event-recorder.ts';
import type { Counters } from '#observe/counters.ts';
import type { Log } from '#observe/log.ts';
import type { FlushReport, Reconciler } from '#reconcile/reconciler.ts';
import type { Problem } from '#reconcile/writer.ts';
import { createActiveProblems, type IdentifiedProblem } from '#sources/active-problems.ts';
import type { Alarm } from './alarm.ts';

/** Logs what passes do: what they wrote, and each problem once, however often the write is retried. */
export interface PassLog {
  passed(report: FlushReport): void;
  adopted(held: { readonly services: number; readonly frontends: number }): void;
  awaitsNode(): void;
  failed(error: unknown, retryMs: number): void;
  ready(facts: ReadyFacts): void;
}

/** The agent as it is at its first complete pass. */
export interface ReadyFacts {
  readonly services: number;
  readonly slices: number;
  readonly devices: number;
  /** The source has delivered this node's Node object. */
  readonly hasNode: boolean;
  /** What an earlier agent served stays, because the source is incomplete. */
  readonly keepsEarlier: boolean;
  /** Folders of tables of another layout. */
  readonly removedFolders: readonly string[];
}

interface Parts {
  readonly nodeName: string;
  readonly reconciler: Pick<Reconciler, 'problems'>;
  readonly alarm: Alarm;
  readonly log: Log;
  readonly counters: Counters;
}

const REASON_OF: Partial<Record<Problem['code'], EventReason>> = { conflict: 'AddressConflict', full: 'TableFull' };

/** Nothing is logged yet. */
export function createPassLog({ nodeName, reconciler, alarm, log, counters }: Parts): PassLog {
  const active = createActiveProblems<Problem & IdentifiedProblem>(({ code, port, message }) => {
    counters.increment('table_problems', code);
    // A service id without a name belongs to no Service
    const service = port?.includes('/') ? port.replace(/:[^:]*$/, '') : undefined;
    alarm.error(REASON_OF[code] ?? 'FailedToProgram', message, {}, service);
  });

  return {
    passed({ writes }) {
      const problems = reconciler.problems().map((problem) => ({ ...problem, id: problem.message, reason: problem.code }));
      const areSolved = active.replace('tables', problems);
      if (Object.keys(writes).length > 0) log.debug(2, 'Wrote tables', { ...writes });
      if (areSolved) log.info('Earlier failures are repaired: the kernel holds everything that is wanted');
    },
    adopted: (held) => log.info('Adopted the tables of an earlier agent', { ...held }),
    awaitsNode: () => log.warn(`Waiting for Node ${nodeName}: the source is incomplete, so everything that an earlier agent served stays`),
    failed: (error, retryMs) =>
      alarm.error('FailedToProgram', `Cannot bring the kernel to the wanted state, trying again in ${retryMs} ms`, { error }),
    ready({ services, slices, devices, hasNode, keepsEarlier, removedFolders }) {
      for (const folder of removedFolders) log.info('Removed tables of another layout', { folder });
      if (keepsEarlier)
        log.warn('The source is empty or has unusable objects: everything that an earlier agent served stays until that changes');
      if (!hasNode) log.warn(`The source has no Node ${nodeName}: no NodePort is served until it has`);
      log.info(`Ready: ${services} Services, ${slices} EndpointSlices, ${devices} devices`);
    },
  };
}
