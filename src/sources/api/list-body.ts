import { flattenLists } from '#model/decode.ts';
import { type Fields, isFields } from '#model/fields.ts';

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
  if (!isFields(list) || !String(list.kind).endsWith('List')) throw new SyntaxError('it is no list');
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
