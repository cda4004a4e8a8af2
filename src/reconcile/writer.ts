import type { TableName } from '#abi/generated.ts';
import type { UdpLosses } from './flows/flows.ts';
import type { TableErrorCode } from './ports/tables.ts';
import type { Retries, WriteFailure } from './retries.ts';

/** Something that is not in the kernel as it should be. */
export interface Problem {
  /** `namespace/name:port`, or `namespace/name` for its health check node port; undefined = the node's own tables. */
  readonly port: string | undefined;
  /** `conflict`: another Service owns a frontend or the health check node port. Every other problem is retried. */
  readonly code: TableErrorCode | 'conflict';
  /** One sentence. */
  readonly message: string;
}

/** What a writer did in one call. */
export interface Written {
  /** Holders that it tried to write, including holders that it added because room was freed. */
  readonly attempted: ReadonlySet<string>;
  /** Entries put and removed; tables without a write are missing. */
  readonly writes: Readonly<Partial<Record<TableName, number>>>;
  readonly udpLosses: Readonly<UdpLosses>;
}

/**
 * Brings one part of the kernel to the wanted state. A holder is the identity of a Service port, or NODE. Puts and removals come in one call,
 * because a frontend that moves from one Service to another must never be missing in between.
 */
export interface Writer {
  /** Reads what the kernel holds. A writer without it knows what it wrote. */
  adopt?(): void;
  /**
   * Puts what the state wants of these holders and removes what it no longer wants. Reports a holder that failed to `retries`; the others go
   * on. An exception means that the writer no longer knows what the kernel holds.
   */
  write(holders: ReadonlySet<string>, retries: Retries): Written;
  /**
   * The wanted state is complete, of these Services (`namespace/name`) or of all: what the kernel holds beyond it must go. Returns the holders
   * that need a write for that.
   */
  prune(services?: readonly string[]): Iterable<string>;
  /** When a full table may have room again, in ms of the writer's clock. */
  hasRoomAt?(table: TableName): number | undefined;
  /** Holders with a problem other than a failed write. */
  troubled(): Iterable<string>;
  /** The problems of a holder; `failure` is its failed write. */
  problemsOf(holder: string, failure: WriteFailure | undefined): readonly Problem[];
}
