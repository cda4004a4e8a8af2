/** What the server sends of one item to one client: a list of encoded operations. */
import type { SetNumber } from '#kpng/sets.ts';

/** Decides the phase in which an operation is sent. `context`: Nodes and ServiceCIDRs; `anonymous`: endpoints without a pod. */
export type OperationKind = 'context' | 'service' | 'endpoint' | 'anonymous';

/** An object as it is sent. An unchanged object keeps its JavaScript object, and all clients share it. */
export interface Operation {
  readonly set: SetNumber;
  readonly path: string;
  /** The framed OpItem that sets the object. */
  readonly framed: Buffer;
}

/** The operations of one item for one client, or for all clients that need the same. */
export interface ItemView {
  readonly operations: Readonly<Partial<Record<OperationKind, readonly Operation[]>>>;
  /** Time of the event behind the last change, ms since 1970; 0 = unknown. */
  readonly triggeredAt: number;
  /** Cache of a view that many clients share: the frames of each kind as one buffer, made on first use. */
  readonly joined?: Partial<Record<OperationKind, readonly Buffer[]>>;
}
