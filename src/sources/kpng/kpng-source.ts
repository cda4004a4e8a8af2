import { type Call, openCall, type TlsPair } from '#grpc/call.ts';
import { CallFailure } from '#grpc/failure.ts';
import { globalWatchReqCodec, watchReqCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
import type { Result } from '#lib/result.ts';
import { formatTarget, type Target } from '#lib/target.ts';
import { createBackOff } from '#timing/back-off.ts';
import { doubtFinding, isDoubtful, type Missing } from '../doubt.ts';
import type { Sink, Source } from '../source.ts';
import { createSparing } from '../sparing.ts';
import { createStanding, type Standing } from '../standing.ts';
import { ChangeSetReader, readOperation } from './change-set.ts';
import { PeerState } from './peer-state.ts';
import { KPNG_TIMES, type KpngTimes } from './times.ts';

export interface KpngSourceOptions {
  readonly target: Target;
  /** Asked before each connection, so that rotated files count; undefined = plain text. */
  readonly readTls: () => Result<TlsPair | undefined>;
  /** Whose local stream is followed; undefined = the global stream. */
  readonly nodeName: string | undefined;
  /** Told what is good news and so no problem. */
  readonly note?: (message: string) => void;
  readonly times?: KpngTimes;
}

/** How often a peer that bears it is asked whether it still lives, ms. */
const ASK_MS = 30_000;

const WHO = 'KPNG server';

/** What a KPNG server says. What it said last stays in force while it cannot be reached. */
export function createKpngSource(options: KpngSourceOptions): Source {
  let follower: Follower | undefined;
  return {
    start(sink) {
      follower = new Follower(options, sink);
      follower.connect();
    },
    async stop() {
      follower?.stop();
    },
  };
}

/** One connection after the other. */
class Follower {
  readonly #options: KpngSourceOptions;
  readonly #sink: Sink;
  readonly #standing: Standing;
  readonly #state: PeerState;
  readonly #mistake: (what: string, message: string) => void;
  readonly #backOff: ReturnType<typeof createBackOff>;
  readonly #times: KpngTimes;
  readonly #request: Uint8Array;
  readonly #method: string;
  #call: Call | undefined;
  #reader: ChangeSetReader;
  #timer: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #confirmation: NodeJS.Timeout | undefined;
  /** The next whole set counts whatever it lacks. */
  #confirms = false;
  #isSynced = false;
  #isComplete = false;
  /** In a row. */
  #failures = 0;

  /** Objects that were there before the last whole set, until the server has been complete since then: what is missing counts only then. */
  #beforeWhole: number | undefined;

  constructor(options: KpngSourceOptions, sink: Sink) {
    const { nodeName, times = KPNG_TIMES } = options;
    this.#options = options;
    this.#sink = sink;
    this.#times = times;
    this.#backOff = createBackOff(times);
    this.#standing = createStanding((problem) => sink.problem(problem));
    const tell = createSparing((message) => sink.problem({ reason: 'kpng_mistake', message }));
    this.#mistake = (what, message) => tell(what, `The ${WHO} ${formatTarget(options.target)} ${message}`);
    this.#state = new PeerState({ sink, standing: this.#standing, nodeName: nodeName ?? '', mistake: this.#mistake });
    this.#method = nodeName === undefined ? METHODS.global : METHODS.local;
    this.#request =
      nodeName === undefined
        ? globalWatchReqCodec.encode({ Extended: true })
        : watchReqCodec.encode({ NodeName: nodeName, Extended: true });
    this.#reader = new ChangeSetReader(this.#method, this.#mistake);
  }

  connect(): void {
    const { target, readTls } = this.#options;
    const tls = readTls();
    if (!tls.ok) {
      this.#recover(new CallFailure('refused', tls.errors.join('; ')));
      return;
    }
    this.#reader = new ChangeSetReader(this.#method, this.#mistake);
    this.#call = openCall(
      { target, tls: tls.value, method: this.#method, connectMs: this.#times.connectMs },
      { message: (bytes) => this.#take(bytes), ended: (failure) => this.#recover(failure) },
    );
    this.#call.send(this.#request);
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#tellSilence(), this.#times.syncMs);
  }

  stop(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#timer);
    clearTimeout(this.#confirmation);
    this.#call?.close();
  }

  #take(bytes: Buffer): void {
    const item = readOperation(bytes);
    if (item.Op !== 'Sync') {
      this.#reader.take(item);
      return;
    }
    const { Extended, Incomplete } = item.Sync ?? { Extended: false, Incomplete: false };
    if (Extended) this.#call?.askEvery(ASK_MS);
    this.#greet(Extended);
    this.#commit(Incomplete);
    this.#call?.send(this.#request);
  }

  /** A change set is complete. */
  #commit(isIncomplete: boolean): void {
    const changes = this.#reader.finish();
    if (changes.isWhole && this.#isSynced) for (const kind of ['Service', 'EndpointSlice'] as const) this.#sink.missed(kind);
    const { missing, before } = this.#state.apply(changes);
    if (changes.isWhole) this.#beforeWhole = before;
    if (this.#beforeWhole !== undefined && !isIncomplete) {
      this.#judge({ missing, before: this.#beforeWhole });
      this.#beforeWhole = undefined;
    }
    this.#state.deliver(!isIncomplete && this.#confirmation === undefined);
    if (!this.#isSynced) this.#sink.synced();
    this.#isSynced = true;
    if (this.#isComplete || isIncomplete || this.#confirmation !== undefined) return;
    this.#isComplete = true;
    this.#sink.complete();
  }

  /** A whole set that lacks most of what was there has to be confirmed by another one, as with the API. */
  #judge(missing: Missing): void {
    const what = 'Services and endpoints';
    if (isDoubtful(missing, this.#state.size) && !this.#confirms) {
      this.#standing.replace('doubt', [doubtFinding(WHO, what, missing, this.#times.confirmMs)]);
      this.#confirmation ??= setTimeout(() => this.#askAgain(), this.#times.confirmMs);
      return;
    }
    clearTimeout(this.#confirmation);
    this.#confirmation = undefined;
    this.#confirms = false;
    if (this.#standing.replace('doubt', [])) this.#options.note?.(`The ${WHO} has said again what there is: that counts`);
  }

  #askAgain(): void {
    this.#confirms = true;
    this.#call?.close();
    clearTimeout(this.#timer);
    this.connect();
  }

  #tellSilence(): void {
    const message = `The ${WHO} ${formatTarget(this.#options.target)} has not said everything within ${this.#times.syncMs / 1000} s: waiting for it`;
    this.#standing.replace('silence', [{ id: 'silence', reason: 'kpng_silent', message }]);
  }

  #greet(isExtended: boolean): void {
    this.#failures = 0;
    clearTimeout(this.#silence);
    this.#standing.replace('silence', []);
    if (this.#standing.replace('connection', [])) this.#options.note?.(`The ${WHO} answers again`);
    const message = `The ${WHO} ${formatTarget(this.#options.target)} does not speak weir's extensions, so some rules cannot be kept: "weir doctor" with the same --source says which`;
    this.#standing.replace('extensions', isExtended ? [] : [{ id: 'old', reason: 'kpng_old_peer', message }]);
  }

  #recover({ reason, message }: CallFailure): void {
    this.#failures++;
    clearTimeout(this.#silence);
    // One cut may be over with the next try
    if (!this.#isSynced || this.#failures > 1 || reason !== 'cut') {
      const effect = this.#isSynced ? 'What it said before stays in force' : 'Nothing is served before that works';
      const text = `Cannot follow ${WHO} ${formatTarget(this.#options.target)}: ${message}. ${effect}; trying again`;
      this.#standing.replace('connection', [{ id: text, reason: `kpng_${reason}`, message: text }]);
    }
    this.#timer = setTimeout(() => this.connect(), this.#backOff.next());
  }
}
