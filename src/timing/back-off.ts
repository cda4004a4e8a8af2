/** Bounds of waits between tries, ms. */
export interface BackOffTimes {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Without a failure for that long the waits begin anew. */
  readonly resetMs: number;
}

/** Waits between tries that double, each with up to as much again by chance: many clients shall not come back at once. */
export interface BackOff {
  next(): number;
}

/** `now` must not jump with the clock. */
export function createBackOff({ firstMs, maxMs, resetMs }: BackOffTimes, now = () => performance.now()): BackOff {
  let failures = 0;
  let last = Number.NEGATIVE_INFINITY;
  return {
    next() {
      if (now() - last > resetMs) failures = 0;
      const wait = Math.min(maxMs, firstMs * 2 ** failures++) * (1 + Math.random());
      last = now() + wait;
      return wait;
    },
  };
}
