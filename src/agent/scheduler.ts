/** Runs one function after changes: many wishes in one turn of the event loop are one run. */
export interface Scheduler {
  /** Runs in the next turn of the event loop, unless a run is due already. */
  wake(): void;
  /** Runs after a pause in ms, or earlier if wake() is called. The next run forgets it. */
  wakeIn(ms: number): void;
  /** No run follows. */
  stop(): void;
}

/** Calls `pauseEnded` before a run that wakeIn() causes. Neither function may throw. */
export function createScheduler(run: () => void, pauseEnded: () => void): Scheduler {
  let next: NodeJS.Immediate | undefined;
  let later: NodeJS.Timeout | undefined;
  let isStopped = false;

  const wake = (): void => {
    if (!isStopped) next ??= setImmediate(start);
  };
  const wakeAfterPause = (): void => {
    pauseEnded();
    wake();
  };
  const start = (): void => {
    next = undefined;
    clearTimeout(later);
    run();
  };

  return {
    wake,
    wakeIn(ms) {
      if (!isStopped) later = setTimeout(wakeAfterPause, ms);
    },
    stop() {
      isStopped = true;
      clearImmediate(next);
      clearTimeout(later);
    },
  };
}
