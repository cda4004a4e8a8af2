import { type BackOffBounds, pauseAfter } from './back-off.ts';

/** Work that runs on request, one run at a time, and is retried until it succeeds. */
export interface RetryingTask {
  /** Requests a run. A request during a run causes another one, because something may have changed meanwhile. */
  ask(): void;
  stop(): void;
}

const RETRY: BackOffBounds = { firstMs: 1000, maxMs: 30_000 };

/**
 * Calls `failed` for an error, once while the same error repeats. Retries with back-off, or at once when ask() is called. `run` should return
 * early when its signal is aborted.
 */
export function createRetryingTask(
  run: (signal: AbortSignal) => Promise<void>,
  failed: (error: unknown) => void,
  firstMs: number = RETRY.firstMs,
): RetryingTask {
  const stopping = new AbortController();
  let isAsked = false;
  let isRunning = false;
  let retry: NodeJS.Timeout | undefined;
  let reported: string | undefined;
  let failures = 0;

  const work = async (): Promise<void> => {
    isRunning = true;
    while (isAsked && !stopping.signal.aborted) {
      isAsked = false;
      await attempt();
    }
    isRunning = false;
  };
  const attempt = async (): Promise<void> => {
    try {
      await run(stopping.signal);
      reported = undefined;
      failures = 0;
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (reported !== String(error)) failed(error);
      reported = String(error);
      retry = setTimeout(ask, pauseAfter(++failures, { ...RETRY, firstMs }));
    }
  };
  const ask = (): void => {
    isAsked = true;
    clearTimeout(retry);
    if (!isRunning) void work();
  };

  return {
    ask,
    stop() {
      stopping.abort();
      clearTimeout(retry);
    },
  };
}
