import { closeSync, ftruncateSync, openSync, renameSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

/** Length in bytes and CRC-32 of a record's text, each as 8 hexadecimal digits with a blank behind it. */
const HEAD = 18;

const NEWLINE = 0x0a;

/** A record that was written as a whole, and how many bytes it and all before it take. */
export interface Record {
  readonly text: string;
  readonly end: number;
}

/** The records at the beginning of a journal that are as they were written; what follows them does not count. */
export function* recordsOf(bytes: Buffer): Generator<Record> {
  for (let start = 0; ; ) {
    const [, length, sum] = /^([0-9a-f]{8}) ([0-9a-f]{8}) $/.exec(bytes.toString('latin1', start, start + HEAD)) ?? [];
    if (length === undefined || sum === undefined) return;
    const text = bytes.subarray(start + HEAD, start + HEAD + Number.parseInt(length, 16));
    const end = start + HEAD + text.length + 1;
    if (bytes[end - 1] !== NEWLINE || crc32(text) !== Number.parseInt(sum, 16)) return;
    yield { text: text.toString(), end };
    start = end;
  }
}

const hex = (n: number): string => n.toString(16).padStart(8, '0');

/** A file to which records are appended. A process that is killed during a write leaves all earlier records. Errors come from node:fs. */
export class JournalFile {
  readonly #fd: number;
  #path: string;
  #size: number;

  /** Continues after the first `size` bytes; 0 = a new file, for root alone, which replaces an existing one. */
  constructor(path: string, size = 0) {
    this.#path = path;
    this.#size = size;
    this.#fd = openSync(path, size === 0 ? 'w' : 'r+', 0o600);
    if (size > 0) ftruncateSync(this.#fd, size);
  }

  /** In bytes. */
  get size(): number {
    return this.#size;
  }

  append(value: unknown): void {
    const text = Buffer.from(JSON.stringify(value));
    const record = Buffer.concat([Buffer.from(`${hex(text.length)} ${hex(crc32(text))} `), text, Buffer.from([NEWLINE])]);
    for (let at = 0; at < record.length; ) at += writeSync(this.#fd, record, at, record.length - at, this.#size + at);
    this.#size += record.length;
  }

  /** Takes the place of the file there. */
  rename(path: string): void {
    renameSync(this.#path, path);
    this.#path = path;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
