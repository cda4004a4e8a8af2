/** Minimum time between two reports of one kind, ms. */
const PAUSE_MS = 60_000;

/** Limit of remembered kinds, because clients can invent any number of them. */
const MAX_KINDS = 1000;

/** Reports frequent events: the first at once, then at most one a minute per kind, with the count since. */
export type RateLimitedReporter = (what: string, message: string) => void;

/** `what` is what makes two the same. `now`: ms of a clock that never goes back. */
export function createRateLimitedReporter(
  tell: (message: string) => void,
  now: () => number = () => performance.now(),
): RateLimitedReporter {
  const toldAt = new Map<string, number>();
  const untold = new Map<string, number>();
  return (what, message) => {
    const since = untold.get(what) ?? 0;
    if (now() - (toldAt.get(what) ?? Number.NEGATIVE_INFINITY) < PAUSE_MS) {
      untold.set(what, since + 1);
      return;
    }
    toldAt.delete(what);
    toldAt.set(what, now());
    untold.delete(what);
    if (toldAt.size > MAX_KINDS) {
      const [oldest = ''] = toldAt.keys();
      toldAt.delete(oldest);
      untold.delete(oldest);
    }
    tell(since === 0 ? message : `${message} (and ${since} more of this kind since the last such line)`);
  };
}
