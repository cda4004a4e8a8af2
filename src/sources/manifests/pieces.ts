import { hash } from 'node:crypto';
import { type ParsedText, parseYaml } from '#lib/yaml.ts';
import { parseJson } from './json-text.ts';
import { countNewlines, documents, findList, type ListSpans, type Span } from './yaml-lines.ts';

/** A part of a file that can be read by itself. Parts with one digest say the same, so only what changed is parsed again. */
export interface Piece {
  readonly digest: string;
  read(): ParsedText;
}

/**
 * The pieces of a manifest file in order: its documents, and of a document that is a YAML list (`kind: List`) each item. Items are
 * parsed one by one because that takes a tenth of the memory and two thirds of the time, and because most of them are as before.
 * `byItem` false gives whole documents: items that share anchors cannot be read apart.
 */
export function* piecesOf(bytes: Buffer, byItem: boolean): Generator<Piece> {
  for (const document of documents(bytes)) {
    if (looksLikeJson(bytes, document)) yield pieceOf(bytes, document, parseJson);
    else yield* (byItem ? listPieces(bytes, document) : undefined) ?? [pieceOf(bytes, document, parseYaml)];
  }
}

/** YAML's flow style allows more than JSON does, but its parser takes a hundred times as long: what starts like JSON must be JSON. */
const looksLikeJson = (bytes: Buffer, { start, end }: Span): boolean =>
  /^\s*(\{\s*["}]|\[\s*[{\]])/.test(bytes.toString('latin1', start, Math.min(end, start + 256)));

/** Items of a list, each as a list of its own; undefined for a document that is none, or not in block style. */
function listPieces(bytes: Buffer, document: Span): Iterable<Piece> | undefined {
  const list = findList(bytes, document);
  if (list === undefined) return undefined;
  const shell = parseShell(bytes, document, list);
  const kind = shell.ok ? (shell.values[0] as { readonly kind?: unknown } | undefined)?.kind : undefined;
  // Half a list has no kind: kubectl prints that last. It is not worth reading the items
  if (typeof kind !== 'string') return [{ digest: digestOf(bytes, document), read: () => shell }];
  return kind.endsWith('List') && shell.ok ? itemPieces(bytes, list.items, shell.values[0] as object) : undefined;
}

/** The document without its items. */
function parseShell(bytes: Buffer, document: Span, list: ListSpans): ParsedText {
  const head = { start: document.start, end: list.start };
  const shell = parseYaml(textOf(bytes, head) + textOf(bytes, { start: list.end, end: document.end }));
  if (shell.ok) return shell;
  const skipped = shell.line > countNewlines(bytes, head) ? countNewlines(bytes, list) : 0;
  return atLine({ ...shell, line: shell.line + skipped }, bytes, document);
}

function* itemPieces(bytes: Buffer, items: readonly Span[], shell: object): Generator<Piece> {
  const context = hash('sha1', JSON.stringify(shell), 'base64');
  for (const item of items) {
    const piece = pieceOf(bytes, item, parseYaml);
    const read = (): ParsedText => {
      const parsed = piece.read();
      return parsed.ok ? { ok: true, values: parsed.values.map((value) => ({ ...shell, items: value })) } : parsed;
    };
    yield { digest: context + piece.digest, read };
  }
}

const pieceOf = (bytes: Buffer, span: Span, parse: (text: string) => ParsedText): Piece => ({
  digest: digestOf(bytes, span),
  read: () => atLine(parse(textOf(bytes, span)), bytes, span),
});

/** Turns the line of a piece into that of the file. */
const atLine = (parsed: ParsedText, bytes: Buffer, { start }: Span): ParsedText =>
  parsed.ok || parsed.line === 0 ? parsed : { ...parsed, line: parsed.line + countNewlines(bytes, { start: 0, end: start }) };

const textOf = (bytes: Buffer, { start, end }: Span): string => bytes.toString('utf8', start, end);

const digestOf = (bytes: Buffer, { start, end }: Span): string => hash('sha1', bytes.subarray(start, end), 'base64');
