import { TABLES, type TableEntry, type TableKey, type TableName } from '#abi/generated.ts';
import { TableError, type TableErrorCode, type Tables } from '#reconcile/ports/tables.ts';
import { errnoName, KernelError } from '../ffi/ffi.ts';
import { closing, libc } from '../ffi/libc.ts';
import { libbpf } from './libbpf.ts';
import { BPF_MAP_TYPE_ARRAY, type Chunk, MapFile, mapErrorText, type Progress, readMapShape } from './map-file.ts';

const CODES: Readonly<Record<string, TableErrorCode>> = {
  E2BIG: 'full',
  ENOSPC: 'full',
  ENOENT: 'missing',
  ENOMEM: 'transient',
  EAGAIN: 'transient',
  EBUSY: 'transient',
  EINTR: 'transient',
};

export const tableNames = Object.keys(TABLES) as TableName[];

/** Tables behind maps pinned in one folder. It has its own descriptors and outlives the objects that made the maps. */
export interface PinnedTables extends Tables {
  close(): void;
}

/** Opens every table of `folder`; throws if one is missing or has another layout. */
export function openPinnedTables(folder: string): PinnedTables {
  const files = new Map<TableName, MapFile>();
  try {
    for (const name of tableNames) files.set(name, openPinnedMap(folder, name));
  } catch (error) {
    for (const file of files.values()) libc.close(file.fd);
    throw error;
  }
  return new MapTables(files);
}

function openPinnedMap(folder: string, name: TableName): MapFile {
  const path = `${folder}/${name}`;
  const fd = libbpf.bpf_obj_get(path);
  if (fd < 0) throw new KernelError(`open map "${name}" at ${path}`, -fd);
  try {
    assertLayout(fd, name);
    return new MapFile(name, fd);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Throws unless the map behind `fd` has the kind and the element sizes of the codecs. */
export function assertLayout(fd: number, name: TableName): void {
  const table = TABLES[name];
  const shape = readMapShape(fd, name);
  const is = `type ${shape.type}, key ${shape.keySize} bytes, value ${shape.valueSize} bytes`;
  const should = `type ${table.type}, key ${table.key.size} bytes, value ${table.value.size} bytes`;
  if (is !== should) throw new Error(`Cannot use map "${name}": it is of ${is}; should be of ${should}`);
}

/** Id of the map pinned at a path; undefined if there is none. */
export function pinnedMapId(path: string): number | undefined {
  const fd = libbpf.bpf_obj_get(path);
  return fd < 0 ? undefined : closing(fd, () => readMapShape(fd, path).id);
}

class MapTables implements PinnedTables {
  readonly #files: Map<TableName, MapFile>;

  constructor(files: Map<TableName, MapFile>) {
    this.#files = files;
  }

  dump<T extends TableName>(table: T): TableEntry<T>[] {
    const file = this.#file(table);
    const entries: TableEntry<T>[] = [];
    const isArray = file.shape.type === BPF_MAP_TYPE_ARRAY;
    for (const chunk of scanned(file, table)) {
      for (let i = 0; i < chunk.count; i++) {
        if (isArray && isZero(chunk.values, i * chunk.stride, file.valueBytes)) continue;
        const entry = decodeEntry(table, file, chunk, i);
        if (!file.isPerCpu || !isZeroCount(entry.value)) entries.push(entry);
      }
    }
    return entries;
  }

  put<T extends TableName>(table: T, entries: readonly TableEntry<T>[]): void {
    const file = this.#file(table);
    const { key, value } = TABLES[table];
    if (file.isPerCpu) throw new TableError('fatal', table, 0, `Cannot update map "${table}": only the programs write it`);
    for (let at = 0; at < entries.length; at += file.chunk) {
      const part = entries.slice(at, at + file.chunk);
      const keys = Buffer.alloc(part.length * key.size);
      const values = Buffer.alloc(part.length * value.size);
      part.forEach((entry, i) => {
        key.encode(entry.key, keys, i * key.size);
        value.encode(entry.value, values, i * value.size);
      });
      assertDone(file, table, at, file.update(keys, values, part.length), 'update');
    }
  }

  remove<T extends TableName>(table: T, removed: readonly TableKey<T>[]): void {
    const file = this.#file(table);
    const { key } = TABLES[table];
    for (let at = 0; at < removed.length; at += file.chunk) {
      const part = removed.slice(at, at + file.chunk);
      const keys = Buffer.alloc(part.length * key.size);
      part.forEach((each, i) => {
        key.encode(each, keys, i * key.size);
      });
      assertDone(file, table, at, file.delete(keys, part.length), 'remove from');
    }
  }

  limit(table: TableName): number {
    return this.#file(table).shape.maxEntries;
  }

  close(): void {
    for (const file of this.#files.values()) libc.close(file.fd);
    this.#files.clear();
  }

  #file(table: TableName): MapFile {
    const file = this.#files.get(table);
    if (file === undefined) throw new TableError('fatal', table, 0, `Cannot use map "${table}": the tables are closed`);
    return file;
  }
}

function assertDone(file: MapFile, table: TableName, before: number, { done, errno }: Progress, verb: string): void {
  if (errno === 0) return;
  const code = CODES[errnoName(errno)] ?? 'fatal';
  throw new TableError(code, table, before + done, `Cannot ${verb} map "${table}": ${mapErrorText(file, errno, code === 'full')}`);
}

function* scanned(file: MapFile, table: TableName): Generator<Chunk> {
  try {
    yield* file.scan();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new TableError(CODES[error.code] ?? 'fatal', table, 0, error.message);
  }
}

function decodeEntry<T extends TableName>(table: T, file: MapFile, chunk: Chunk, i: number): TableEntry<T> {
  const { key, value } = TABLES[table];
  const at = i * chunk.stride;
  const decoded = file.isPerCpu ? sumOverCpus(table, file, chunk.values, at) : value.decode(chunk.values, at);
  return { key: key.decode(chunk.keys, i * key.size), value: decoded } as TableEntry<T>;
}

/** A per-CPU value is a struct of counts: sums each field over the CPUs. */
function sumOverCpus(table: TableName, file: MapFile, values: Buffer, at: number): object {
  const stride = (file.shape.valueSize + 7) & ~7;
  const sum: Record<string, bigint> = {};
  for (let cpu = at; cpu < at + file.valueBytes; cpu += stride) {
    for (const [field, count] of Object.entries(TABLES[table].value.decode(values, cpu)))
      sum[field] = (sum[field] ?? 0n) + (count as bigint);
  }
  return sum;
}

const isZeroCount = (value: object): boolean => Object.values(value).every((count) => count === 0n);

function isZero(bytes: Buffer, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (bytes[i] !== 0) return false;
  return true;
}
