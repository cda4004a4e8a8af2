import type { Result } from '#lib/result.ts';
import type { Sink, Source } from '../source.ts';
import { createStanding } from '../standing.ts';
import type { Access } from './access.ts';
import { createConnection } from './connection.ts';
import { Holdings } from './holdings.ts';
import { Reflector } from './reflector.ts';
import { resourcesOf } from './resources.ts';
import { API_TIMES, type ApiTimes } from './times.ts';

export interface ApiSourceOptions {
  /** Asked before each request, so that rotated files count. */
  readonly readAccess: () => Result<Access>;
  /** The only Node that is followed. */
  readonly nodeName: string;
  /** Told what is good news and so no problem. */
  readonly note?: (message: string) => void;
  readonly times?: ApiTimes;
}

/** Kubernetes objects from an API server. What it said last stays in force while it cannot be reached. */
export function createApiSource({ readAccess, nodeName, note = () => {}, times = API_TIMES }: ApiSourceOptions): Source {
  let stop = async (): Promise<void> => {};
  return {
    start(sink) {
      const connection = createConnection(readAccess, times);
      const standing = createStanding((problem) => sink.problem(problem));
      const resources = resourcesOf(nodeName);
      const listed = countLists(sink, resources.length);
      const reflectors = resources.map((resource, i) => {
        const holdings = new Holdings(resource.kind, sink, standing);
        return new Reflector(resource, {
          connection,
          holdings,
          standing,
          times,
          note,
          listed: (sure) => listed(i, sure),
          missed: () => sink.missed(resource.kind),
        });
      });
      const finished = Promise.all(reflectors.map((reflector) => reflector.run()));
      stop = async () => {
        for (const reflector of reflectors) reflector.stop();
        await finished;
        connection.close();
      };
    },
    stop: () => stop(),
  };
}

/** Synced when every resource has been listed, complete when none of these lists is in doubt. */
function countLists(sink: Sink, count: number): (resource: number, sure: boolean) => void {
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
    }
  };
}
