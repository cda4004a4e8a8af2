import type { BackOffTimes } from '../back-off.ts';

/** All waits of KPNG as a source. */
export interface KpngTimes extends BackOffTimes {
  /** Until there is a connection, ms. */
  readonly connectMs: number;
  /** Until a doubtful set is asked for again, ms. */
  readonly confirmMs: number;
}

/** Those of the API as a source where it has the same. */
export const KPNG_TIMES: KpngTimes = { connectMs: 10_000, firstMs: 800, maxMs: 30_000, resetMs: 120_000, confirmMs: 30_000 };
