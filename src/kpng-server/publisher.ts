/** Connects the source to the clients: stores its objects, and notifies all subscriptions of the changed items. */
import type { ModelObject } from '#model/objects.ts';
import type { Sink, SourceProblem } from '#sources/source.ts';
import { createItemStore, type ItemStore } from './item-store.ts';
import { type SourceProgress, Subscription, type SubscriptionParts } from './subscription.ts';

export interface PublisherParts {
  /** Called before each notification. */
  readonly busy: () => void;
  readonly log: {
    info(message: string): void;
    problem(problem: SourceProblem): void;
  };
}

/** The objects of one source, and the subscriptions that follow them. */
export class Publisher {
  readonly store: ItemStore = createItemStore();
  readonly #parts: PublisherParts;
  readonly #subscriptions = new Set<Subscription>();
  /** As the subscriptions see it. */
  #progress: SourceProgress = 'loading';
  /** As the source reports it; takes effect with the next notification, after the objects delivered before it. */
  #reached: SourceProgress = 'loading';
  #next: NodeJS.Immediate | undefined;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  /** Adds a client. It is sent nothing before its first request. */
  subscribe(call: SubscriptionParts['call']): Subscription {
    const subscription = new Subscription({ call, store: this.store, progress: () => this.#progress });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  unsubscribe(subscription: Subscription): void {
    subscription.close();
    this.#subscriptions.delete(subscription);
  }

  /** Where the source delivers. */
  sink(): Sink {
    const set = (object: ModelObject): void => {
      this.store.set(object);
      this.#schedule();
    };
    return {
      set,
      recall: set,
      remove: (kind, key) => {
        this.store.remove(kind, key);
        this.#schedule();
      },
      missed() {},
      synced: () => this.#reach('incomplete'),
      complete: () => this.#reach('complete'),
      problem: (problem) => this.#parts.log.problem(problem),
    };
  }

  stop(): void {
    clearImmediate(this.#next);
  }

  #reach(progress: SourceProgress): void {
    if (this.#reached === 'loading') {
      const { services, endpoints } = this.store.counts();
      this.#parts.log.info(`Ready: ${services} Services, ${endpoints} endpoints`);
    }
    this.#reached = progress;
    this.#schedule();
  }

  /** Changes of one turn of the event loop are notified together. */
  #schedule(): void {
    this.#next ??= setImmediate(() => this.#notify());
  }

  #notify(): void {
    this.#next = undefined;
    this.#parts.busy();
    this.#progress = this.#reached;
    if (this.#progress === 'loading') return;
    const changed = this.store.takeChanged();
    for (const subscription of this.#subscriptions) subscription.notify(changed);
    this.store.releaseNumbers((number) => [...this.#subscriptions].some((subscription) => subscription.holds(number)));
  }
}
