/** A server and its clients in one process, without a network: clients read the server's writes directly. */

import { createUnframer } from '#grpc/framing.ts';
import { opItemCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
import { createItemStore } from '#kpng-server/item-store.ts';
import type { Subscriber } from '#kpng-server/items.ts';
import { type SourceProgress, Subscription } from '#kpng-server/subscription.ts';
import type { ModelKind, ModelObject } from '#model/objects.ts';
import { createActiveProblems } from '#sources/active-problems.ts';
import { ChangeSetReader } from '#sources/kpng/change-set.ts';
import { PeerState } from '#sources/kpng/peer-state.ts';
import type { Sink } from '#sources/source.ts';

/** A server: its items, and the subscriptions of its clients. */
export class TestServer {
  readonly store = createItemStore();
  readonly subscriptions = new Set<Subscription>();
  progress: SourceProgress = 'complete';

  /** Notifies all clients of the changed items. */
  notify(): void {
    const changed = this.store.takeChanged();
    for (const subscription of this.subscriptions) subscription.notify(changed);
    this.store.releaseNumbers((number) => [...this.subscriptions].some((subscription) => subscription.holds(number)));
  }
}

/** A client of the server; its state survives reconnects. */
export class TestClient {
  readonly problems: string[] = [];
  /** All operations received, decoded. */
  readonly items: ReturnType<typeof opItemCodec.decode>[] = [];
  /** While true, the connection is congested after the next write. */
  isSlow = false;
  syncs = 0;
  readonly #server: TestServer;
  readonly #subscriber: Subscriber;
  readonly #state: PeerState;
  #subscription: Subscription | undefined;
  #held: Buffer[] = [];

  constructor(server: TestServer, subscriber: Subscriber, sink: Pick<Sink, 'set' | 'remove'>) {
    this.#server = server;
    this.#subscriber = subscriber;
    const all: Sink = {
      set: (object: ModelObject) => sink.set(object),
      remove: (kind: ModelKind, key: string) => sink.remove(kind, key),
      recall() {},
      missed() {},
      synced() {},
      complete() {},
      problem: ({ message }) => void this.problems.push(message),
    };
    this.#state = new PeerState({
      sink: all,
      problems: createActiveProblems((problem) => all.problem(problem)),
      nodeName: subscriber.stream === 'local' ? subscriber.nodeName : '',
      mistake: (_, message) => void this.problems.push(message),
    });
  }

  /** Replaces the connection. */
  connect(): void {
    this.disconnect();
    this.#held = [];
    const reader = new ChangeSetReader(METHODS[this.#subscriber.stream], (_, message) => void this.problems.push(message));
    const unframer = createUnframer((bytes) => {
      const item = opItemCodec.decode(bytes);
      this.items.push(item);
      if (item.Op !== 'Sync') {
        reader.take(item);
        return;
      }
      this.#state.apply(reader.finish());
      this.#state.deliver(true);
      this.syncs++;
      subscription.request(this.#subscriber);
    });
    this.#read = (bytes) => unframer.push(bytes);
    const subscription: Subscription = new Subscription({
      call: {
        write: (bytes) => {
          this.#held.push(Buffer.from(bytes));
          if (this.isSlow) return false;
          this.#deliver();
          return true;
        },
      },
      store: this.#server.store,
      progress: () => this.#server.progress,
    });
    this.#subscription = subscription;
    this.#server.subscriptions.add(subscription);
    const zone = this.#subscriber.stream === 'local' ? { zone: this.#server.store.zoneOf(this.#subscriber.nodeName) } : {};
    subscription.request({ ...this.#subscriber, ...zone });
  }

  disconnect(): void {
    if (this.#subscription === undefined) return;
    this.#subscription.close();
    this.#server.subscriptions.delete(this.#subscription);
  }

  /** The connection accepts data again. */
  speedUp(): void {
    this.isSlow = false;
    this.#deliver();
    this.#subscription?.drained();
  }

  #read: (bytes: Buffer) => void = () => {};

  #deliver(): void {
    for (const bytes of this.#held.splice(0)) this.#read(bytes);
  }
}
