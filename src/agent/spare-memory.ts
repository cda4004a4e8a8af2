import { trimHeap } from '#kernel/ffi/memory.ts';

/** Gives memory back to the kernel that a large load needed and nobody needs now: neither V8 nor malloc does so by itself. */
export interface SpareMemory {
  /** There was work; memory is looked at once there is none for a while. */
  busy(): void;
  stop(): void;
}

/** Nobody waits for a process that has been quiet for so long, ms: the pause is 0.2 s with 100,000 endpoints. */
const QUIET_MS = 2000;

/** Time until another look, ms: the first may have come while a large file was still being read, when most of it is in use. */
const AGAIN_MS = 10_000;

/** Growth since the last time that is worth the pause, bytes. */
const WORTHWHILE = 16 << 20;

/** Collects garbage only where Node was started with --expose-gc, as bin/weir does. */
export function createSpareMemory(): SpareMemory {
  let timer: NodeJS.Timeout | undefined;
  let atRest = 0;

  const giveBack = (isAgain: boolean): void => {
    timer = undefined;
    if (!isAgain && process.memoryUsage.rss() < atRest + WORTHWHILE) return;
    globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    trimHeap();
    atRest = process.memoryUsage.rss();
    if (!isAgain) timer = setTimeout(giveBack, AGAIN_MS, true);
  };

  return {
    busy() {
      timer = timer?.refresh() ?? setTimeout(giveBack, QUIET_MS, false);
    },
    stop: () => clearTimeout(timer),
  };
}
