import type { TableEntry, TableKey, TableName } from '#abi/generated.ts';
import { TableError, type Tables } from '../ports/tables.ts';
import type { WriteFailure } from '../retries.ts';

/** Writes of one kind to one table, in order. */
export interface Batch<S> {
  readonly table: TableName;
  readonly verb: 'put' | 'remove';
  readonly steps: readonly S[];
  /** Entry to put or key to remove. */
  element(step: S): TableEntry<TableName> | TableKey<TableName>;
  /** Whether to leave out a step; called just before its write. */
  skip(step: S): boolean;
  done(step: S): void;
  failed(step: S, failure: WriteFailure): void;
}

const MOST = 4096;
const FEWEST = 16;

/**
 * Writes every element that the kernel takes, in large calls. When a call fails, the element at which it stopped fails and the batch goes
 * on with smaller calls for a while, so that a full table costs little for each element that it refuses.
 */
export function runBatch<S>(tables: Tables, batch: Batch<S>): void {
  let size = MOST;
  let at = 0;
  while (at < batch.steps.length) {
    const { chunk, end } = cut(batch, at, size);
    const outcome = write(tables, batch, chunk);
    for (const step of chunk.slice(0, outcome.done)) batch.done(step);
    if (outcome.done === chunk.length) {
      at = end;
      size = Math.min(MOST, size * 2);
      continue;
    }
    if (outcome.failure !== undefined) batch.failed(chunk[outcome.done] as S, outcome.failure);
    at = batch.steps.indexOf(chunk[outcome.done] as S, at) + (outcome.failure === undefined ? 0 : 1);
    size = outcome.failure === undefined ? chunk.length >> 1 : FEWEST;
  }
}

function cut<S>(batch: Batch<S>, from: number, size: number): { readonly chunk: readonly S[]; readonly end: number } {
  const chunk: S[] = [];
  let end = from;
  for (; end < batch.steps.length && chunk.length < size; end++) {
    const step = batch.steps[end] as S;
    if (!batch.skip(step)) chunk.push(step);
  }
  return { chunk, end };
}

interface Outcome {
  /** Number of leading steps that were written. */
  readonly done: number;
  /** Why the next step failed. Undefined with steps left: one of them cannot be encoded, and it is unknown which. */
  readonly failure?: WriteFailure;
}

function write<S>(tables: Tables, { table, verb, element }: Batch<S>, chunk: readonly S[]): Outcome {
  if (chunk.length === 0) return { done: 0 };
  try {
    tables[verb](table, chunk.map(element) as never);
    return { done: chunk.length };
  } catch (error) {
    if (error instanceof TableError) return { done: error.done, failure: tableFailure(tables, table, error) };
    if (!(error instanceof RangeError)) throw error;
    return chunk.length > 1 ? { done: 0 } : { done: 0, failure: { code: 'fatal', table, message: error.message } };
  }
}

const tableFailure = (tables: Tables, table: TableName, { code, message }: TableError): WriteFailure =>
  code === 'full' ? fullFailure(tables, table) : { code, table, message };

/** `detail`: the consequence of the limit. */
export const fullFailure = (tables: Tables, table: TableName, detail?: string): WriteFailure => ({
  code: 'full',
  table,
  message: `map "${table}" is full, limit is ${tables.limit(table)} entries${detail === undefined ? '' : ` (${detail})`}`,
});
