import type { TableName } from '#abi/generated.ts';
import type { UdpLosses } from './flows/flows.ts';
import { createRetries, type Retries } from './retries.ts';
import { NODE } from './wanted/keys.ts';
import type { WantedState } from './wanted/wanted-state.ts';
import type { Problem, Writer, Written } from './writer.ts';

/** What a flush did. */
export interface FlushReport {
  /** Entries put and removed; tables without a write are missing. */
  readonly writes: Readonly<Partial<Record<TableName, number>>>;
  /** What this flush could not do. */
  readonly failed: readonly Problem[];
  /** Service ports (and the node) that have something left to write. */
  readonly pending: number;
  /** When flush() must be called again even if nothing changes; undefined = not needed. */
  readonly retryInMs: number | undefined;
  /** What UDP flows may have lost: if it is more than nothing, some may be stale. */
  readonly udpLosses: Readonly<UdpLosses>;
}

/** Brings the kernel to the wanted state through its writers, whatever fails on the way. */
export interface Reconciler {
  /** Reads what the kernel holds: before the first flush, and again when another process may have written to it. */
  adopt(): void;
  /**
   * Writes changes and due retries, with these writers or with all. Passes on an exception of a writer; the next flush then reads the kernel
   * again.
   */
  flush(only?: readonly Writer[]): FlushReport;
  /** From now on the wanted state is complete: a flush that also removes what the kernel holds beyond it. */
  prune(): FlushReport;
  /** The wanted state is complete of these Services (`namespace/name`): the next flush removes what the kernel holds beyond it. */
  pruneServices(services: readonly string[]): void;
  /** Everything that is not as it should be. */
  problems(): readonly Problem[];
}

interface ReconcilerParts {
  readonly wanted: WantedState;
  /** In the order in which they write. */
  readonly writers: readonly Writer[];
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** A writer with what it still has to write. */
interface Lane {
  readonly writer: Writer;
  /** Changed since the last flush. */
  readonly changed: Set<string>;
  readonly retries: Retries;
  /** Whether the writer knows what the kernel holds. */
  isAdopted: boolean;
}

/** Nothing is written before the first flush. */
export function createReconciler({ wanted, writers, now }: ReconcilerParts): Reconciler {
  const lanes = writers.map((writer): Lane => ({ writer, changed: new Set(), retries: createRetries(), isAdopted: false }));
  let isComplete = false;

  wanted.follow(({ holders }) => {
    for (const holder of holders) for (const { changed } of lanes) changed.add(holder);
  });

  const prune = ({ writer, changed }: Lane, services?: readonly string[]): void => {
    for (const holder of writer.prune(services)) changed.add(holder);
  };
  const adopt = (lane: Lane): void => {
    if (lane.writer.adopt !== undefined) {
      lane.writer.adopt();
      for (const holder of [...wanted.plans().keys(), NODE]) lane.changed.add(holder);
    }
    lane.isAdopted = true;
    if (isComplete) prune(lane);
  };
  const flushLane = (lane: Lane): Written => {
    if (!lane.isAdopted) adopt(lane);
    // If the writer throws, it is unknown what it wrote
    lane.isAdopted = false;
    const written = lane.writer.write(new Set([...lane.changed, ...lane.retries.due(now())]), lane.retries);
    lane.isAdopted = true;
    lane.changed.clear();
    return written;
  };
  const flush = (only: readonly Writer[] = writers): FlushReport => {
    const flushed = lanes.filter(({ writer }) => only.includes(writer));
    const written = flushed.map(flushLane);
    const failed = flushed.flatMap((lane, i) => [...(written[i]?.attempted ?? [])].flatMap((holder) => problemsOf(lane, holder)));
    return {
      ...summed(written),
      failed,
      pending: new Set(lanes.flatMap(({ retries }) => [...retries.failures().keys()])).size,
      retryInMs: earliest(lanes.map((lane) => retryDelay(lane, now()))),
    };
  };

  return {
    adopt() {
      for (const lane of lanes) adopt(lane);
    },
    flush,
    prune() {
      isComplete = true;
      for (const lane of lanes) if (lane.isAdopted) prune(lane);
      return flush();
    },
    pruneServices(services) {
      for (const lane of lanes) prune(lane, services);
    },
    problems: () => [
      ...lanes.flatMap((lane) =>
        [...new Set([...lane.retries.failures().keys(), ...lane.writer.troubled()])].flatMap((holder) => problemsOf(lane, holder)),
      ),
      ...wanted.capturedChecks().map(({ service, message }): Problem => ({ port: service, code: 'conflict', message })),
    ],
  };
}

const problemsOf = ({ writer, retries }: Lane, holder: string): readonly Problem[] =>
  writer.problemsOf(holder, retries.failures().get(holder));

function retryDelay({ writer, retries }: Lane, now: number): number | undefined {
  const next = retries.nextDue((table) => writer.hasRoomAt?.(table));
  return next === undefined ? undefined : Math.max(0, next - now);
}

const earliest = (times: readonly (number | undefined)[]): number | undefined =>
  times.reduce((a, b) => (a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)), undefined);

function summed(all: readonly Written[]): Pick<FlushReport, 'writes' | 'udpLosses'> {
  const writes: Partial<Record<TableName, number>> = {};
  const udpLosses = { backends: 0, frontends: 0 };
  for (const written of all) {
    for (const [table, count] of Object.entries(written.writes) as [TableName, number][]) writes[table] = (writes[table] ?? 0) + count;
    udpLosses.backends += written.udpLosses.backends;
    udpLosses.frontends += written.udpLosses.frontends;
  }
  return { writes, udpLosses };
}
