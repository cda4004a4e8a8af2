import { setImmediate as nextTurn } from 'node:timers/promises';

/** Nobody else waits longer, ms. */
const TURN_MS = 3;

/**
 * For long work in small steps: after each, `await` what this returns. Now and then it lets others have their turn. Throws when `signal`
 * says so.
 */
export function createTurns(signal: AbortSignal): () => Promise<void> {
  let start = performance.now();
  return async () => {
    signal.throwIfAborted();
    if (performance.now() - start < TURN_MS) return;
    await nextTurn();
    signal.throwIfAborted();
    start = performance.now();
  };
}
