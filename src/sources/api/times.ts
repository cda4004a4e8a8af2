import type { BackOffTimes } from '#timing/back-off.ts';
import type { RequestTimes } from './connection.ts';

/** All waits and bounds of the API as a source. */
export interface ApiTimes extends RequestTimes, BackOffTimes {
  /** What the server is asked to end a watch after: by chance from this to twice as much, so that clients do not all come back at once. */
  readonly minWatchSeconds: number;
  /** A watch that ends earlier than this is a failure, ms. */
  readonly minWatchMs: number;
  /** From the first complete state until it is written to the journal, ms. */
  readonly journalMs: number;
  /** A resumed watch has sent the missed changes when it is quiet for this long, ms, */
  readonly quietMs: number;
  /** or when it has lasted this long, ms, because objects keep changing. */
  readonly catchUpMs: number;
  /** Until a second list that confirms a doubtful one, ms. */
  readonly confirmMs: number;
  /** Between two tries of what the server does not have, and which can be done without, ms. */
  readonly lackMs: number;
}

/** As client-go where it has the same (tools/cache/reflector.go). */
export const API_TIMES: ApiTimes = {
  connectMs: 10_000,
  answerMs: 65_000,
  idleMs: 150_000,
  firstMs: 800,
  maxMs: 30_000,
  resetMs: 120_000,
  minWatchSeconds: 300,
  minWatchMs: 1000,
  journalMs: 500,
  quietMs: 20,
  catchUpMs: 500,
  confirmMs: 30_000,
  lackMs: 300_000,
};
