/** A server and its clients in one process, without a network: what the server writes is what the client reads. */

import { createUnframer } from '#grpc/framing.ts';
import { opItemCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
import { createBoard } from '#kpng-server/board.ts';
import { Feed, type Progress } from '#kpng-server/feed.ts';
import type { Viewer } from '#kpng-server/items.ts';
import type { ModelKind, ModelObject } from '#model/objects.ts';
import { ChangeSetReader } from '#sources/kpng/change-set.ts';
import { PeerState } from '#sources/kpng/peer-state.ts';
import type { Sink } from '#sources/source.ts';
import { createStanding } from '#sources/standing.ts';

/** What the server serves, and to whom. */
export class TestBrain {
  readonly board = createBoard();
  readonly feeds = new Set<Feed>();
  progress: Progress = 'complete';

  /** Tells all clients what has changed. */
  tell(): void {
    const changed = this.board.takeChanged();
    for (const feed of this.feeds) feed.follow(changed);
    this.board.reuse((number) => [...this.feeds].some((feed) => feed.has(number)));
  }
}

/** A client of it; what it has said survives its connections. */
export class TestPeer {
  readonly problems: string[] = [];
  /** Everything that was sent, decoded. */
  readonly items: ReturnType<typeof opItemCodec.decode>[] = [];
  /** While true the connection takes nothing after the next write. */
  isSlow = false;
  syncs = 0;
  readonly #brain: TestBrain;
  readonly #viewer: Viewer;
  readonly #state: PeerState;
  #feed: Feed | undefined;
  #held: Buffer[] = [];

  constructor(brain: TestBrain, viewer: Viewer, sink: Pick<Sink, 'set' | 'remove'>) {
    this.#brain = brain;
    this.#viewer = viewer;
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
      standing: createStanding((problem) => all.problem(problem)),
      nodeName: viewer.stream === 'local' ? viewer.nodeName : '',
      mistake: (_, message) => void this.problems.push(message),
    });
  }

  /** A new connection instead of the one before. */
  connect(): void {
    this.disconnect();
    this.#held = [];
    const reader = new ChangeSetReader(METHODS[this.#viewer.stream], (_, message) => void this.problems.push(message));
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
      feed.ask(this.#viewer);
    });
    this.#read = (bytes) => unframer.push(bytes);
    const feed: Feed = new Feed({
      call: {
        write: (bytes) => {
          this.#held.push(Buffer.from(bytes));
          if (this.isSlow) return false;
          this.#deliver();
          return true;
        },
      },
      board: this.#brain.board,
      progress: () => this.#brain.progress,
    });
    this.#feed = feed;
    this.#brain.feeds.add(feed);
    const zone = this.#viewer.stream === 'local' ? { zone: this.#brain.board.zoneOf(this.#viewer.nodeName) } : {};
    feed.ask({ ...this.#viewer, ...zone });
  }

  disconnect(): void {
    if (this.#feed === undefined) return;
    this.#feed.close();
    this.#brain.feeds.delete(this.#feed);
  }

  /** The connection takes everything again. */
  speedUp(): void {
    this.isSlow = false;
    this.#deliver();
    this.#feed?.drained();
  }

  #read: (bytes: Buffer) => void = () => {};

  #deliver(): void {
    for (const bytes of this.#held.splice(0)) this.#read(bytes);
  }
}
