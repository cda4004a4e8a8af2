import { trimHeap } from '#kernel/memory.ts';

/** Gives memory back to the kernel that a large load needed and nobody needs now: neither V8 nor malloc does so by itself. */
export interface SpareMemory {
  /** There was work; memory is looked at once there is none for a while. */
  busy(): void;
  stop(): void;
}

/** Nobody waits for a process that has been quiet for so long, ms: the pause is 0.2 s with 100,000 endpoints. */
const QUIET_MS = 2000;

/** Growth since the last time that is worth the pause, bytes. */
const WORTHWHILE = 16 << 20;

/** Collects garbage only where Node was started with --expose-gc, as bin/weir does. */
export function createSpareMemory(): SpareMemory {
  let timer: NodeJS.Timeout | undefined;
  let atRest = 0;

  const giveBack = (): void => {
    timer = undefined;
    if (process.memoryUsage.rss() < atRest + WORTHWHILE) return;
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    trimHeap();
    atRest = process.memoryUsage.rss();
  };

  return {
    busy() {
      timer = timer?.refresh() ?? setTimeout(giveBack, QUIET_MS);
    },
    stop: () => clearTimeout(timer),
  };
}
