import { setTimeout as sleep } from 'node:timers/promises';
import { type BackOff, createBackOff } from '#timing/back-off.ts';
import { createPace } from '#timing/pace.ts';
import type { ActiveProblems } from '../active-problems.ts';
import { doubtfulListProblem, isDoubtful } from '../doubtful-list.ts';
import { ApiFailure } from './api-failure.ts';
import type { Memory } from './checkpoint.ts';
import type { Connection } from './connection.ts';
import { isOfServer, isWorthTelling, problemOf, SERVER_SUBJECT } from './failure-problem.ts';
import type { ObjectCache } from './object-cache.ts';
import type { Resource } from './resources.ts';
import { eventsOf, pageOf, type WatchEvent } from './response-body.ts';
import type { ApiTimes } from './times.ts';
import { isOlder } from './versions.ts';

export interface ReflectorParts {
  readonly connection: Connection;
  readonly cache: ObjectCache;
  readonly memory: Memory;
  readonly problems: ActiveProblems;
  readonly times: ApiTimes;
  /** Receives good news. */
  readonly note: (message: string) => void;
  /** A list is complete. `sure` false: it lacks so much that another one must confirm it. */
  readonly listed: (sure: boolean) => void;
  /** What happened since the last list or event may have gone by unseen. */
  readonly missed: () => void;
}

/** Objects of a page. */
const PAGE_SIZE = 500;

/** Follows the objects of one resource as client-go does (tools/cache/reflector.go): lists them, then watches from there on. */
export class Reflector {
  readonly #resource: Resource;
  readonly #parts: ReflectorParts;
  readonly #backOff: BackOff;
  #request = new AbortController();
  #isStopped = false;
  /** Everything up to here is known; undefined = a list is needed. */
  #version: string | undefined;
  #hasListed = false;
  /** The version comes from an earlier agent, and the server has not confirmed it yet. */
  #resumes = false;
  /** Events that come close together are changes that an earlier agent missed. */
  #catchingUp: NodeJS.Timeout | undefined;
  #catchUpEnd = 0;
  /** In a row. */
  #failures = 0;
  /** The next list comes as the beginning of a watch (KEP-3157), else in pages; when one way fails the other is tried. */
  #streamsLists = true;
  #pageSize = PAGE_SIZE;
  /** The connection was lost: the server that is back may be one that was restored from a backup. */
  #mayBeRestored = false;
  #confirmation: NodeJS.Timeout | undefined;
  #confirms = false;

  constructor(resource: Resource, parts: ReflectorParts) {
    this.#resource = resource;
    this.#parts = parts;
    this.#backOff = createBackOff(parts.times);
    this.#version = parts.memory.version;
    this.#resumes = this.#mayBeRestored = this.#version !== undefined;
  }

  /** Until it is stopped. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#follow();
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#confirmation);
    clearTimeout(this.#catchingUp);
    this.#request.abort();
  }

  #follow(): Promise<void> {
    if (this.#version === undefined) return this.#streamsLists ? this.#watch() : this.#list();
    return this.#mayBeRestored ? this.#compare(this.#version) : this.#watch(this.#version);
  }

  /** A watch from a version on, or one that begins with a list. */
  async #watch(from?: string): Promise<void> {
    const { times, cache, memory } = this.#parts;
    const seconds = Math.ceil(times.minWatchSeconds * (1 + Math.random()));
    const start = from === undefined ? { resourceVersionMatch: 'NotOlderThan', sendInitialEvents: 'true' } : { resourceVersion: from };
    const began = performance.now();
    const body = await this.#get({ watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: String(seconds), ...start });
    if (from === undefined) cache.startList();
    if (this.#resumes) this.#resume();
    for await (const events of eventsOf(body, `Watch of ${this.#resource.what}`)) {
      for (const event of events) this.#take(event);
      memory.write(this.#sureVersion);
      if (performance.now() < this.#catchUpEnd) this.#catchingUp?.refresh();
      this.#answered();
    }
    const lived = performance.now() - began;
    if (this.#version === undefined || lived < times.minWatchMs) {
      throw new ApiFailure('cut', `Watch of ${this.#resource.what} was ended by the server after ${Math.round(lived)} ms`);
    }
    // A server that goes down ends its watches before their time
    this.#mayBeRestored = lived < seconds * 1000;
  }

  #take({ type, object, version, endsInitial }: WatchEvent): void {
    const { cache } = this.#parts;
    if (type === 'DELETED') cache.remove(object);
    else if (type !== 'BOOKMARK') cache.set(object);
    if (this.#version !== undefined) this.#advance(this.#version, version);
    else if (endsInitial) this.#endList(version);
  }

  #advance(from: string, version: string): void {
    if (isOlder(version, from)) {
      throw new ApiFailure('gone', `Watch of ${this.#resource.what} went back from resource version ${from} to ${version}`);
    }
    this.#version = version;
  }

  /** The server resumes from an earlier agent's version: the recalled objects and the following events equal a list. */
  #resume(): void {
    const { memory, times, listed } = this.#parts;
    this.#resumes = false;
    memory.recall();
    const caughtUp = (): void => {
      this.#catchingUp = undefined;
      this.#hasListed = true;
      listed(true);
    };
    this.#catchingUp = setTimeout(caughtUp, times.quietMs);
    this.#catchUpEnd = performance.now() + times.catchUpMs;
  }

  /** What another agent could go on from; undefined while a list comes in or is in doubt. */
  get #sureVersion(): string | undefined {
    return this.#confirmation === undefined ? this.#version : undefined;
  }

  async #list(): Promise<void> {
    const { cache, memory } = this.#parts;
    const pace = createPace();
    cache.startList();
    for (let next = ''; ; ) {
      const body = await this.#get({ limit: String(this.#pageSize), ...(next !== '' && { continue: next }) });
      const page = await pageOf(body, `List of ${this.#resource.what}`);
      for (const item of page.items) {
        cache.set(item);
        if (!pace.due()) continue;
        memory.write(undefined);
        await pace.rest();
      }
      this.#answered();
      next = page.next;
      if (next === '') this.#endList(page.version);
      memory.write(this.#sureVersion);
      if (next === '') return;
    }
  }

  /** A restored server has lower versions than this agent; a watch from the agent's version would miss changes until the server reaches it. */
  async #compare(ours: string): Promise<void> {
    const { version } = await pageOf(await this.#get({ limit: '1' }), `List of ${this.#resource.what}`);
    const { memory } = this.#parts;
    const isOfOther = this.#resumes && !(await memory.isOfCluster());
    // One counter is behind the versions of all kinds
    const known = this.#resumes ? (memory.newest ?? ours) : ours;
    if (isOfOther || isOlder(version, known)) this.#lose();
    this.#mayBeRestored = false;
  }

  #endList(version: string): void {
    const { cache, problems, times, note, listed } = this.#parts;
    const { what, mayBeEmpty = false } = this.#resource;
    this.#version = version;
    this.#mayBeRestored = false;
    this.#hasListed = true;
    this.#pageSize = PAGE_SIZE;
    const { missing, before } = cache.missing;
    const doubtful = (!mayBeEmpty || before > 0) && isDoubtful({ missing, before }, cache.size);
    if (doubtful && !this.#confirms) {
      problems.replace(`doubt ${what}`, [doubtfulListProblem('API server', what, { missing, before }, times.confirmMs)]);
      this.#confirmation ??= setTimeout(() => this.#listAgain(), times.confirmMs);
    } else {
      clearTimeout(this.#confirmation);
      this.#confirmation = undefined;
      this.#confirms = false;
      cache.removeMissing();
      if (problems.replace(`doubt ${what}`, []))
        note(
          missing > 0 ? `A second list confirms that ${missing} ${what} are gone; removing them` : `A second list has all ${what} again`,
        );
    }
    listed(this.#confirmation === undefined);
  }

  /** Makes the next request a list. */
  #lose(): void {
    const { memory, missed, note } = this.#parts;
    clearTimeout(this.#catchingUp);
    if (this.#resumes) {
      note(`The API server cannot resume ${this.#resource.what} from the journal; listing all of them`);
      memory.forget();
    } else memory.write('');
    if (this.#version !== undefined && this.#hasListed) missed();
    this.#version = undefined;
    this.#resumes = false;
  }

  #listAgain(): void {
    this.#confirms = true;
    this.#version = undefined;
    this.#request.abort();
  }

  async #recover(error: unknown): Promise<void> {
    if (this.#request.signal.aborted) {
      this.#request = new AbortController();
      return;
    }
    if (!(error instanceof ApiFailure)) throw error;
    const isList = this.#version === undefined;
    const wasStream = this.#streamsLists;
    if (isList && ['unsupported', 'cut', 'garbled'].includes(error.reason)) this.#streamsLists = !wasStream;
    if (isList && wasStream && error.reason === 'unsupported') return;
    // Pages that are too slow for the server's memory of versions come all at once the next time, as in client-go's pager
    if (isList && error.reason === 'gone') this.#pageSize = 0;
    if (error.reason === 'gone' || error.reason === 'garbled') this.#lose();
    // A server that has just started knows only its own versions: this is not a failure, but not all clients should list at once
    if (!isList && error.reason === 'gone') {
      return this.#hasListed ? this.#sleep(this.#parts.times.firstMs * (1 + Math.random())) : undefined;
    }
    this.#mayBeRestored = this.#version !== undefined;
    const isLacking = this.#goesWithout(error);
    if (isLacking) this.#parts.listed(true);
    const isOld = isLacking && error.reason === 'not_served';
    const wait = Math.max(error.waitMs, isOld ? this.#parts.times.lackMs : this.#backOff.next());
    this.#failures++;
    this.#tell(error);
    await this.#sleep(wait);
  }

  /** Nothing waits for what can be done without; one failure may be that of a server that is just starting. */
  #goesWithout({ reason }: ApiFailure): boolean {
    if (this.#resource.lack === undefined || this.#hasListed) return false;
    return reason === 'not_served' || (this.#failures > 0 && !isOfServer(reason));
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#request.signal }).catch(() => {});
  }

  #tell(error: ApiFailure): void {
    if (this.#hasListed && this.#failures < 2 && !isWorthTelling(error)) return;
    const { subject, finding } = problemOf(error, this.#resource, this.#hasListed);
    this.#parts.problems.replace(subject, [finding]);
  }

  #answered(): void {
    const { problems, note } = this.#parts;
    const { what } = this.#resource;
    this.#failures = 0;
    if (problems.replace(SERVER_SUBJECT, [])) note('The API server answers again');
    if (problems.replace(`follow ${what}`, [])) note(`Following ${what} again`);
  }

  #get(query: Readonly<Record<string, string>>): ReturnType<Connection['get']> {
    const { path, select } = this.#resource;
    return this.#parts.connection.get(`${path}?${new URLSearchParams({ ...select, ...query })}`, this.#request.signal);
  }
}
