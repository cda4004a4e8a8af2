import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '#lib/result.ts';
import { createBackOff } from '#timing/back-off.ts';
import { createActiveProblems } from '../active-problems.ts';
import type { Sink, Source } from '../source.ts';
import { createMemory } from './checkpoint.ts';
import { clusterUid } from './cluster-uid.ts';
import { type Connection, createConnection } from './connection.ts';
import type { Access } from './credentials.ts';
import { Journal, type Recollection, type Snapshot } from './journal.ts';
import { ObjectCache } from './object-cache.ts';
import { Reflector } from './reflector.ts';
import { type Resource, resourcesOf } from './resources.ts';
import { API_TIMES, type ApiTimes } from './times.ts';

export interface ApiSourceOptions {
  /** Asked before each request, so that rotated files count. */
  readonly readAccess: () => Result<Access>;
  /** The only Node that is followed; undefined = all of them. */
  readonly nodeName: string | undefined;
  /** File of the journal from which a later source can resume; undefined: no journal. */
  readonly journal?: string | undefined;
  /** Receives good news. */
  readonly note?: (message: string) => void;
  readonly times?: ApiTimes;
}

/** Kubernetes objects from an API server. The last objects stay in force while it is unreachable. */
export function createApiSource({ readAccess, nodeName, journal: path, note = () => {}, times = API_TIMES }: ApiSourceOptions): Source {
  let stop = async (): Promise<void> => {};
  return {
    start(sink) {
      const resources = resourcesOf(nodeName);
      const problem = (message: string): void => sink.problem({ reason: 'journal', message });
      const journal = path === undefined ? undefined : new Journal({ path, format: JSON.stringify(resources), note, problem });
      const follower = new Follower({ connection: createConnection(readAccess, times), resources, sink, journal, times, note });
      const finished = follower.run();
      stop = async () => {
        follower.stop();
        await finished;
      };
    },
    stop: () => stop(),
  };
}

interface FollowerParts {
  readonly connection: Connection;
  readonly resources: readonly Resource[];
  readonly sink: Sink;
  readonly journal: Journal | undefined;
  readonly times: ApiTimes;
  readonly note: (message: string) => void;
}

/** Follows all resources, from what an earlier one knew where that is known. */
class Follower {
  readonly #parts: FollowerParts;
  readonly #end = new AbortController();
  #reflectors: readonly Reflector[] = [];
  #cluster: Promise<string> | undefined;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** Until it is stopped. */
  async run(): Promise<void> {
    const { connection, journal } = this.#parts;
    // On its way while the journal is read
    if (journal !== undefined) this.#askCluster().catch(() => {});
    const recollection = await journal?.read();
    if (!this.#end.signal.aborted) await this.#follow(recollection);
    journal?.close();
    connection.close();
  }

  stop(): void {
    this.#end.abort();
    for (const reflector of this.#reflectors) reflector.stop();
  }

  #follow(recollection: Recollection | undefined): Promise<unknown> {
    const { connection, resources, sink, journal, times, note } = this.#parts;
    const problems = createActiveProblems((problem) => sink.problem(problem));
    const all = resources.map((resource) => {
      const cache = new ObjectCache(resource.kind, sink, problems);
      const memory = createMemory({ kind: resource.kind, cache, journal, recollection, askCluster: () => this.#askCluster() });
      return { resource, cache, memory };
    });
    const snapshots = (): readonly Snapshot[] => all.map(({ memory }) => memory.snapshot());
    const listed = countLists(sink, all.length, () => void this.#keep(snapshots));
    this.#reflectors = all.map(
      ({ resource, cache, memory }, i) =>
        new Reflector(resource, {
          ...{ connection, cache, memory, problems, times, note },
          listed: (sure) => listed(i, sure),
          missed: () => sink.missed(resource.kind),
        }),
    );
    return Promise.all(this.#reflectors.map((reflector) => reflector.run()));
  }

  /** Objects take effect first; then the journal gets them. */
  async #keep(snapshots: () => readonly Snapshot[]): Promise<void> {
    const { journal, times } = this.#parts;
    const backOff = createBackOff(times);
    const { signal } = this.#end;
    for (let wait = times.journalMs; journal !== undefined; wait = backOff.next()) {
      try {
        await sleep(wait, undefined, { signal });
        const cluster = await this.#askCluster();
        if (cluster !== '' && !signal.aborted) journal.begin(cluster, snapshots);
        return;
      } catch {
        if (signal.aborted) return;
      }
    }
  }

  /** Once it is known it is not asked again. */
  #askCluster(): Promise<string> {
    const asked = this.#cluster ?? clusterUid(this.#parts.connection, this.#end.signal);
    this.#cluster = asked;
    asked.catch(() => {
      this.#cluster = undefined;
    });
    return asked;
  }
}

/** Synced when every resource has been listed, complete when none of these lists is in doubt. `completed` is called after the sink. */
function countLists(sink: Sink, count: number, completed: () => void): (resource: number, sure: boolean) => void {
  const sureOf = new Map<number, boolean>();
  let synced = false;
  let complete = false;
  return (resource, sure) => {
    sureOf.set(resource, sure);
    if (sureOf.size < count) return;
    if (!synced) sink.synced();
    synced = true;
    if (!complete && [...sureOf.values()].every((each) => each)) {
      complete = true;
      sink.complete();
      completed();
    }
  };
}
