import { frame } from '#grpc/framing.ts';
import type { ServerCall } from '#grpc/server.ts';
import { resetOperation, syncOperation } from '#kpng/operations.ts';
import { createPace } from '#timing/pace.ts';
import type { Board } from './board.ts';
import type { Viewer } from './items.ts';
import { framesBetween, framesOf, PHASES, type View } from './view.ts';

/** Whether the source has said everything: nothing is sent before it has said what it could. */
export type Progress = 'loading' | 'incomplete' | 'complete';

/** What a client has of some items, and what it should have. */
interface Changes {
  /** Nothing of any of them, at first. */
  readonly from: readonly (View | undefined)[];
  readonly to: readonly (View | undefined)[];
}

export interface FeedParts {
  readonly call: Pick<ServerCall, 'write'>;
  readonly board: Pick<Board, 'item' | 'numbers' | 'zoneOf'>;
  readonly progress: () => Progress;
}

/** Bytes that are given to a connection at once. */
const CHUNK = 64 << 10;

const RESET = frame(resetOperation());
const SYNC = { incomplete: frame(syncOperation(true)), complete: frame(syncOperation(false)) };

/**
 * One client. It asks for each change set, as KPNG's clients do (server/jobs/api2local). Until it asks, and while its connection takes no
 * more, only the numbers of what has changed are kept: what is sent is worked out when it is sent, so a client that is slow gets the last
 * state and costs as little as one that is not.
 */
export class Feed {
  readonly #parts: FeedParts;
  #changed = new Set<number>();
  /** What the client has, by number of the item. */
  readonly #sent: (View | undefined)[] = [];
  /** Undefined until it has asked for the first time. */
  #viewer: Viewer | undefined;
  #asked = 0;
  #isSending = false;
  #isClosed = false;
  /** What the last Sync said. */
  #told: Progress = 'loading';
  #drained: (() => void) | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** The client asks for a change set. */
  ask(viewer: Viewer): void {
    if (this.#viewer === undefined) for (const number of this.#parts.board.numbers()) this.#changed.add(number);
    // From then on `follow` sees to what changes about it
    this.#viewer ??= viewer;
    this.#asked++;
    this.#go();
  }

  /** Items have changed, or the source has come further. */
  follow(numbers: readonly number[]): void {
    if (this.#viewer === undefined) return;
    for (const number of numbers) this.#changed.add(number);
    const { board } = this.#parts;
    if (this.#viewer.stream === 'local' && board.zoneOf(this.#viewer.nodeName) !== this.#viewer.zone) {
      this.#viewer = { ...this.#viewer, zone: board.zoneOf(this.#viewer.nodeName) };
      for (const number of board.numbers()) this.#changed.add(number);
    }
    this.#go();
  }

  get viewer(): Viewer | undefined {
    return this.#viewer;
  }

  has(number: number): boolean {
    return this.#sent[number] !== undefined;
  }

  drained(): void {
    this.#drained?.();
    this.#drained = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.drained();
  }

  #go(): void {
    const progress = this.#parts.progress();
    if (this.#asked === 0 || this.#isSending || this.#isClosed || progress === 'loading') return;
    if (this.#changed.size === 0 && this.#told === progress) return;
    this.#isSending = true;
    void this.#send();
  }

  async #send(): Promise<void> {
    const isFirst = this.#told === 'loading';
    const progress = this.#parts.progress() as 'incomplete' | 'complete';
    const changes = await this.#takeChanges();
    if (isFirst || changes.to.length > 0 || progress !== this.#told) {
      await this.#write(changes, isFirst, progress);
      this.#told = progress;
      this.#asked--;
    }
    this.#isSending = false;
    this.#go();
  }

  /**
   * What differs from what the client has; from then on it counts as sent. Each item is in it once: what changes meanwhile is for the next
   * change set, or one part of this one would undo the other.
   */
  async #takeChanges(): Promise<Changes> {
    const pace = createPace();
    const changed = this.#changed;
    this.#changed = new Set();
    const from: (View | undefined)[] = [];
    const to: (View | undefined)[] = [];
    for (const number of changed) {
      const before = this.#sent[number];
      const now = this.#parts.board.item(number)?.view(this.#viewer as Viewer);
      if (before === now) continue;
      this.#sent[number] = now;
      if (this.#told !== 'loading') from.push(before);
      to.push(now);
      if (pace.due()) await pace.rest();
      if (this.#isClosed) break;
    }
    return { from, to };
  }

  async #write({ from, to }: Changes, isFirst: boolean, progress: 'incomplete' | 'complete'): Promise<void> {
    let held: Buffer[] = isFirst ? [RESET] : [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      const chunk = held.length === 1 ? (held[0] as Buffer) : Buffer.concat(held);
      held = [];
      bytes = 0;
      if (this.#isClosed || this.#parts.call.write(chunk) || this.#isClosed) return;
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    };
    const push = (framed: Buffer): void => {
      held.push(framed);
      bytes += framed.length;
    };
    for (const phase of PHASES) {
      const [act, kind] = phase;
      for (let i = 0; i < to.length; i++) {
        const before = from[i];
        if (before !== undefined) for (const framed of framesBetween(before, to[i], phase)) push(framed);
        else if (act === 'set') for (const framed of framesOf(to[i], kind)) push(framed);
        if (bytes >= CHUNK) await flush();
        if (this.#isClosed) return;
      }
    }
    held.push(SYNC[progress]);
    await flush();
  }
}
