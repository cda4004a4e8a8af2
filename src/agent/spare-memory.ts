import { trimHeap } from '#kernel/ffi/memory.ts';

/** Returns memory to the kernel after a large load: neither V8 nor malloc does so by itself. */
export interface SpareMemory {
  /** There was work; checks memory once the process is quiet. */
  busy(): void;
  stop(): void;
}

/** How long the process must be quiet before it may pause, ms. The pause takes 0.2 s with 100,000 endpoints. */
const QUIET_MS = 2000;

/** Time until a second check, ms: during the first a large file may still be being read, and most memory in use. */
const AGAIN_MS = 10_000;

/** Growth since the last check that justifies the pause, bytes. */
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
