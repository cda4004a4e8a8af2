/** Follows a KPNG server: connects, reconnects, and delivers its objects to the sink. */
import { type Call, openCall, type TlsPair } from '#grpc/call.ts';
import { CallFailure } from '#grpc/failure.ts';
import { globalWatchReqCodec, watchReqCodec } from '#kpng/messages.ts';
import { METHODS } from '#kpng/sets.ts';
import type { Result } from '#lib/result.ts';
import { formatTarget, type GrpcTarget } from '#lib/target.ts';
import { createBackOff } from '#timing/back-off.ts';
import { type ActiveProblems, createActiveProblems } from '../active-problems.ts';
import { doubtfulListProblem, isDoubtful, type Missing } from '../doubtful-list.ts';
import { createRateLimitedReporter } from '../rate-limited-reporter.ts';
import type { Sink, Source } from '../source.ts';
import { ChangeSetReader, readOperation } from './change-set.ts';
import { PeerState } from './peer-state.ts';
import { KPNG_TIMES, type KpngTimes } from './times.ts';

export interface KpngSourceOptions {
  readonly target: GrpcTarget;
  /** Called before each connection, so that rotated files take effect; undefined = plain text. */
  readonly readTls: () => Result<TlsPair | undefined>;
  /** The node whose local stream is followed; undefined = the global stream. */
  readonly nodeName: string | undefined;
  /** Logs recoveries, which are not problems. */
  readonly note?: (message: string) => void;
  readonly times?: KpngTimes;
}

/** Interval of keepalive pings to a server with weir's extensions, ms. */
const PING_MS = 30_000;

const PEER = 'KPNG server';

/** A source that follows a KPNG server. Its last state stays in force while it is unreachable. */
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

/** Follows one server over successive connections. */
class Follower {
  readonly #options: KpngSourceOptions;
  readonly #sink: Sink;
  readonly #problems: ActiveProblems;
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
  /** The next full state confirms a doubtful one: it is accepted whatever it lacks. */
  #confirms = false;
  #isSynced = false;
  #isComplete = false;
  /** Failed connections in a row. */
  #failures = 0;
  /** Number of objects before the last full state. Kept until a Sync is not Incomplete: missing objects are judged only then. */
  #sizeBefore: number | undefined;

  constructor(options: KpngSourceOptions, sink: Sink) {
    const { nodeName, times = KPNG_TIMES } = options;
    this.#options = options;
    this.#sink = sink;
    this.#times = times;
    this.#backOff = createBackOff(times);
    this.#problems = createActiveProblems((problem) => sink.problem(problem));
    const tell = createRateLimitedReporter((message) => sink.problem({ reason: 'kpng_mistake', message }));
    this.#mistake = (what, message) => tell(what, `The ${PEER} ${formatTarget(options.target)} ${message}`);
    this.#state = new PeerState({ sink, problems: this.#problems, nodeName: nodeName ?? '', mistake: this.#mistake });
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
    this.#silence = setTimeout(() => this.#reportSilence(), this.#times.syncMs);
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
    if (Extended) this.#call?.pingEvery(PING_MS);
    this.#reportConnected(Extended);
    this.#commit(Incomplete);
    this.#call?.send(this.#request);
  }

  /** Applies the finished change set. */
  #commit(isIncomplete: boolean): void {
    const changes = this.#reader.finish();
    if (changes.isFull && this.#isSynced) for (const kind of ['Service', 'EndpointSlice'] as const) this.#sink.missed(kind);
    const { missing, before } = this.#state.apply(changes);
    if (changes.isFull) this.#sizeBefore = before;
    if (this.#sizeBefore !== undefined && !isIncomplete) {
      this.#judge({ missing, before: this.#sizeBefore });
      this.#sizeBefore = undefined;
    }
    this.#state.deliver(!isIncomplete && this.#confirmation === undefined);
    if (!this.#isSynced) this.#sink.synced();
    this.#isSynced = true;
    if (this.#isComplete || isIncomplete || this.#confirmation !== undefined) return;
    this.#isComplete = true;
    this.#sink.complete();
  }

  /** A full state that lacks most known objects needs confirmation by a second one, as with the API. */
  #judge(missing: Missing): void {
    const what = 'Services and endpoints';
    if (isDoubtful(missing, this.#state.size) && !this.#confirms) {
      this.#problems.replace('doubt', [doubtfulListProblem(PEER, what, missing, this.#times.confirmMs)]);
      this.#confirmation ??= setTimeout(() => this.#fetchAgain(), this.#times.confirmMs);
      return;
    }
    clearTimeout(this.#confirmation);
    this.#confirmation = undefined;
    this.#confirms = false;
    if (this.#problems.replace('doubt', [])) this.#options.note?.(`The ${PEER} has sent its full state again; accepting it`);
  }

  #fetchAgain(): void {
    this.#confirms = true;
    this.#call?.close();
    clearTimeout(this.#timer);
    this.connect();
  }

  #reportSilence(): void {
    const message = `The ${PEER} ${formatTarget(this.#options.target)} has not sent its full state within ${this.#times.syncMs / 1000} s; still waiting`;
    this.#problems.replace('silence', [{ id: 'silence', reason: 'kpng_silent', message }]);
  }

  #reportConnected(isExtended: boolean): void {
    this.#failures = 0;
    clearTimeout(this.#silence);
    this.#problems.replace('silence', []);
    if (this.#problems.replace('connection', [])) this.#options.note?.(`The ${PEER} answers again`);
    const message = `The ${PEER} ${formatTarget(this.#options.target)} does not support weir's extensions, so some Service rules are lost; "weir doctor" with the same --source lists them`;
    this.#problems.replace('extensions', isExtended ? [] : [{ id: 'old', reason: 'kpng_old_peer', message }]);
  }

  #recover({ reason, message }: CallFailure): void {
    this.#failures++;
    clearTimeout(this.#silence);
    // A single cut is not reported: the next attempt may succeed
    if (!this.#isSynced || this.#failures > 1 || reason !== 'cut') {
      const effect = this.#isSynced ? 'Its last state stays in force' : 'Nothing is served until this is solved';
      const text = `Cannot follow ${PEER} ${formatTarget(this.#options.target)}: ${message}. ${effect}; trying again`;
      this.#problems.replace('connection', [{ id: text, reason: `kpng_${reason}`, message: text }]);
    }
    this.#timer = setTimeout(() => this.connect(), this.#backOff.next());
  }
}
