import type { IncomingMessage } from 'node:http';
import { buffer as bytesOf } from 'node:stream/consumers';
import { flattenLists } from '#model/decode.ts';
import { clip, type Fields, isFields } from '#model/fields.ts';
import { ApiFailure, describeConnectionError, reasonOf } from './api-failure.ts';

/** One line of a watch (apimachinery, metav1.WatchEvent). Lines of type ERROR are thrown. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: Fields;
  readonly version: string;
  /** The bookmark that ends the initial events (KEP-3157). */
  readonly endsInitial: boolean;
}

/** One page of a list. */
export interface Page {
  readonly items: Iterable<unknown>;
  readonly version: string;
  /** Where the next page begins; empty on the last. */
  readonly next: string;
}

/** Events as they arrive, several at a time, until the server ends the stream. `what` is for messages. */
export async function* eventsOf(body: IncomingMessage, what: string): AsyncGenerator<Iterable<WatchEvent>> {
  try {
    for await (const lines of linesOf(body)) yield told(eventsIn(lines, what), what);
  } catch (error) {
    throw asFailure(error, what);
  }
}

/** A page when all of it has arrived. */
export async function pageOf(body: IncomingMessage, what: string): Promise<Page> {
  try {
    const { shell, items } = readList(await bytesOf(body));
    const { resourceVersion, continue: next } = metadataOf(shell);
    return { items: told(items, what), version: versionOf(resourceVersion), next: typeof next === 'string' ? next : '' };
  } catch (error) {
    throw asFailure(error, what);
  }
}

function* eventsIn(lines: readonly string[], what: string): Generator<WatchEvent> {
  for (const line of lines) yield readEvent(line, what);
}

function* told<T>(items: Iterable<T>, what: string): Generator<T> {
  try {
    yield* items;
  } catch (error) {
    throw asFailure(error, what);
  }
}

const TYPES = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'] as const;

const INITIAL_END = 'k8s.io/initial-events-end';

function readEvent(line: string, what: string): WatchEvent {
  const event: unknown = JSON.parse(line);
  const object = isFields(event) && isFields(event.object) ? event.object : undefined;
  if (!isFields(event) || object === undefined) throw new SyntaxError('it has an event without an object');
  if (event.type === 'ERROR') throw new ApiFailure(reasonOf(Number(object.code)), `${what} ended: ${String(object.message)}`);
  const type = TYPES.find((one) => one === event.type);
  if (type === undefined) throw new SyntaxError(`it has an event of type ${String(event.type)}`);
  const { resourceVersion, annotations } = metadataOf(object);
  const endsInitial = isFields(annotations) && annotations[INITIAL_END] === 'true';
  return { type, object, version: versionOf(resourceVersion), endsInitial };
}

const metadataOf = ({ metadata }: Fields): Fields => (isFields(metadata) ? metadata : {});

function versionOf(resourceVersion: unknown): string {
  if (typeof resourceVersion === 'string' && resourceVersion !== '') return resourceVersion;
  throw new SyntaxError('it has no metadata.resourceVersion');
}

function asFailure(error: unknown, what: string): ApiFailure {
  if (error instanceof ApiFailure) return error;
  if (error instanceof SyntaxError) return new ApiFailure('garbled', `${what} cannot be read: ${clip(error.message, 300)}`);
  return new ApiFailure('cut', `${what} broke off: ${describeConnectionError(error)}`);
}

const NEWLINE = 0x0a;

/** Bytes of the longest line that is believed: etcd takes objects of 1.5 MB, escapes make text longer. */
const MAX_LINE = 16 << 20;

/**
 * Lines of a stream, the lines of a chunk together as soon as it has arrived: one by one they would cost more than their contents. A line
 * that is cut off counts for nothing. Throws a SyntaxError when one is too long.
 */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly string[]> {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const last = chunk.subarray(start, end);
      lines.push((begun.length === 0 ? last : Buffer.concat([...begun, last])).toString());
      begun = [];
      length = 0;
      start = end + 1;
    }
    if (start < chunk.length) begun.push(chunk.subarray(start));
    length += chunk.length - start;
    if (lines.length > 0) yield lines;
    if (length > MAX_LINE) throw new SyntaxError(`a line has more than ${MAX_LINE} bytes`);
  }
}

/** A list without its items, and these, read one by one as they are asked for. */
export interface ListBody {
  readonly shell: Fields;
  readonly items: Iterable<unknown>;
}

const FIRST = '"items":[';
const ITEM = '{"metadata":{';

/**
 * Reads the body of a list. That of an API server (encoding/json of Go: no blanks, items begin with their metadata) is taken apart
 * first: objects of a whole page would outlive the young generation. No string can hold the marks, its
 * quotes would be escaped, and nothing that weir reads has lists of objects with metadata.
 * Throws a SyntaxError.
 */
export function readList(body: Buffer): ListBody {
  return takeApart(body) ?? wholeList(body);
}

function wholeList(body: Buffer): ListBody {
  const list: unknown = JSON.parse(body.toString());
  if (!isFields(list) || !String(list.kind).endsWith('List')) throw new SyntaxError('it is not a list');
  return { shell: list, items: flattenLists(list) };
}

function takeApart(body: Buffer): ListBody | undefined {
  const first = body.indexOf(FIRST + ITEM) + FIRST.length;
  const end = body.lastIndexOf('}]') + 1;
  if (first < FIRST.length || end < first) return undefined;
  try {
    const shell: unknown = JSON.parse(body.toString('utf8', 0, first) + body.toString('utf8', end));
    return isFields(shell) ? { shell, items: itemsApart(body, first, end, shell) } : undefined;
  } catch {
    return undefined;
  }
}

function* itemsApart(body: Buffer, first: number, end: number, shell: Fields): Generator<unknown> {
  for (let start = first; start < end; ) {
    const next = body.indexOf(`},${ITEM}`, start);
    const stop = next === -1 ? end : next + 1;
    yield* flattenLists({ ...shell, items: [JSON.parse(body.toString('utf8', start, stop))] });
    start = stop + 1;
  }
}
