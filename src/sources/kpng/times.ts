/** Timeouts and delays of the KPNG source. */
import type { BackOffTimes } from '#timing/back-off.ts';

/** All timeouts and delays of the KPNG source. */
export interface KpngTimes extends BackOffTimes {
  /** Until a connection is established, TLS included, ms. */
  readonly connectMs: number;
  /** Until the first Sync of a connection, ms. A slower server is reported, not dropped. */
  readonly syncMs: number;
  /** Until a doubtful state is fetched again, ms. */
  readonly confirmMs: number;
}

/** The API source's values, where it has the same setting. */
export const KPNG_TIMES: KpngTimes = {
  connectMs: 10_000,
  syncMs: 30_000,
  firstMs: 800,
  maxMs: 30_000,
  resetMs: 120_000,
  confirmMs: 30_000,
};
