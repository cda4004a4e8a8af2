/** Whether the kernel has the wanted state, or had it a moment ago. */
export interface ProxyHealth {
  /** A change waits for the kernel. */
  queued(): void;
  /** A pass has written all changes except for these problems. */
  flushed(problems: readonly { readonly code: string }[]): void;
  /** False while a change waits too long. A starting agent is healthy (proxy_health.go, Health). */
  isHealthy(): boolean;
  /** Time since the kernel last had the wanted state, ms; undefined before the first time. */
  sinceFlushMs(): number | undefined;
}

/** kube-proxy's default: twice its syncPeriod. */
const TIMEOUT_MS = 60_000;

/** A full table and an address conflict affect one Service; other Services continue to receive traffic by this node. */
const OF_ONE_SERVICE: readonly string[] = ['full', 'conflict'];

/** `now`: ms of a monotonic clock. */
export function createProxyHealth(now: () => number): ProxyHealth {
  let flushedAt: number | undefined;
  let waitingSince: number | undefined;
  return {
    queued() {
      waitingSince ??= now();
    },
    flushed(problems) {
      if (problems.some(({ code }) => !OF_ONE_SERVICE.includes(code))) return;
      flushedAt = now();
      waitingSince = undefined;
    },
    isHealthy: () => flushedAt === undefined || waitingSince === undefined || now() - waitingSince < TIMEOUT_MS,
    sinceFlushMs: () => (flushedAt === undefined ? undefined : now() - flushedAt),
  };
}
