import type { BackOffTimes } from '#timing/back-off.ts';

/** All waits of KPNG as a source. */
export interface KpngTimes extends BackOffTimes {
  /** Until there is a connection, ms. */
  readonly connectMs: number;
  /** For the first Sync of a connection; a server that takes longer is told of, and waited for, ms. */
  readonly syncMs: number;
  /** Until a doubtful set is asked for again, ms. */
  readonly confirmMs: number;
}

/** Those of the API as a source where it has the same. */
export const KPNG_TIMES: KpngTimes = {
  connectMs: 10_000,
  syncMs: 30_000,
  firstMs: 800,
  maxMs: 30_000,
  resetMs: 120_000,
  confirmMs: 30_000,
};
