import type { TableEntry, TableKey, TableName } from '#abi/generated.ts';

/** Why the kernel refused. `full`: the table's limit is reached; `missing`: no such key; `transient`: a retry may succeed. */
export type TableErrorCode = 'full' | 'missing' | 'transient' | 'fatal';

/** A failed write, see Tables. */
export class TableError extends Error {
  readonly code: TableErrorCode;
  readonly table: TableName;
  /** Leading entries of the call that were written before the failure. */
  readonly done: number;

  constructor(code: TableErrorCode, table: TableName, done: number, message: string) {
    super(message);
    this.code = code;
    this.table = table;
    this.done = done;
  }
}

/**
 * The kernel's tables as reconcile needs them; src/kernel implements them, tests use a fake. Writes happen in order. A failed
 * call throws a TableError after `done` entries. Arrays (`slots`, `backends`, `settings`) hold every index and cannot remove.
 */
export interface Tables {
  /** Every entry; of arrays only entries with a byte other than 0. */
  dump<T extends TableName>(table: T): TableEntry<T>[];
  put<T extends TableName>(table: T, entries: readonly TableEntry<T>[]): void;
  /** Ignores keys without an entry. */
  remove<T extends TableName>(table: T, keys: readonly TableKey<T>[]): void;
  /** max_entries. */
  limit(table: TableName): number;
}
