import { frame } from '#grpc/framing.ts';
import { deleteOperation, triggerField } from '#kpng/operations.ts';
import type { SetNumber } from '#kpng/sets.ts';

/** Decides when an operation is sent: nodes and ranges, then Services, then endpoints; anonymous ones are those that are no pods. */
export type OperationKind = 'context' | 'service' | 'endpoint' | 'anonymous';

/** An object as it is sent. What has not changed is the same JavaScript object, and one does for all clients. */
export interface Operation {
  readonly set: SetNumber;
  readonly path: string;
  /** The OpItem that sets it, framed. */
  readonly framed: Buffer;
}

/** What a client sees of one item of the board. */
export interface View {
  readonly operations: Readonly<Partial<Record<OperationKind, readonly Operation[]>>>;
  /** When what led to it happened, ms since 1970; 0 = not known. */
  readonly triggeredAt: number;
  /** Of a view that many clients have: its frames by kind, in one piece, as far as they were asked for. */
  readonly joined?: Partial<Record<OperationKind, readonly Buffer[]>>;
}

/** The order in which a change set says things, as KPNG does (server/jobs/store2localdiff, SendDiff): nothing is orphaned on the way. */
export const PHASES: readonly (readonly [act: 'set' | 'delete', kind: OperationKind])[] = [
  ['set', 'context'],
  ['set', 'service'],
  ['delete', 'anonymous'],
  ['set', 'endpoint'],
  ['delete', 'endpoint'],
  ['set', 'anonymous'],
  ['delete', 'service'],
  ['delete', 'context'],
];

type Frames = Readonly<Record<'set' | 'delete', Readonly<Partial<Record<OperationKind, readonly Buffer[]>>>>>;

const NONE: readonly never[] = [];

/**
 * Clients go from one view to the next together: the way there is worked out once. By the view that they come to, or from if nothing is left;
 * the other one is held weakly, or each view would keep all that were before it.
 */
const differences = new WeakMap<View, { readonly from: WeakRef<View>; readonly isEnd: boolean; readonly frames: Frames }>();

/** Frames that tell a client of everything in a view that it has nothing of. */
export function framesOf(view: View | undefined, kind: OperationKind): readonly Buffer[] {
  const operations = view?.operations[kind];
  if (operations === undefined) return NONE;
  if (view?.joined === undefined) return operations.map(({ framed }) => framed);
  view.joined[kind] ??= [Buffer.concat(operations.map(({ framed }) => framed))];
  return view.joined[kind];
}

/** Frames of one phase that bring a client from a view that it has to another; undefined = nothing of the item is left. */
export function framesBetween(from: View, to: View | undefined, [act, kind]: (typeof PHASES)[number]): readonly Buffer[] {
  const key = to ?? from;
  const isEnd = to === undefined;
  const known = differences.get(key);
  if (known !== undefined && known.from.deref() === from && known.isEnd === isEnd) return known.frames[act][kind] ?? NONE;
  const frames = difference(from, to);
  differences.set(key, { from: new WeakRef(from), isEnd, frames });
  return frames[act][kind] ?? NONE;
}

function difference(from: View, to: View | undefined): Frames {
  const trigger = to !== undefined && to.triggeredAt > from.triggeredAt ? [triggerField(to.triggeredAt)] : [];
  const frames = { set: {} as Record<string, Buffer[]>, delete: {} as Record<string, Buffer[]> };
  for (const kind of ['context', 'service', 'endpoint', 'anonymous'] as const) {
    const before = new Map(from.operations[kind]?.map((operation) => [operation.path, operation]));
    const set: Buffer[] = [];
    for (const operation of to?.operations[kind] ?? NONE) {
      const known = before.get(operation.path);
      if (known !== operation && !known?.framed.equals(operation.framed)) set.push(withTrigger(operation.framed, trigger));
      before.delete(operation.path);
    }
    frames.set[kind] = set;
    frames.delete[kind] = [...before.values()].map((gone) => frame(deleteOperation(gone.set, gone.path), ...trigger));
  }
  return frames;
}

/** A framed OpItem with one more field. */
const withTrigger = (framed: Buffer, trigger: readonly Uint8Array[]): Buffer =>
  trigger.length === 0 ? framed : frame(framed.subarray(5), ...trigger);
