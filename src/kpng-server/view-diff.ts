/** Computes the frames that bring a client from one view of an item to the next. */
import { frame } from '#grpc/framing.ts';
import { deleteOperation, triggerField } from '#kpng/operations.ts';
import type { ItemView, OperationKind } from './item-view.ts';

/** The order of operations in a change set, KPNG's (server/jobs/store2localdiff, SendDiff): no endpoint is ever without its Service. */
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
 * Most clients go from one view to the next together, so each difference is computed once. The key is the new view, or the old one if the
 * item is gone. The value holds the old view weakly: otherwise each view would keep all earlier ones in memory.
 */
const differences = new WeakMap<ItemView, { readonly from: WeakRef<ItemView>; readonly isEnd: boolean; readonly frames: Frames }>();

/** Frames of one kind for a client that has nothing of the item yet. */
export function framesOf(view: ItemView | undefined, kind: OperationKind): readonly Buffer[] {
  const operations = view?.operations[kind];
  if (operations === undefined) return NONE;
  if (view?.joined === undefined) return operations.map(({ framed }) => framed);
  view.joined[kind] ??= [Buffer.concat(operations.map(({ framed }) => framed))];
  return view.joined[kind];
}

/** Frames of one phase that bring a client from view `from` to view `to`; `to` undefined = the item is gone for the client. */
export function framesBetween(from: ItemView, to: ItemView | undefined, [act, kind]: (typeof PHASES)[number]): readonly Buffer[] {
  const key = to ?? from;
  const isEnd = to === undefined;
  const known = differences.get(key);
  if (known !== undefined && known.from.deref() === from && known.isEnd === isEnd) return known.frames[act][kind] ?? NONE;
  const frames = difference(from, to);
  differences.set(key, { from: new WeakRef(from), isEnd, frames });
  return frames[act][kind] ?? NONE;
}

function difference(from: ItemView, to: ItemView | undefined): Frames {
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

/** A framed OpItem with a further field. */
const withTrigger = (framed: Buffer, trigger: readonly Uint8Array[]): Buffer =>
  trigger.length === 0 ? framed : frame(framed.subarray(5), ...trigger);
