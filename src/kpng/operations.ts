import { opItemCodec } from './messages.ts';
import type { SetNumber } from './sets.ts';

/** An encoded OpItem that sets an object. */
export const setOperation = (set: SetNumber, path: string, bytes: Uint8Array): Uint8Array =>
  opItemCodec.encode({ Set: { Ref: { Set: set, Path: path }, Bytes: bytes } });

/** An encoded OpItem that deletes one. */
export const deleteOperation = (set: SetNumber, path: string): Uint8Array => opItemCodec.encode({ Delete: { Set: set, Path: path } });

/** Appended to an encoded OpItem it is a field of it: when what led to the change happened, ms since 1970. */
export const triggerField = (at: number): Uint8Array => opItemCodec.encode({ TriggeredAt: at });

/** An encoded OpItem after which everything follows. */
export const resetOperation = (): Uint8Array => opItemCodec.encode({ Reset: {} });

/** `incomplete`: something that exists may be missing. */
export const syncOperation = (incomplete: boolean): Uint8Array => opItemCodec.encode({ Sync: { Extended: true, Incomplete: incomplete } });
