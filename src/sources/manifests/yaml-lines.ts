/** Bytes from `start` up to but not including `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** The spans of the items of a block list, and the end of the last one. */
export interface ListSpans {
  readonly items: readonly Span[];
  readonly start: number;
  readonly end: number;
}

const NEWLINE = 0x0a;
const [SPACE, TAB, RETURN, HASH, DASH] = [0x20, 0x09, 0x0d, 0x23, 0x2d];

/** Contents of the documents of a file, between lines that begin with `---`. Leaves out documents of comments and directives. */
export function* documents(bytes: Buffer): Generator<Span> {
  let start = bytes.indexOf('\ufeff') === 0 ? 3 : 0;
  for (let at = start; at < bytes.length; at = nextMarker(bytes, at)) {
    if (!isMarker(bytes, at)) continue;
    yield* content(bytes, { start, end: at });
    start = at + 3;
  }
  yield* content(bytes, { start, end: bytes.length });
}

/** The block list under a top-level `items:`, what `kubectl get -o yaml` prints. */
export function findList(bytes: Buffer, { start, end }: Span): ListSpans | undefined {
  const key = lineAfterItemsKey(bytes, start, end);
  const first = key === undefined ? undefined : firstContent(bytes, key, end);
  if (first === undefined) return undefined;
  const indent = indentAt(bytes, first);
  if (!isItem(bytes, first + indent)) return undefined;
  return spansFrom(bytes, first, indent, end);
}

/** Line feeds in a part of a file. */
export function countNewlines(bytes: Buffer, { start, end }: Span): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE, start); at !== -1 && at < end; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

function spansFrom(bytes: Buffer, first: number, indent: number, end: number): ListSpans {
  const starts: number[] = [];
  let at = first;
  for (; at < end; at = nextLine(bytes, at)) {
    if (endsList(bytes[at], indent)) break;
    if (indentAt(bytes, at) === indent && isItem(bytes, at + indent)) starts.push(at);
  }
  const last = Math.min(at, end);
  return { items: starts.map((start, i) => ({ start, end: starts[i + 1] ?? last })), start: first, end: last };
}

/** A key in the first column ends the list; what belongs to an item is indented, blank or a comment. */
const endsList = (byte: number | undefined, indent: number): boolean =>
  byte !== SPACE && byte !== NEWLINE && byte !== RETURN && byte !== TAB && byte !== HASH && !(byte === DASH && indent === 0);

function lineAfterItemsKey(bytes: Buffer, start: number, end: number): number | undefined {
  for (let at = bytes.indexOf('items:', start); at !== -1 && at < end; at = bytes.indexOf('items:', at + 1)) {
    if (at !== start && bytes[at - 1] !== NEWLINE) continue;
    const next = nextLine(bytes, at);
    return /^items:\s*(#[^\n]*)?\n?$/.test(bytes.toString('latin1', at, next)) ? next : undefined;
  }
  return undefined;
}

function firstContent(bytes: Buffer, from: number, end: number): number | undefined {
  for (let at = from; at < end; at = nextLine(bytes, at)) {
    const byte = bytes[at + indentAt(bytes, at)];
    if (byte !== NEWLINE && byte !== RETURN && byte !== HASH) return at;
  }
  return undefined;
}

function* content(bytes: Buffer, span: Span): Generator<Span> {
  const head = bytes.toString('latin1', span.start, Math.min(span.end, span.start + 4096));
  const complete = span.end - span.start <= 4096;
  if (!complete || head.split('\n').some((line) => !/^\s*([#%].*)?$/.test(line))) yield span;
}

function nextMarker(bytes: Buffer, at: number): number {
  const next = bytes.indexOf('\n---', at);
  return next === -1 ? bytes.length : next + 1;
}

const isMarker = (bytes: Buffer, at: number): boolean => /^---(\s|$)/.test(bytes.toString('latin1', at, at + 4));

const isItem = (bytes: Buffer, at: number): boolean =>
  bytes[at] === DASH && (bytes[at + 1] === SPACE || bytes[at + 1] === NEWLINE || bytes[at + 1] === RETURN);

function nextLine(bytes: Buffer, at: number): number {
  const newline = bytes.indexOf(NEWLINE, at);
  return newline === -1 ? bytes.length : newline + 1;
}

function indentAt(bytes: Buffer, at: number): number {
  let indent = 0;
  while (bytes[at + indent] === SPACE) indent++;
  return indent;
}
