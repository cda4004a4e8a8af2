import type { TableName } from '#abi/generated.ts';
import { pauseAfter } from '#timing/back-off.ts';
import type { TableErrorCode } from './ports/tables.ts';

/** Why something of a holder could not be written. */
export interface WriteFailure {
  readonly code: TableErrorCode;
  /** Undefined where no table of the programs refused. */
  readonly table?: TableName;
  readonly message: string;
}

/** Holders whose writes failed, and when each is retried. */
export interface Retries {
  /** An attempt starts; it counts as successful until fail(). */
  begin(holder: string): void;
  /** The first failure of an attempt counts. */
  fail(holder: string, failure: WriteFailure, now: number): void;
  /** The attempt is over; forgets the holder if it did not fail. */
  end(holder: string): void;
  isFailing(holder: string): boolean;
  /** Holders to retry at `now`. */
  due(now: number): string[];
  /** Holders that one of these tables refused because it was full. */
  waitingFor(freed: ReadonlySet<TableName>): string[];
  /** Time of the next attempt; `hasRoomAt` returns when a full table may have room. */
  nextDue(hasRoomAt: (table: TableName) => number | undefined): number | undefined;
  failures(): ReadonlyMap<string, WriteFailure>;
  /** Forgets every failure, because everything was rewritten. */
  clear(): void;
}

const PAUSES = { firstMs: 200, maxMs: 30_000 };

/** No holder has failed. Pauses double from 200 ms to 30 s. */
export function createRetries(): Retries {
  const failures = new Map<string, WriteFailure>();
  const attempts = new Map<string, { readonly count: number; readonly dueAt: number }>();

  return {
    begin: (holder) => failures.delete(holder),
    fail(holder, failure, now) {
      if (failures.has(holder)) return;
      const count = (attempts.get(holder)?.count ?? 0) + 1;
      failures.set(holder, failure);
      attempts.set(holder, { count, dueAt: now + pauseAfter(count, PAUSES) });
    },
    end(holder) {
      if (!failures.has(holder)) attempts.delete(holder);
    },
    isFailing: (holder) => failures.has(holder),
    due: (now) => [...attempts].filter(([, attempt]) => attempt.dueAt <= now).map(([holder]) => holder),
    waitingFor: (freed) =>
      freed.size === 0
        ? []
        : [...failures]
            .filter(([, { code, table }]) => code === 'full' && table !== undefined && freed.has(table))
            .map(([holder]) => holder),
    nextDue(hasRoomAt) {
      let next: number | undefined;
      for (const [holder, { dueAt }] of attempts) {
        const failure = failures.get(holder);
        const room = failure?.code === 'full' && failure.table !== undefined ? hasRoomAt(failure.table) : undefined;
        next = Math.min(next ?? Number.POSITIVE_INFINITY, dueAt, room ?? Number.POSITIVE_INFINITY);
      }
      return next;
    },
    failures: () => failures,
    clear() {
      failures.clear();
      attempts.clear();
    },
  };
}
