/** Encodes the operations of a stream. */
import { opItemCodec } from './messages.ts';
import type { SetNumber } from './sets.ts';

/** An encoded OpItem that sets an object. */
export const setOperation = (set: SetNumber, path: string, bytes: Uint8Array): Uint8Array =>
  opItemCodec.encode({ Set: { Ref: { Set: set, Path: path }, Bytes: bytes } });

/** An encoded OpItem that deletes an object. */
export const deleteOperation = (set: SetNumber, path: string): Uint8Array => opItemCodec.encode({ Delete: { Set: set, Path: path } });

/** The encoded field TriggeredAt, to append to an encoded OpItem: time of the event that led to the change, ms since 1970. */
export const triggerField = (at: number): Uint8Array => opItemCodec.encode({ TriggeredAt: at });

/** An encoded Reset: the full state follows. */
export const resetOperation = (): Uint8Array => opItemCodec.encode({ Reset: {} });

/** An encoded Sync, the end of a change set. `incomplete`: existing objects may be missing. */
export const syncOperation = (incomplete: boolean): Uint8Array => opItemCodec.encode({ Sync: { Extended: true, Incomplete: incomplete } });
