import type { ModelKind, ModelObject } from '#model/objects.ts';
import type { Sink } from '#sources/source.ts';

/** What reached a sink. */
export interface Recorded {
  /** `set KIND KEY`, `recall KIND KEY`, `remove KIND KEY`, `synced` or `complete`, in order. */
  readonly calls: string[];
  /** `reason: message`. */
  readonly problems: string[];
  /** Kinds of which changes may have gone by unseen. */
  readonly missed: ModelKind[];
  /** What holds now, by `KIND KEY`. */
  readonly objects: Map<string, ModelObject>;
}

/** A sink that records its calls; `short` removes the parts of messages that differ from run to run. */
export function recordingSink(short: (message: string) => string): Recorded & { readonly sink: Sink } {
  const [calls, problems, missed, objects] = [[] as string[], [] as string[], [] as ModelKind[], new Map<string, ModelObject>()];
  const sink: Sink = {
    set: (object) => {
      calls.push(`set ${object.kind} ${object.key}`);
      objects.set(`${object.kind} ${object.key}`, object);
    },
    recall: (object) => {
      calls.push(`recall ${object.kind} ${object.key}`);
      objects.set(`${object.kind} ${object.key}`, object);
    },
    remove: (kind, key) => {
      calls.push(`remove ${kind} ${key}`);
      objects.delete(`${kind} ${key}`);
    },
    missed: (kind) => missed.push(kind),
    synced: () => calls.push('synced'),
    complete: () => calls.push('complete'),
    problem: ({ reason, message }) => problems.push(`${reason}: ${short(message)}`),
  };
  return { calls, problems, missed, objects, sink };
}
