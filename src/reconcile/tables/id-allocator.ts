/** Adjacent numbers. */
export interface Run {
  readonly first: number;
  readonly count: number;
}

/**
 * Allocates numbers: places in `slots`, ids of backends and of services. A released number rests before it is used again, because a
 * program that read the old table entry may still use it. Times are in ms of one clock that never goes back.
 */
export interface IdAllocator {
  /** The first of the lowest `count` adjacent free numbers; undefined if there are none. */
  take(count: number): number | undefined;
  /** Releases numbers from take(); ignores numbers outside the bounds. */
  release(run: Run, now: number): void;
  /** Frees the numbers that have rested long enough; returns whether there were any. */
  wake(now: number): boolean;
  /** When wake() can free the next number; undefined if no number rests. */
  nextWake(): number | undefined;
  /** Count of numbers that are taken or at rest. */
  used(): number;
}

interface FreeRun {
  first: number;
  count: number;
}

/** `taken`: runs in use from the start; they may overlap and exceed `bounds`. */
export function createIdAllocator(bounds: Run, restMs: number, taken: readonly Run[] = []): IdAllocator {
  let free = holesBetween(bounds, taken);
  let resting: { readonly run: Run; readonly wakesAt: number }[] = [];

  return {
    take(count) {
      const at = free.findIndex((run) => run.count >= count);
      const run = free[at];
      if (run === undefined) return undefined;
      const first = run.first;
      run.first += count;
      run.count -= count;
      if (run.count === 0) free.splice(at, 1);
      return first;
    },
    release(run, now) {
      const clipped = clip(run, bounds);
      if (clipped.count > 0) resting.push({ run: clipped, wakesAt: now + restMs });
    },
    wake(now) {
      const later = resting.findIndex((rest) => rest.wakesAt > now);
      const rested = later === -1 ? resting : resting.slice(0, later);
      if (rested.length === 0) return false;
      resting = later === -1 ? [] : resting.slice(later);
      free = coalesce([...free, ...rested.map((rest) => rest.run)].sort(byFirst));
      return true;
    },
    nextWake: () => resting[0]?.wakesAt,
    used: () => bounds.count - free.reduce((sum, run) => sum + run.count, 0),
  };
}

/** Joins runs that touch or overlap; `runs` are sorted by their first number. */
export function coalesce(runs: readonly Run[]): FreeRun[] {
  const joined: FreeRun[] = [];
  let last: FreeRun | undefined;
  for (const run of runs) {
    if (last !== undefined && run.first <= endOf(last)) last.count = Math.max(endOf(last), endOf(run)) - last.first;
    else {
      last = { first: run.first, count: run.count };
      joined.push(last);
    }
  }
  return joined;
}

/** Order of runs. */
export const byFirst = (a: Run, b: Run): number => a.first - b.first;

/** The number after the last. */
export const endOf = (run: Run): number => run.first + run.count;

/** The part of a run inside `bounds`; count 0 if there is none. */
export function clip(run: Run, bounds: Run): Run {
  const first = Math.max(run.first, bounds.first);
  return { first, count: Math.max(0, Math.min(endOf(run), endOf(bounds)) - first) };
}

function holesBetween(bounds: Run, taken: readonly Run[]): FreeRun[] {
  const inside = taken.map((run) => clip(run, bounds)).filter((run) => run.count > 0);
  const holes: FreeRun[] = [];
  let first = bounds.first;
  for (const run of coalesce(inside.sort(byFirst))) {
    if (run.first > first) holes.push({ first, count: run.first - first });
    first = endOf(run);
  }
  if (endOf(bounds) > first) holes.push({ first, count: endOf(bounds) - first });
  return holes;
}
