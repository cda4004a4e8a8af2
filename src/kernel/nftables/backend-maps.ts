import { TAG_BACKEND, type TableEntry, type TableName } from '#abi/generated.ts';
import { type Family, familyOf } from '#lib/address.ts';
import { TableError, type Tables } from '#reconcile/ports/tables.ts';
import { KernelError } from '../ffi/ffi.ts';
import { NETLINK_NETFILTER, NetlinkSocket } from '../netlink/netlink-socket.ts';
import { type BackendPlace, type BackendsChange, backendsRequest, decodeBackends, encodeBackendsChange } from './element-messages.ts';

export type BackendEntry = TableEntry<'backends'>;

/**
 * Maps `backends4` and `backends6` of table `inet weir`: where NAT chains send the flows that a packet program has tagged with a backend's id.
 * They follow map `backends` of the programs. Without the table every call does nothing.
 */
export interface BackendMaps {
  /**
   * Compares the maps with map `backends` and writes what they lack. Returns entries at rest for ids that only the maps hold: programs of an
   * earlier agent with other tables may still use them. Entries are in the order of their ids.
   */
  adopt(entries: readonly BackendEntry[]): readonly BackendEntry[];
  /** Fills the maps of a new table. */
  fill(entries: readonly BackendEntry[]): void;
  /**
   * Writes entries before map `backends` gets them. A retired backend stays until its rest is over, for packets that carry its id. Throws a
   * KernelError if another process has changed the maps.
   */
  follow(entries: readonly BackendEntry[]): void;
}

const ENOENT = 2;

/** From tc to prerouting a packet takes microseconds; an agent swaps the programs of an earlier one at the end of its first pass. */
const REST_MS = 5000;
const FOUND_REST_MS = 60_000;

/** The maps of the network namespace of the moment, for each call. `now`: ms of a clock that never goes back. */
export function createBackendMaps(now: () => number): BackendMaps {
  /** By id: the family whose map holds it; 0 = none. */
  const held = new Uint8Array(TAG_BACKEND + 1);
  /** When ids that the maps hold may go, ms. */
  const retired = new Map<number, number>();

  const write = (add: readonly BackendPlace[], gone: ReadonlySet<number>): boolean => {
    const ofFamily = (family: Family): number[] => [...gone].filter((id) => held[id] === family);
    if (!transact({ clears: false, remove: { 4: ofFamily(4), 6: ofFamily(6) }, add })) return false;
    for (const id of gone) {
      held[id] = 0;
      retired.delete(id);
    }
    for (const { id, address } of add) held[id] = familyOf(address);
    return true;
  };

  return {
    adopt(entries) {
      held.fill(0);
      retired.clear();
      const wanted = new Map(entries.map((entry) => [entry.key.value, entry]));
      const [right, wrong, found] = [new Set<number>(), new Set<number>(), [] as BackendPlace[]];
      const isThere = readBackendMaps((place) => {
        held[place.id] = familyOf(place.address);
        const entry = wanted.get(place.id);
        if (entry === undefined) found.push(place);
        else (entry.value.address === place.address && entry.value.port === place.port ? right : wrong).add(place.id);
      });
      if (!isThere) return [];
      const lacking = entries.filter(({ key, value }) => value.flags !== 0 && !right.has(key.value));
      write(lacking.map(placeOf), wrong);
      for (const { id } of found) retired.set(id, now() + FOUND_REST_MS);
      for (const { key, value } of entries) if (value.flags === 0 && held[key.value] !== 0) retired.set(key.value, now() + REST_MS);
      return found
        .sort((a, b) => a.id - b.id)
        .map(({ id, address, port }) => ({ key: { value: id }, value: { address, port, flags: 0, service: 0 } }));
    },
    fill(entries) {
      const add = entries.filter(({ value }) => value.flags !== 0).map(placeOf);
      held.fill(0);
      retired.clear();
      if (transact({ clears: true, remove: { 4: [], 6: [] }, add })) for (const { id, address } of add) held[id] = familyOf(address);
    },
    follow(entries) {
      const isNew = ({ key, value }: BackendEntry): boolean => value.flags !== 0 && (held[key.value] === 0 || retired.has(key.value));
      const add = entries.filter(isNew).map(placeOf);
      const gone = new Set(add.map(({ id }) => id));
      for (const [id, at] of retired) if (at <= now()) gone.add(id);
      if (!write(add, gone)) return;
      for (const { key, value } of entries) if (value.flags === 0 && held[key.value] !== 0) retired.set(key.value, now() + REST_MS);
    },
  };
}

const placeOf = ({ key, value }: BackendEntry): BackendPlace => ({ id: key.value, address: value.address, port: value.port });

const SUBJECT = 'maps backends4 and backends6 of table inet weir';

/** Calls `each` for every element. Returns false if the table or its maps are not there. */
export function readBackendMaps(each: (place: BackendPlace) => void): boolean {
  return withSocket((socket) => {
    try {
      for (const family of [4, 6] as const) for (const body of socket.dump(backendsRequest(family))) decodeBackends(body, each);
      return true;
    } catch (error) {
      if (error instanceof KernelError && error.errno === ENOENT) return false;
      throw error;
    }
  });
}

/** Returns false if the table is not there. */
function transact(change: BackendsChange): boolean {
  const removals = change.remove[4].length + change.remove[6].length;
  if (!change.clears && removals + change.add.length === 0) return true;
  const errno = withSocket((socket) => socket.transaction(encodeBackendsChange(change)));
  // Removing an element that is not there is the same error
  if (errno === ENOENT && removals === 0) return false;
  if (errno !== 0) throw new KernelError(`change ${SUBJECT}`, errno);
  return true;
}

function withSocket<T>(use: (socket: NetlinkSocket) => T): T {
  const socket = new NetlinkSocket(NETLINK_NETFILTER, SUBJECT);
  try {
    return use(socket);
  } finally {
    socket.close();
  }
}

/** Tables whose map `backends` the maps follow: before each write, and as a whole when it is read. */
export function withBackendMaps(tables: Tables, maps: BackendMaps): Tables {
  const follow = (entries: readonly BackendEntry[]): void => {
    try {
      try {
        maps.follow(entries);
      } catch {
        maps.adopt(tables.dump('backends'));
        maps.follow(entries);
      }
    } catch (error) {
      throw new TableError('transient', 'backends', 0, error instanceof Error ? error.message : String(error));
    }
  };
  return {
    dump<N extends TableName>(table: N): TableEntry<N>[] {
      const entries = tables.dump(table);
      if (table !== 'backends') return entries;
      return [...entries, ...(maps.adopt(entries as BackendEntry[]) as readonly TableEntry<N>[])];
    },
    put<N extends TableName>(table: N, entries: readonly TableEntry<N>[]): void {
      if (table === 'backends') follow(entries as readonly BackendEntry[]);
      tables.put(table, entries);
    },
    remove: (table, keys) => tables.remove(table, keys),
    limit: (table) => tables.limit(table),
  };
}
