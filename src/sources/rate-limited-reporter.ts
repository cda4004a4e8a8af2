/** How long something that goes on is not told again, ms. */
const PAUSE_MS = 60_000;

/** Kinds that are remembered: others may be able to make up any number of them. */
const MAX_KINDS = 1000;

/** Tells what may happen very often: at once, then at most once a minute, with how often it has happened since. */
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
