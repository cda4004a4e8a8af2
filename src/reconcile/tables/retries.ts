import type { TableName } from '#abi/generated.ts';
import type { WriteFailure } from './batches.ts';

/** Who has something to write that could not be written, and when it is tried again. */
export interface Retries {
  /** A new attempt starts: its holder is well until it fails. */
  begin(holder: string): void;
  /** The first failure of an attempt counts. */
  fail(holder: string, failure: WriteFailure, now: number): void;
  /** The attempt is over; forgets the holder if it went well. */
  end(holder: string): void;
  isFailing(holder: string): boolean;
  due(now: number): string[];
  /** Those whom one of these tables, once full, kept back. */
  waitingFor(freed: ReadonlySet<TableName>): string[];
  /** Time of the next attempt; `wakes` tells when a full table may have room. */
  nextDue(wakes: (table: TableName) => number | undefined): number | undefined;
  failures(): ReadonlyMap<string, WriteFailure>;
}

const FIRST_MS = 200;
const LAST_MS = 30_000;

/** Nobody has failed yet. Pauses double from 200 ms to 30 s. */
export function createRetries(): Retries {
  const failures = new Map<string, WriteFailure>();
  const attempts = new Map<string, { readonly count: number; readonly dueAt: number }>();

  return {
    begin: (holder) => failures.delete(holder),
    fail(holder, failure, now) {
      if (failures.has(holder)) return;
      const count = (attempts.get(holder)?.count ?? 0) + 1;
      failures.set(holder, failure);
      attempts.set(holder, { count, dueAt: now + Math.min(LAST_MS, FIRST_MS * 2 ** (count - 1)) });
    },
    end(holder) {
      if (!failures.has(holder)) attempts.delete(holder);
    },
    isFailing: (holder) => failures.has(holder),
    due: (now) => [...attempts].filter(([, attempt]) => attempt.dueAt <= now).map(([holder]) => holder),
    waitingFor: (freed) =>
      freed.size === 0
        ? []
        : [...failures].filter(([, failure]) => failure.code === 'full' && freed.has(failure.table)).map(([holder]) => holder),
    nextDue(wakes) {
      let next: number | undefined;
      for (const [holder, { dueAt }] of attempts) {
        const failure = failures.get(holder);
        const woken = failure?.code === 'full' ? wakes(failure.table) : undefined;
        next = Math.min(next ?? Number.POSITIVE_INFINITY, dueAt, woken ?? Number.POSITIVE_INFINITY);
      }
      return next;
    },
    failures: () => failures,
  };
}
