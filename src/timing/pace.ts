import { setImmediate } from 'node:timers/promises';

/** Yields to the event loop from long loops, so that timers and I/O run in between. */
export interface Pace {
  /** Whether the slice of work is used up. */
  due(): boolean;
  /** Yields and begins a new slice. */
  rest(): Promise<void>;
  /** Yields if the slice is used up. Throws when the signal is aborted. */
  step(): Promise<void>;
}

interface PaceOptions {
  /** Longest work without a yield, ms. */
  readonly sliceMs?: number;
  readonly signal?: AbortSignal;
}

/** Begins a slice. For loops with cheap rounds: `if (pace.due()) await pace.rest()`. */
export function createPace({ sliceMs = 10, signal }: PaceOptions = {}): Pace {
  let end = performance.now() + sliceMs;
  const due = (): boolean => performance.now() > end;
  const rest = async (): Promise<void> => {
    await setImmediate();
    end = performance.now() + sliceMs;
  };
  return {
    due,
    rest,
    async step() {
      signal?.throwIfAborted();
      if (!due()) return;
      await rest();
      signal?.throwIfAborted();
    },
  };
}
