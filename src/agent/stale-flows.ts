import type { Remove } from '#kernel/netlink/conntrack.ts';
import { familyOf } from '#lib/address.ts';
import type { Counters } from '#observe/counters.ts';
import type { Log } from '#observe/log.ts';
import type { StaleReason, UdpFlow, UdpLosses } from '#reconcile/flows/flows.ts';
import type { TablesWriter } from '#reconcile/tables/tables-writer.ts';
import { createRetryingTask } from '#timing/retrying-task.ts';

/** Ends UDP flows that go where nobody answers for their Service any more. Each is looked at, nothing is flushed. */
export interface StaleFlows {
  /** After a pass over the tables. */
  follow(losses: Readonly<UdpLosses>): void;
  /** Where it is unknown what was lost. */
  lookAtAll(): void;
  stop(): void;
}

export interface StaleFlowsParts {
  readonly reconciler: Pick<TablesWriter, 'judgeFlow'>;
  /** Calls back for each UDP entry that may be a Service's; resolves with their number. */
  readonly walkEntries: (look: (flow: UdpFlow, remove: Remove) => void, signal: AbortSignal) => Promise<number>;
  /** Ends connected UDP sockets of which that is said; resolves with what they were connected to. */
  readonly endSockets: (isStale: (flow: UdpFlow) => boolean, signal: AbortSignal) => Promise<readonly UdpFlow[]>;
  /** Told how long a look at the entries took, ms. */
  readonly looked: (ms: number) => void;
  readonly log: Log;
  readonly counters: Counters;
}

/**
 * Until flows are stale that were spared because an answer may be on its way, and until a program that read the tables just before they
 * changed has made its flow, ms.
 */
const LATE_FLOWS_MS = 500;

/** Looks only when asked to, and once more a little later; several wishes at a time are one look. */
export function createStaleFlows(parts: StaleFlowsParts, lateFlowsMs: number = LATE_FLOWS_MS): StaleFlows {
  const { reconciler, walkEntries, endSockets, looked, log, counters } = parts;
  const staleReason = (flow: UdpFlow): StaleReason | undefined => {
    const verdict = reconciler.judgeFlow(flow);
    return verdict === 'live' || verdict === 'foreign' ? undefined : verdict;
  };

  const lookAtEntries = async (signal: AbortSignal): Promise<void> => {
    const start = performance.now();
    const deleted = createTally();
    const look = (flow: UdpFlow, remove: Remove): void => {
      const reason = staleReason(flow);
      if (reason === undefined || !remove()) return;
      deleted.add(reason);
      counters.increment('deleted_conntrack_entries', reason);
      counters.increment('deleted_conntrack_entries_of', `IPv${familyOf(flow.dialled.address)}`);
    };
    const entries = await walkEntries(look, signal);
    const ms = performance.now() - start;
    looked(ms);
    log.debug(2, 'Looked for stale conntrack entries', { entries, deleted, ms: Math.round(ms) });
  };

  const lookAtSockets = async (signal: AbortSignal): Promise<void> => {
    const reasons = new Map<UdpFlow, StaleReason>();
    const isStale = (flow: UdpFlow): boolean => {
      const reason = staleReason(flow);
      if (reason !== undefined) reasons.set(flow, reason);
      return reason !== undefined;
    };
    const ended = createTally();
    for (const flow of await endSockets(isStale, signal)) {
      const reason = reasons.get(flow) ?? 'endpoint_gone';
      ended.add(reason);
      counters.increment('ended_udp_sockets', reason);
    }
    log.debug(2, 'Looked for stale UDP sockets', { ended });
  };

  const failed = (error: unknown): void => log.error('Cannot end stale UDP flows, trying again', { error });
  const entries = createRetryingTask(lookAtEntries, failed);
  const sockets = createRetryingTask(lookAtSockets, failed);
  let late: NodeJS.Timeout | undefined;

  const lookAtAll = (): void => {
    entries.ask();
    sockets.ask();
  };
  const lookAgain = (): void => {
    clearTimeout(late);
    late = setTimeout(lookAtAll, lateFlowsMs).unref();
  };
  return {
    follow({ backends, frontends }) {
      if (backends + frontends === 0) return;
      entries.ask();
      if (backends > 0) sockets.ask();
      lookAgain();
    },
    lookAtAll,
    stop() {
      clearTimeout(late);
      entries.stop();
      sockets.stop();
    },
  };
}

/** Reasons and how often, written as `endpoint_gone:2,no_endpoint:1`. */
function createTally(): { add(reason: StaleReason): void; toString(): string } {
  const counts = new Map<StaleReason, number>();
  return {
    add: (reason) => void counts.set(reason, (counts.get(reason) ?? 0) + 1),
    toString: () => [...counts].map(([reason, count]) => `${reason}:${count}`).join(',') || 'none',
  };
}
