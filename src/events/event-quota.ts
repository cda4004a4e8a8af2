/** Limits of Events. */
export interface EventLimits {
  /** The same about the same object counts once in that time, ms. */
  readonly quietMs: number;
  /** At once about one object, then one more each time that `perObjectMs` have passed. */
  readonly objectBurst: number;
  readonly perObjectMs: number;
  /** The same for everything together. */
  readonly burst: number;
  readonly perEventMs: number;
  /** Objects and sayings that are remembered at most; the oldest are forgotten. */
  readonly remembered: number;
}

/** Per object as client-go has it (tools/record/events_cache.go, EventSourceObjectSpamFilter). */
export const EVENT_LIMITS: EventLimits = {
  quietMs: 600_000,
  objectBurst: 25,
  perObjectMs: 300_000,
  burst: 50,
  perEventMs: 30_000,
  remembered: 1000,
};

/** Limits Events, so that problems of a node do not become problems of the API server. */
export interface EventQuota {
  /** Whether an Event `saying` about `object` is allowed now; counts it if so. */
  admits(object: string, saying: string): boolean;
}

interface Bucket {
  left: number;
  at: number;
}

/** `now`: ms of a clock that never goes back. */
export function createEventQuota(limits: EventLimits = EVENT_LIMITS, now = () => performance.now()): EventQuota {
  const saidUntil = new Map<string, number>();
  const buckets = new Map<string, Bucket>();
  const whole = { left: limits.burst, at: now() };

  const remember = <T>(map: Map<string, T>, key: string, value: T): void => {
    map.delete(key);
    map.set(key, value);
    const [oldest] = map.keys();
    if (map.size > limits.remembered && oldest !== undefined) map.delete(oldest);
  };

  return {
    admits(object, saying) {
      const time = now();
      const key = `${object} ${saying}`;
      if ((saidUntil.get(key) ?? Number.NEGATIVE_INFINITY) > time) return false;
      const own = buckets.get(object) ?? { left: limits.objectBurst, at: time };
      fill(own, limits.objectBurst, limits.perObjectMs, time);
      fill(whole, limits.burst, limits.perEventMs, time);
      if (own.left < 1 || whole.left < 1) return false;
      own.left--;
      whole.left--;
      remember(buckets, object, own);
      remember(saidUntil, key, time + limits.quietMs);
      return true;
    },
  };
}

function fill(bucket: Bucket, burst: number, perTokenMs: number, now: number): void {
  bucket.left = Math.min(burst, bucket.left + (now - bucket.at) / perTokenMs);
  bucket.at = now;
}
