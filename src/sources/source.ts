import type { ModelKind, ModelObject } from '#model/objects.ts';

/** One thing that is wrong with what a source delivers. */
export interface SourceProblem {
  /** Metric label, one of a small fixed set per source, for example `parse`, `unknown_kind`, `invalid_object`, `duplicate`, `folder_missing`. */
  readonly reason: string;
  /** Whole sentence for a person: names the file, the object, the field, its value and the expected value. */
  readonly message: string;
}

/** Where a source delivers. Calls are synchronous and cheap; the sink batches. */
export interface Sink {
  /** A new object, or a changed one. Not called for an unchanged object. */
  set(object: ModelObject): void;
  /** An object as an earlier agent knew it; changes since then follow by `set` and `remove`. */
  recall(object: ModelObject): void;
  remove(kind: ModelKind, key: string): void;
  /** The source may have missed changes of this kind, and has listed all objects again. The sink counts that. */
  missed(kind: ModelKind): void;
  /** Everything that could be read at first has been delivered. Called once. */
  synced(): void;
  /** No error holds back objects any more: an object that was not delivered does not exist. Called once, not before `synced`. */
  complete(): void;
  problem(problem: SourceProblem): void;
}

/** A place that objects come from: a folder, or the Kubernetes API. */
export interface Source {
  start(sink: Sink): void;
  /** No call reaches the sink after this resolves. */
  stop(): Promise<void>;
}
