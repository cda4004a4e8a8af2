/** Whether what the kernel does is what the objects say, or at least was a moment ago. */
export interface ProxyHealth {
  /** Something has changed that the kernel must learn of. */
  queued(): void;
  /** The kernel has been told; these problems are left. */
  flushed(problems: readonly { readonly code: string }[]): void;
  /** False while something has been waiting too long; an agent that is starting is healthy (proxy_health.go, Health). */
  isHealthy(): boolean;
  /** Time since the kernel last was as the objects say, ms; undefined before the first time. */
  sinceFlushMs(): number | undefined;
}

/** As long as kube-proxy's by default: twice its syncPeriod. */
const TIMEOUT_MS = 60_000;

/** A full table, or an address that somebody else keeps, is a matter of one Service: others should go on to get traffic by this node. */
const ONES_OWN: readonly string[] = ['full', 'conflict'];

/** `now`: ms of a clock that never goes back. */
export function createProxyHealth(now: () => number): ProxyHealth {
  let flushedAt: number | undefined;
  let waitingSince: number | undefined;
  return {
    queued() {
      waitingSince ??= now();
    },
    flushed(problems) {
      if (problems.some(({ code }) => !ONES_OWN.includes(code))) return;
      flushedAt = now();
      waitingSince = undefined;
    },
    isHealthy: () => flushedAt === undefined || waitingSince === undefined || now() - waitingSince < TIMEOUT_MS,
    sinceFlushMs: () => (flushedAt === undefined ? undefined : now() - flushedAt),
  };
}
