import { TABLES, type TableEntry, type TableKey, type TableName } from '#abi/generated.ts';
import { TableError, type Tables } from '#reconcile/ports/tables.ts';

/** How a fake behaves; by default one call in ten fails somewhere in the middle. */
export interface FakeOptions {
  readonly seed?: number;
  /** Part of the calls that fail, 0 to 1. */
  readonly faultRate?: number;
  readonly limits?: Readonly<Partial<Record<TableName, number>>>;
}

/** The kernel's tables in memory: bytes in, bytes out, limits kept, faults on purpose. */
export interface FakeTables extends Tables {
  /** Single entries put or removed. */
  readonly writes: Map<TableName, number>;
  /** put() and remove() calls. */
  readonly calls: Map<TableName, number>;
  faultRate: number;
  /** Called after each single write. */
  onWrite: (table: TableName, key: TableKey<TableName>) => void;
  /** Throws a Crash instead of the write after `writes` more; undefined = never. */
  crashAfter(writes: number | undefined): void;
}

/** The agent was killed. */
export class Crash extends Error {}

const BPF_MAP_TYPE_ARRAY = 2;

/** Empty tables. */
export function createFakeTables(options: FakeOptions = {}): FakeTables {
  const held = new Map<TableName, Map<string, Uint8Array>>();
  const random = xorshift(options.seed ?? 1);
  let untilCrash: number | undefined;

  const limit = (table: TableName): number => options.limits?.[table] ?? TABLES[table].maxEntries;
  const elements = (table: TableName): Map<string, Uint8Array> => {
    const found = held.get(table) ?? new Map<string, Uint8Array>();
    held.set(table, found);
    return found;
  };
  /** Writes in order until one must fail. */
  const write = <E>(table: TableName, items: readonly E[], one: (item: E, done: number) => TableKey<TableName>): void => {
    const faultAt = random() < fake.faultRate ? Math.floor(random() * items.length) : undefined;
    add(fake.calls, table);
    items.forEach((item, done) => {
      if (done === faultAt) throw new TableError('transient', table, done, `Cannot update map "${table}": try again`);
      if (untilCrash === 0) throw new Crash('Killed');
      const key = one(item, done);
      if (untilCrash !== undefined) untilCrash--;
      add(fake.writes, table);
      fake.onWrite(table, key);
    });
  };

  const fake: FakeTables = {
    writes: new Map(),
    calls: new Map(),
    faultRate: options.faultRate ?? 0.1,
    onWrite: () => {},
    crashAfter(writes) {
      untilCrash = writes;
    },
    limit,
    dump<T extends TableName>(table: T): TableEntry<T>[] {
      const { key, value } = TABLES[table];
      return [...elements(table)].map(([text, bytes]) => ({ key: key.decode(fromText(text), 0), value: value.decode(bytes, 0) }));
    },
    put<T extends TableName>(table: T, entries: readonly TableEntry<T>[]) {
      write(table, entries, (entry, done) => {
        putOne(table, elements(table), entry, limit(table), done);
        return entry.key;
      });
    },
    remove<T extends TableName>(table: T, keys: readonly TableKey<T>[]) {
      if (TABLES[table].type === BPF_MAP_TYPE_ARRAY) throw new TableError('fatal', table, 0, `Cannot remove from array "${table}"`);
      write(table, keys, (key) => {
        elements(table).delete(toText(TABLES[table].key, key));
        return key;
      });
    },
  };
  return fake;
}

function putOne<T extends TableName>(table: T, elements: Map<string, Uint8Array>, entry: TableEntry<T>, limit: number, done: number): void {
  const isArray = TABLES[table].type === BPF_MAP_TYPE_ARRAY;
  const key = toText(TABLES[table].key, entry.key);
  const bytes = new Uint8Array(TABLES[table].value.size);
  TABLES[table].value.encode(entry.value, bytes, 0);
  const isFull = isArray ? (entry.key as TableKey<'slots'>).value >= limit : !elements.has(key) && elements.size >= limit;
  if (isFull) throw new TableError('full', table, done, `Cannot update map "${table}": map is full, limit is ${limit} entries`);
  if (isArray && bytes.every((byte) => byte === 0)) elements.delete(key);
  else elements.set(key, bytes);
}

const scratch = Buffer.alloc(256);

function toText<K>(codec: { readonly size: number; encode(key: K, into: Uint8Array, at: number): void }, key: K): string {
  codec.encode(key, scratch, 0);
  return scratch.toString('latin1', 0, codec.size);
}

const fromText = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const add = (counts: Map<TableName, number>, table: TableName): Map<TableName, number> => counts.set(table, (counts.get(table) ?? 0) + 1);

/** Marsaglia's xorshift ("Xorshift RNGs", 2003), 0 to 1: the same seed makes the same faults. */
function xorshift(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
