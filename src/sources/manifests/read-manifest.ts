import { isDeepStrictEqual } from 'node:util';
import { type Decoded, decodeObject, flattenLists } from '#model/decode.ts';
import type { ModelObject } from '#model/objects.ts';
import { createPace } from '#timing/pace.ts';
import type { IdentifiedProblem } from '../active-problems.ts';
import { type ObjectsById, objectId } from './file-precedence.ts';
import { type Piece, piecesOf } from './pieces.ts';

/** The last good contents of a file. */
export interface Manifest {
  /** Of an object that is no longer valid the last version that was. */
  readonly objects: ObjectsById;
  readonly findings: readonly IdentifiedProblem[];
  /** What each piece became, by digest. */
  readonly decoded: ReadonlyMap<string, readonly Decoded[]>;
}

export const NO_MANIFEST: Manifest = { objects: new Map(), findings: [], decoded: new Map() };

/**
 * Reads the content of `path`; a string gives the reason why it does not count. Parts that equal `before` are neither parsed again nor replaced:
 * an object that did not change is the same JavaScript object.
 */
export async function readManifest(path: string, bytes: Buffer, before: Manifest): Promise<Manifest | string> {
  const apart = await decodePieces(piecesOf(bytes, true), before.decoded);
  const sharesAnchors = typeof apart === 'string' && /alias/i.test(apart);
  const pieces = sharesAnchors ? await decodePieces(piecesOf(bytes, false), before.decoded) : apart;
  return typeof pieces === 'string' ? pieces : collect(path, pieces, before.objects);
}

type DecodedPiece = readonly [digest: string, objects: readonly Decoded[]];

async function decodePieces(pieces: Iterable<Piece>, known: Manifest['decoded']): Promise<DecodedPiece[] | string> {
  const pace = createPace();
  const result: DecodedPiece[] = [];
  for (const piece of pieces) {
    const objects = known.get(piece.digest) ?? (await decodePiece(piece));
    if (typeof objects === 'string') return objects;
    result.push([piece.digest, objects]);
    if (pace.due()) await pace.rest();
  }
  return result;
}

async function decodePiece(piece: Piece): Promise<readonly Decoded[] | string> {
  const pace = createPace();
  const parsed = piece.read();
  if (!parsed.ok) return parsed.line === 0 ? parsed.reason : `line ${parsed.line}: ${parsed.reason}`;
  if (!parsed.values.every(hasKind)) return 'a document has no "kind", so it is not a Kubernetes object, or only the beginning of one';
  const objects: Decoded[] = [];
  for (const value of parsed.values) {
    for (const object of flattenLists(value)) {
      objects.push(decodeObject(object));
      if (pace.due()) await pace.rest();
    }
  }
  return objects;
}

const hasKind = (value: unknown): boolean => typeof (value as { readonly kind?: unknown } | null)?.kind === 'string';

async function collect(path: string, pieces: readonly DecodedPiece[], before: ObjectsById): Promise<Manifest> {
  const pace = createPace();
  const objects = new Map<string, ModelObject>();
  const findings = createFindings(path);
  for (const decoded of pieces.flatMap(([, decoded]) => decoded)) {
    if (decoded.type === 'ignored') findings.ignored(decoded.kind, decoded.reason);
    else if (decoded.type === 'object') take(decoded, objects, before, findings);
    else keep(decoded, objects, before, findings);
    if (pace.due()) await pace.rest();
  }
  return { objects, findings: findings.all(), decoded: new Map(pieces) };
}

function take(
  { object, warnings }: Decoded & { type: 'object' },
  objects: Map<string, ModelObject>,
  before: ObjectsById,
  findings: Findings,
): void {
  const id = objectId(object);
  for (const warning of warnings) findings.add('object_warning', warning);
  if (objects.has(id)) {
    findings.add('duplicate', `${id} stands there twice: the first one counts`);
    return;
  }
  const held = before.get(id);
  objects.set(id, held !== undefined && isDeepStrictEqual(held, object) ? held : object);
}

/** An object that is not valid: its last good version stays. */
function keep(
  { kind, key, errors }: Decoded & { type: 'invalid' },
  objects: Map<string, ModelObject>,
  before: ObjectsById,
  findings: Findings,
): void {
  const id = `${kind} ${key}`;
  const held = before.get(id);
  if (held !== undefined && !objects.has(id)) objects.set(id, held);
  findings.add('invalid_object', `${errors.join('; ')}; ${held === undefined ? 'it is left out' : 'its last good version stays in force'}`);
}

interface Findings {
  add(reason: string, sentence: string): void;
  ignored(kind: string, sentence: string): void;
  all(): readonly IdentifiedProblem[];
}

/** Objects of an unused kind share one line: a cluster's whole output has thousands of them. */
function createFindings(path: string): Findings {
  const found: IdentifiedProblem[] = [];
  const ignored = new Map<string, { readonly sentence: string; count: number }>();
  return {
    add: (reason, sentence) => {
      const message = `In ${path}: ${sentence}`;
      found.push({ id: message, reason, message });
    },
    ignored: (kind, sentence) => {
      const seen = ignored.get(kind);
      if (seen === undefined) ignored.set(kind, { sentence, count: 1 });
      else seen.count++;
    },
    all: () => [
      ...found,
      ...[...ignored].map(([kind, { sentence, count }]) => ({
        id: `unknown kind ${kind}`,
        reason: 'unknown_kind',
        message: `In ${path}: ${sentence}${count > 1 ? `; so are ${count - 1} more of this kind` : ''}`,
      })),
    ],
  };
}
