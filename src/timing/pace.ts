import { setImmediate } from 'node:timers/promises';

/** Milliseconds of work between two chances for everything else in this process. */
const SLICE_MS = 10;

/** For long loops: `if (pace.due()) await pace.rest()` after each round lets timers and I/O of others run now and then. */
export function createPace(): { due(): boolean; rest(): Promise<void> } {
  let end = performance.now() + SLICE_MS;
  return {
    due: () => performance.now() > end,
    rest: async () => {
      await setImmediate();
      end = performance.now() + SLICE_MS;
    },
  };
}
