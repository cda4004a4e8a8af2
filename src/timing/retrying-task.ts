/** Something to be done whenever somebody asks for it, one time after the other. */
export interface RetryingTask {
  /** Asked while it runs, it runs once more afterwards: what changed meanwhile counts too. */
  ask(): void;
  stop(): void;
}

/** Wait before another try after a failure, twice as long after each further one, ms. */
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;

/**
 * `failed` hears of an error once for each kind in a row; it is tried again until it succeeds, or sooner when somebody asks. `run` ends
 * early when its signal says so.
 */
export function createRetryingTask(
  run: (signal: AbortSignal) => Promise<void>,
  failed: (error: unknown) => void,
  retryMs: number = RETRY_MS,
): RetryingTask {
  const stopping = new AbortController();
  let isAsked = false;
  let isRunning = false;
  let retry: NodeJS.Timeout | undefined;
  let told: string | undefined;
  let pause = retryMs;

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
      told = undefined;
      pause = retryMs;
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (told !== String(error)) failed(error);
      told = String(error);
      retry = setTimeout(ask, pause);
      pause = Math.min(2 * pause, LONGEST_RETRY_MS);
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
