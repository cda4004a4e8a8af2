/** One client's stream: remembers what the client has, and writes change sets on request. */
import { frame } from '#grpc/framing.ts';
import type { ServerCall } from '#grpc/server.ts';
import { resetOperation, syncOperation } from '#kpng/operations.ts';
import { createPace } from '#timing/pace.ts';
import type { ItemStore } from './item-store.ts';
import type { ItemView } from './item-view.ts';
import type { Subscriber } from './items.ts';
import { framesBetween, framesOf, PHASES } from './view-diff.ts';

/** How far the source has delivered. Clients are sent nothing while it is `loading`; `incomplete`: it cannot read all objects. */
export type SourceProgress = 'loading' | 'incomplete' | 'complete';

/** The changed items: the views that the client has, and the views that it should have. */
interface Changes {
  /** Empty for the first change set: the client has nothing. */
  readonly from: readonly (ItemView | undefined)[];
  readonly to: readonly (ItemView | undefined)[];
}

export interface SubscriptionParts {
  readonly call: Pick<ServerCall, 'write'>;
  readonly store: Pick<ItemStore, 'item' | 'numbers' | 'zoneOf'>;
  readonly progress: () => SourceProgress;
}

/** Size of a write, bytes. */
const CHUNK = 64 << 10;

const RESET = frame(resetOperation());
const SYNC = { incomplete: frame(syncOperation(true)), complete: frame(syncOperation(false)) };

/**
 * One client. It requests each change set, as KPNG's clients do (server/jobs/api2local). Until the next request, and while the connection
 * is congested, the server only collects the numbers of changed items. The operations are computed when they are sent, so a slow client
 * gets the latest state and costs as little memory as a fast one.
 */
export class Subscription {
  readonly #parts: SubscriptionParts;
  #changed = new Set<number>();
  /** The views that the client has, by number of the item. */
  readonly #sent: (ItemView | undefined)[] = [];
  /** Undefined until the first request. */
  #subscriber: Subscriber | undefined;
  #requests = 0;
  #isSending = false;
  #isClosed = false;
  /** The progress that the last Sync carried. */
  #synced: SourceProgress = 'loading';
  #drained: (() => void) | undefined;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
  }

  /** The client requests a change set. */
  request(subscriber: Subscriber): void {
    if (this.#subscriber === undefined) for (const number of this.#parts.store.numbers()) this.#changed.add(number);
    // `notify` keeps its zone up to date from now on
    this.#subscriber ??= subscriber;
    this.#requests++;
    this.#sendIfDue();
  }

  /** Items have changed, or the source has progressed. */
  notify(numbers: readonly number[]): void {
    if (this.#subscriber === undefined) return;
    for (const number of numbers) this.#changed.add(number);
    const { store } = this.#parts;
    if (this.#subscriber.stream === 'local' && store.zoneOf(this.#subscriber.nodeName) !== this.#subscriber.zone) {
      this.#subscriber = { ...this.#subscriber, zone: store.zoneOf(this.#subscriber.nodeName) };
      for (const number of store.numbers()) this.#changed.add(number);
    }
    this.#sendIfDue();
  }

  get subscriber(): Subscriber | undefined {
    return this.#subscriber;
  }

  /** Whether the client has a view of the item. */
  holds(number: number): boolean {
    return this.#sent[number] !== undefined;
  }

  /** The connection accepts data again. */
  drained(): void {
    this.#drained?.();
    this.#drained = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.drained();
  }

  #sendIfDue(): void {
    const progress = this.#parts.progress();
    if (this.#requests === 0 || this.#isSending || this.#isClosed || progress === 'loading') return;
    if (this.#changed.size === 0 && this.#synced === progress) return;
    this.#isSending = true;
    void this.#send();
  }

  async #send(): Promise<void> {
    const isFirst = this.#synced === 'loading';
    const progress = this.#parts.progress() as 'incomplete' | 'complete';
    const changes = await this.#takeChanges();
    if (isFirst || changes.to.length > 0 || progress !== this.#synced) {
      await this.#write(changes, isFirst, progress);
      this.#synced = progress;
      this.#requests--;
    }
    this.#isSending = false;
    this.#sendIfDue();
  }

  /**
   * The changes since the last change set; from now on they count as sent. An item that changes again meanwhile belongs to the next change
   * set: inside one change set each item occurs once, or one part would undo the other.
   */
  async #takeChanges(): Promise<Changes> {
    const pace = createPace();
    const changed = this.#changed;
    this.#changed = new Set();
    const from: (ItemView | undefined)[] = [];
    const to: (ItemView | undefined)[] = [];
    for (const number of changed) {
      const before = this.#sent[number];
      const now = this.#parts.store.item(number)?.view(this.#subscriber as Subscriber);
      if (before === now) continue;
      this.#sent[number] = now;
      if (this.#synced !== 'loading') from.push(before);
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
