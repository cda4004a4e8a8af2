/** Bounds of a pause between retries, ms. */
export interface BackOffBounds {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** The pause after a number of failures in a row, ms: doubles with each failure up to the maximum. */
export const pauseAfter = (failures: number, { firstMs, maxMs }: BackOffBounds): number => Math.min(maxMs, firstMs * 2 ** (failures - 1));

/** Bounds of a back-off with a memory, ms. */
export interface BackOffTimes extends BackOffBounds {
  /** After this time without a failure the pauses start anew. */
  readonly resetMs: number;
}

/** Pauses that double, each lengthened by up to its own length at random, so that many clients do not return at once. */
export interface BackOff {
  next(): number;
}

/** `now`: a clock that never goes back. */
export function createBackOff(times: BackOffTimes, now = () => performance.now()): BackOff {
  let failures = 0;
  let last = Number.NEGATIVE_INFINITY;
  return {
    next() {
      if (now() - last > times.resetMs) failures = 0;
      const wait = pauseAfter(++failures, times) * (1 + Math.random());
      last = now() + wait;
      return wait;
    },
  };
}
