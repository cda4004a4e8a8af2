/** Collects the operations of a stream to change sets. */
import { CallFailure } from '#grpc/failure.ts';
import { type DecodedValue, decodeValue } from '#kpng/decode.ts';
import { type OpItem, opItemCodec, type Ref } from '#kpng/messages.ts';
import { clip } from '#model/fields.ts';

/** One object of a change set. */
interface Staged {
  /** Undefined: deleted. */
  readonly value: DecodedValue | undefined;
  /** Time of the event that led to the change, ms since 1970; 0 = unknown. */
  readonly triggeredAt: number;
}

/** The operations between two Syncs, the last one of each object. */
export interface ChangeSet {
  /** The change set is the full state: objects that it does not set do not exist. */
  readonly isFull: boolean;
  /** By number of the set and path, `SET PATH`. */
  readonly staged: ReadonlyMap<string, Staged>;
}

/** Collects operations until Sync; none takes effect before. */
export class ChangeSetReader {
  readonly #method: string;
  readonly #mistake: (what: string, message: string) => void;
  /** A stream begins with the full state, with or without a Reset. */
  #isFull = true;
  #staged = new Map<string, Staged>();

  /** `method`: of the stream. `mistake` reports protocol errors of the peer; equal `what` means the same kind of error. */
  constructor(method: string, mistake: (what: string, message: string) => void) {
    this.#method = method;
    this.#mistake = mistake;
  }

  take({ Op, Set: set, Delete, TriggeredAt }: OpItem): void {
    const triggeredAt = Number(TriggeredAt);
    if (Op === 'Reset') {
      this.#isFull = true;
      this.#staged = new Map();
    } else if (Op === 'Set' && set?.Ref) {
      const value = decodeValue(this.#method, set.Ref.Set, set.Ref.Path, set.Bytes);
      if (value === undefined) this.#reportUnknown(set.Ref);
      else this.#staged.set(idOf(set.Ref), { value, triggeredAt });
    } else if (Op === 'Delete' && Delete !== null) this.#staged.set(idOf(Delete), { value: undefined, triggeredAt });
    else this.#mistake('operation', 'sends an operation that is neither Sync, Set, Delete nor Reset');
  }

  /** Returns the complete change set and begins the next one. */
  finish(): ChangeSet {
    const finished = { isFull: this.#isFull, staged: this.#staged };
    this.#isFull = false;
    this.#staged = new Map();
    return finished;
  }

  #reportUnknown({ Set: set, Path }: Ref): void {
    this.#mistake(`set ${set}`, `sets ${clip(Path)} in set ${set}, which ${this.#method} does not have: it is left out`);
  }
}

const idOf = ({ Set: set, Path }: Ref): string => `${set} ${Path}`;

/** Decodes an operation. Throws a CallFailure if the bytes are not an operation: the rest of the stream cannot be trusted then. */
export function readOperation(bytes: Uint8Array): OpItem {
  try {
    return opItemCodec.decode(bytes);
  } catch (error) {
    throw new CallFailure('garbled', `it sends bytes that are not an OpItem: ${(error as Error).message}`);
  }
}
