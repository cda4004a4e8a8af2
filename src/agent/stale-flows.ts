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

  const judge = (flow: UdpFlow): StaleReason | undefined => {
    const verdict = parts.reconciler.judgeFlow(flow);
    return verdict === 'live' || verdict === 'foreign' ? undefined : verdict;
  };
  /** Ends stale flows and counts each as it ends; returns the counts by reason and the number of flows that the path showed. */
  const endStale = async (flows: Flows, count: (reason: StaleReason, flow: UdpFlow) => void, signal: AbortSignal) => {
    const tally = new Map<StaleReason, number>();
    const ended = (flow: UdpFlow, reason: StaleReason): void => {
      tally.set(reason, (tally.get(reason) ?? 0) + 1);
      count(reason, flow);
    };
    return { seen: await flows.endStaleUdp(judge, ended, signal), tally };
  };

  const lookAtPacketFlows = async (signal: AbortSignal): Promise<void> => {
    const start = performance.now();
    const count = (reason: StaleReason, { dialled }: UdpFlow): void => {
      counters.increment('deleted_conntrack_entries', reason);
      counters.increment('deleted_conntrack_entries_of', `IPv${familyOf(dialled.address)}`);
    };
    const { seen, tally } = await endStale(packetFlows, count, signal);
    const ms = performance.now() - start;
    looked(ms);
    log.debug(2, 'Looked for stale conntrack entries', { entries: seen, deleted: tallyText(tally), ms: Math.round(ms) });
  };

  const lookAtSocketFlows = async (signal: AbortSignal): Promise<void> => {
    if (socketFlows === undefined) return;
    const { tally } = await endStale(socketFlows, (reason) => counters.increment('ended_udp_sockets', reason), signal);
    log.debug(2, 'Looked for stale UDP sockets', { ended: tallyText(tally) });
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

/** `endpoint_gone:2,no_endpoint:1`, or `none`. */
const tallyText = (tally: ReadonlyMap<StaleReason, number>): string =>
  [...tally].map(([reason, count]) => `${reason}:${count}`).join(',') || 'none';
