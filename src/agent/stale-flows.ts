import { familyOf } from '#lib/address.ts';
import type { Counters } from '#observe/counters.ts';
import type { Log } from '#observe/log.ts';
import type { StaleReason, UdpFlow, UdpLosses } from '#reconcile/flows/flows.ts';
import type { Flows } from '#reconcile/ports/datapath.ts';
import type { TablesWriter } from '#reconcile/tables/tables-writer.ts';
import { createRetryingTask } from '#timing/retrying-task.ts';

/** Ends UDP flows whose endpoint no longer serves their Service. Judges each flow; flushes nothing. */
export interface StaleFlows {
  /** After a pass over the tables. */
  follow(losses: Readonly<UdpLosses>): void;
  /** If it is unknown what UDP flows have lost. */
  lookAtAll(): void;
  stop(): void;
}

export interface StaleFlowsParts {
  readonly reconciler: Pick<TablesWriter, 'judgeFlow'>;
  readonly packetFlows: Flows;
  /** Undefined if the node cannot end sockets. */
  readonly socketFlows: Flows | undefined;
  /** Receives the duration of each look at flows of the packet path, ms. */
  readonly looked: (ms: number) => void;
  readonly log: Log;
  readonly counters: Counters;
}

/**
 * Pause until a second look, ms. Until then flows are stale that were spared because an answer may have been on its way, and programs that read
 * the tables just before they changed have made their flows.
 */
const LATE_FLOWS_MS = 500;

/** Looks at flows on demand, and once more a little later; several requests at a time are one look. */
export function createStaleFlows(parts: StaleFlowsParts, lateFlowsMs: number = LATE_FLOWS_MS): StaleFlows {
  const { packetFlows, socketFlows, looked, log, counters } = parts;

  /** The flows that were ended, each with its reason, and the number of flows that the path showed. */
  const endStale = async (
    flows: Flows,
    signal: AbortSignal,
  ): Promise<{ seen: number; ended: readonly (readonly [UdpFlow, StaleReason])[] }> => {
    const reasons = new Map<UdpFlow, StaleReason>();
    const isStale = (flow: UdpFlow): boolean => {
      const verdict = parts.reconciler.judgeFlow(flow);
      if (verdict === 'live' || verdict === 'foreign') return false;
      reasons.set(flow, verdict);
      return true;
    };
    const { seen, ended } = await flows.endStaleUdp(isStale, signal);
    return { seen, ended: ended.map((flow) => [flow, reasons.get(flow) ?? 'endpoint_gone'] as const) };
  };

  const lookAtPacketFlows = async (signal: AbortSignal): Promise<void> => {
    const start = performance.now();
    const { seen, ended } = await endStale(packetFlows, signal);
    for (const [flow, reason] of ended) {
      counters.increment('deleted_conntrack_entries', reason);
      counters.increment('deleted_conntrack_entries_of', `IPv${familyOf(flow.dialled.address)}`);
    }
    const ms = performance.now() - start;
    looked(ms);
    log.debug(2, 'Looked for stale conntrack entries', { entries: seen, deleted: tally(ended), ms: Math.round(ms) });
  };

  const lookAtSocketFlows = async (signal: AbortSignal): Promise<void> => {
    if (socketFlows === undefined) return;
    const { ended } = await endStale(socketFlows, signal);
    for (const [, reason] of ended) counters.increment('ended_udp_sockets', reason);
    log.debug(2, 'Looked for stale UDP sockets', { ended: tally(ended) });
  };

  const failed = (error: unknown): void => log.error('Cannot end stale UDP flows, trying again', { error });
  const entries = createRetryingTask(lookAtPacketFlows, failed);
  const sockets = createRetryingTask(lookAtSocketFlows, failed);
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

/** Reasons with their counts, as `endpoint_gone:2,no_endpoint:1`. */
function tally(ended: readonly (readonly [UdpFlow, StaleReason])[]): string {
  const counts = new Map<StaleReason, number>();
  for (const [, reason] of ended) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => `${reason}:${count}`).join(',') || 'none';
}
