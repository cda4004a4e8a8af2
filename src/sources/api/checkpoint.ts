import type { ModelKind } from '#model/objects.ts';
import type { Journal, Recollection, Snapshot } from './journal.ts';
import type { ObjectCache } from './object-cache.ts';
import { newestOf } from './versions.ts';

/** The objects of one kind that an earlier agent knew, and the journal of this agent's objects. */
export interface Memory {
  /** Up to which resource version it is known; undefined = a list is needed. */
  readonly version: string | undefined;
  /** The highest such version of any kind. */
  readonly newest: string | undefined;
  /** Whether the server is one of the cluster that this is known of. Throws ApiFailure. */
  isOfCluster(): Promise<boolean>;
  /** Gives it to the cache. */
  recall(): void;
  /** The server cannot resume from there. */
  forget(): void;
  /** Writes changes to the journal; see Journal. */
  write(version: string | undefined): void;
  /** All that is known now. */
  snapshot(): Snapshot;
}

interface Parts {
  readonly kind: ModelKind;
  readonly cache: ObjectCache;
  /** Undefined: nothing is kept for another agent. */
  readonly journal: Journal | undefined;
  readonly recollection: Recollection | undefined;
  /** Asks of which cluster the server is. */
  readonly askCluster: () => Promise<string>;
}

/** Releases the recalled objects once the cache has them. */
export function createMemory({ kind, cache, journal, recollection, askCluster }: Parts): Memory {
  // Released once given: it is as large as the cached objects
  let snapshot = recollection?.snapshots.get(kind);
  const [version, cluster] = [snapshot?.version, recollection?.cluster];
  let upTo = version;
  const forget = (): void => {
    if (snapshot !== undefined) journal?.forget(kind);
    snapshot = upTo = undefined;
  };
  if (version === undefined) forget();
  const versions = [...(recollection?.snapshots.values() ?? [])].flatMap((each) => each.version ?? []);
  return {
    version,
    newest: newestOf(versions),
    async isOfCluster() {
      const isSame = (await askCluster()) === cluster;
      if (!isSame) journal?.discard();
      return isSame;
    },
    recall() {
      if (snapshot !== undefined) cache.recall(snapshot.entries());
      snapshot = undefined;
    },
    forget,
    write(now) {
      const changes = cache.takeChanges();
      if (now !== undefined) upTo = now || undefined;
      journal?.write(kind, now, changes);
    },
    // The cache lacks objects that were not recalled
    snapshot: () => ({ kind, version: snapshot === undefined ? upTo : undefined, entries: () => cache.entries() }),
  };
}
