import { CallFailure } from '#grpc/failure.ts';
import { type Hearing, hear } from '#kpng/hear.ts';
import { type OpItem, opItemCodec, type Ref } from '#kpng/messages.ts';
import { clip } from '#model/fields.ts';

/** What becomes of one object. */
interface Staged {
  /** Undefined: it is deleted. */
  readonly hearing: Hearing | undefined;
  /** When what led to it happened, ms since 1970; 0 = not said. */
  readonly triggeredAt: number;
}

/** What a peer has said since the last Sync. */
export interface ChangeSet {
  /** What it does not set does not exist. */
  readonly isWhole: boolean;
  /** By number of the set and path. */
  readonly staged: ReadonlyMap<string, Staged>;
}

/** Collects what a peer says until it says Sync: before that nothing of it counts. */
export class ChangeSetReader {
  readonly #method: string;
  readonly #mistake: (what: string, message: string) => void;
  /** A stream begins with everything, whether it says so or not. */
  #isWhole = true;
  #staged = new Map<string, Staged>();

  /** `method`: of the stream. `mistake` is told of what a peer should not say. */
  constructor(method: string, mistake: (what: string, message: string) => void) {
    this.#method = method;
    this.#mistake = mistake;
  }

  take({ Op, Set: value, Delete, TriggeredAt }: OpItem): void {
    const triggeredAt = Number(TriggeredAt);
    if (Op === 'Reset') {
      this.#isWhole = true;
      this.#staged = new Map();
    } else if (Op === 'Set' && value?.Ref) {
      const hearing = hear(this.#method, value.Ref.Set, value.Ref.Path, value.Bytes);
      if (hearing === undefined) this.#unknown('sets', value.Ref);
      else this.#staged.set(idOf(value.Ref), { hearing, triggeredAt });
    } else if (Op === 'Delete' && Delete !== null) this.#staged.set(idOf(Delete), { hearing: undefined, triggeredAt });
    else this.#mistake('operation', 'sends an operation that is neither Sync, Set, Delete nor Reset');
  }

  /** The change set is complete; another one begins. */
  finish(): ChangeSet {
    const finished = { isWhole: this.#isWhole, staged: this.#staged };
    this.#isWhole = false;
    this.#staged = new Map();
    return finished;
  }

  #unknown(does: string, { Set: set, Path }: Ref): void {
    this.#mistake(`set ${set}`, `${does} ${clip(Path)} in set ${set}, which ${this.#method} does not have: it is left out`);
  }
}

const idOf = ({ Set: set, Path }: Ref): string => `${set} ${Path}`;

/** What a server says. Throws a CallFailure for bytes that are no operation: nothing that comes after them can be believed. */
export function readOperation(bytes: Uint8Array): OpItem {
  try {
    return opItemCodec.decode(bytes);
  } catch (error) {
    throw new CallFailure('garbled', `it sends what is no OpItem: ${(error as Error).message}`);
  }
}
