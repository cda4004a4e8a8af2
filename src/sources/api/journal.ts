import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { ModelKind } from '#model/objects.ts';
import { createPace } from '#timing/pace.ts';
import { type Entry, type PackedEntry, packEntry, unpackEntry } from './journal-entry.ts';
import { JournalFile, recordsOf } from './journal-file.ts';

/** The known objects of one kind. */
export interface Snapshot {
  readonly kind: ModelKind;
  /** Every change up to this resource version is in the entries; undefined = nothing can go on from them. */
  readonly version: string | undefined;
  entries(): Iterable<Entry>;
}

/** What an earlier agent knew. */
export interface Recollection {
  /** See clusterUid. */
  readonly cluster: string;
  readonly snapshots: ReadonlyMap<ModelKind, Snapshot>;
}

export interface JournalParts {
  readonly path: string;
  /** A journal of another format is useless. */
  readonly format: string;
  /** Receives notes for the operator, whole sentences. */
  readonly note: (message: string) => void;
  readonly problem: (message: string) => void;
}

/** `entries` null: all of the kind are forgotten. `version` null: as before; empty: unknown. */
type Change = readonly [kind: ModelKind, version: string | null, entries: readonly PackedEntry[] | null];

/** What the first record begins with. */
const NAME = 'weir';

/** Entries of a record, few enough to yield after each. */
const RECORD_ENTRIES = 64;

/** Growth of a file, beyond its first size, before it is rewritten, bytes. */
const SLACK = 1 << 20;

/**
 * Maximum age of a journal, ms. After that another agent may have changed the kernel's tables, or the node may have restarted. Bookmarks are written about once a minute, and API servers forget versions after five (--etcd-compaction-interval).
 */
const MOST_AGE_MS = 300_000;

/**
 * The objects of the API server, written before they take effect, so that a later agent can resume: a file of records, each a change. The whole
 * records from the beginning yield a state that once held, however the writer ended. A
 * file that has doubled is rewritten beside itself. After an error there is no journal: an outdated one would be worse.
 */
export class Journal {
  readonly #parts: JournalParts;
  readonly #format: string;
  #file: JournalFile | undefined;
  /** Will take its place. */
  #next: JournalFile | undefined;
  #firstSize = 0;
  #isUnusable = false;
  #rewrite: (() => void) | undefined;

  constructor(parts: JournalParts) {
    this.#parts = parts;
    // Another build may decode differently
    this.#format = hash('sha256', hash('sha256', readFileSync(import.meta.filename)) + parts.format);
  }

  /** Whether a later agent can continue from the file. */
  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  /** Reads the file; from then on write() appends to it. Undefined if it is missing or useless. */
  async read(): Promise<Recollection | undefined> {
    const { path, note, problem } = this.#parts;
    try {
      const age = Math.abs(Date.now() - statSync(path).mtimeMs);
      const bytes = readFileSync(path);
      const { header, changes, end } = await readRecords(bytes);
      const why = this.#whyUseless(header, age);
      if (why !== undefined || header === undefined) {
        note(`${path} ${why}: listing everything from the API server`);
        // Before it grows old: its writer may come back
        this.#removeIfPossible();
        return undefined;
      }
      const until = end < bytes.length ? `, which ends within a record after ${end} bytes` : '';
      note(`Resuming from the journal of an earlier agent, ${path}${until}`);
      const { snapshots, share } = fold(changes);
      this.#file = new JournalFile(path, end);
      this.#firstSize = end * share;
      return { cluster: header[2], snapshots };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      problem(`Cannot read ${path}: ${message}. Listing everything from the API server`);
      this.#removeIfPossible();
      return undefined;
    }
  }

  /** Writes all that is known into a new file, a little at a time, while changes go on; now, and whenever that has grown too much. */
  begin(cluster: string, snapshots: () => readonly Snapshot[]): void {
    this.#rewrite = () => void this.#writeAnew(cluster, snapshots);
    if (this.#file === undefined) this.#rewrite();
  }

  /** Nothing that is `change`d is lost from now on. `version` undefined: as before; empty: unknown. */
  write(kind: ModelKind, version: string | undefined, entries: readonly Entry[]): void {
    if (this.#file === undefined && this.#next === undefined) return;
    if (entries.length > 0 || version !== undefined) this.#append([kind, version ?? null, entries.map(packEntry)]);
    const hasGrown = this.#file !== undefined && this.#next === undefined && this.#file.size > 2 * this.#firstSize + SLACK;
    if (!hasGrown) return;
    if (this.#rewrite !== undefined) this.#rewrite();
    // Not everything is known yet, and that may last
    else this.#removeIfPossible();
  }

  /** Forgets the objects of a kind in the file. */
  forget(kind: ModelKind): void {
    this.#append([kind, '', null]);
  }

  /** Removes the file: it belongs to another cluster. */
  discard(): void {
    if (this.#removeIfPossible()) return;
    this.#parts.problem(`Cannot remove ${this.#parts.path}, which should be removed: it does not belong to this cluster`);
  }

  /** Closes the file, which stays. */
  close(): void {
    const files = [this.#file, this.#next];
    this.#file = this.#next = undefined;
    for (const file of files) file?.close();
  }

  #removeIfPossible(): boolean {
    try {
      this.close();
      removeJournal(this.#parts.path);
      return true;
    } catch {
      return false;
    }
  }

  #whyUseless(header: Header | undefined, age: number): string | undefined {
    if (header === undefined) return 'is damaged from its beginning';
    if (header[0] !== NAME || header[1] !== this.#format) return 'is of another build of weir or of another node';
    if (age > MOST_AGE_MS) return `was not written to in the last ${MOST_AGE_MS / 60_000} minutes`;
    return undefined;
  }

  #append(change: Change): void {
    this.#try(() => {
      this.#file?.append(change);
      this.#next?.append(change);
    });
  }

  async #writeAnew(cluster: string, snapshots: () => readonly Snapshot[]): Promise<void> {
    if (this.#isUnusable) return;
    this.#try(() => {
      mkdirSync(dirname(this.#parts.path), { recursive: true, mode: 0o700 });
      this.#next = new JournalFile(nextPath(this.#parts.path));
      this.#next.append([NAME, this.#format, cluster] satisfies Header);
    });
    const file = this.#next;
    for (const { kind, entries } of snapshots()) {
      for (const some of chunksOf(entries())) {
        if (file === undefined || this.#next !== file) return;
        this.#try(() => file.append([kind, null, some.map(packEntry)] satisfies Change));
        await setImmediate();
      }
    }
    if (file !== undefined && this.#next === file) this.#try(() => this.#replace(file, snapshots()));
  }

  #replace(file: JournalFile, snapshots: readonly Snapshot[]): void {
    for (const { kind, version } of snapshots) file.append([kind, version ?? '', []] satisfies Change);
    file.rename(this.#parts.path);
    this.#file?.close();
    this.#file = file;
    this.#firstSize = file.size;
    this.#next = undefined;
  }

  #try(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#isUnusable = true;
      this.#parts.problem(
        `Cannot write ${this.#parts.path}: ${(error as Error).message}. The next agent will ask the API server for everything`,
      );
      this.#removeIfPossible();
    }
  }
}

/** Path of a rewrite. */
const nextPath = (path: string): string => `${path}.new`;

/** Removes a journal and an unfinished rewrite of it; returns whether there was any. Errors come from node:fs. */
export function removeJournal(path: string): boolean {
  const found = [path, nextPath(path)].filter((each) => existsSync(each));
  for (const each of found) rmSync(each);
  return found.length > 0;
}

type Header = readonly [name: string, format: string, cluster: string];

async function readRecords(bytes: Buffer): Promise<{ header: Header | undefined; changes: Change[]; end: number }> {
  const pace = createPace();
  const values: unknown[] = [];
  let end = 0;
  for (const record of recordsOf(bytes)) {
    values.push(JSON.parse(record.text));
    end = record.end;
    if (pace.due()) await pace.rest();
  }
  const [header, ...changes] = values;
  return { header: header as Header | undefined, changes: changes as Change[], end };
}

/** The state that a journal's changes lead to, and which share of their entries is still in it. */
function fold(changes: readonly Change[]): { readonly snapshots: ReadonlyMap<ModelKind, Snapshot>; readonly share: number } {
  let count = 1;
  const snapshots = new Map<ModelKind, { readonly known: Map<string, PackedEntry>; version: string | undefined }>();
  for (const [kind, version, entries] of changes) {
    const snapshot = snapshots.get(kind) ?? { known: new Map(), version: undefined };
    snapshots.set(kind, snapshot);
    if (version !== null) snapshot.version = version === '' ? undefined : version;
    if (entries === null) snapshot.known.clear();
    count += entries?.length ?? 0;
    for (const entry of entries ?? []) {
      if (entry.length > 1) snapshot.known.set(entry[0], entry);
      else snapshot.known.delete(entry[0]);
    }
  }
  const live = [...snapshots.values()].reduce((sum, { known }) => sum + known.size, 0);
  const made = [...snapshots].map(([kind, { known, version }]) => ({ kind, version, entries: () => unpacked(kind, known.values()) }));
  return { snapshots: new Map(made.map((snapshot) => [snapshot.kind, snapshot])), share: live / count };
}

function* unpacked(kind: ModelKind, entries: Iterable<PackedEntry>): Generator<Entry> {
  for (const entry of entries) yield unpackEntry(kind, entry);
}

function* chunksOf(entries: Iterable<Entry>): Generator<readonly Entry[]> {
  let chunk: Entry[] = [];
  for (const entry of entries) {
    if (chunk.push(entry) < RECORD_ENTRIES) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
