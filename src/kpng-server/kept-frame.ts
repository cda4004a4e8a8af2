import { frame } from '#grpc/framing.ts';

/** Bytes of memory that are shared by frames made one after the other. */
const SLAB = 64 << 10;

let slab: Buffer = Buffer.alloc(0);

/** A framed message that is kept for long: Node's own pool would keep whatever short-lived bytes lie beside it, which are twice as many. */
export function keptFrame(message: Uint8Array): Buffer {
  const framed = frame(message);
  if (framed.length > SLAB / 8) return framed;
  if (slab.length < framed.length) slab = Buffer.allocUnsafeSlow(SLAB);
  const kept = slab.subarray(0, framed.length);
  slab = slab.subarray(framed.length);
  framed.copy(kept);
  return kept;
}
