import type { IncomingMessage } from 'node:http';
import { buffer as bytesOf } from 'node:stream/consumers';
import { clip, type Fields, isFields } from '#model/fields.ts';
import { ApiFailure, describeConnectionError, reasonOf } from './api-failure.ts';
import { linesOf } from './lines.ts';
import { readList } from './list-body.ts';

/** One line of a watch (apimachinery, metav1.WatchEvent). Those of type ERROR are thrown. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  readonly object: Fields;
  readonly version: string;
  /** A bookmark that says that everything that was there at first has been sent (KEP-3157). */
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
