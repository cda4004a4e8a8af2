/** Allocates frames that live long. */
import { frame } from '#grpc/framing.ts';

/** Size of a memory block that successive frames share, bytes. */
const SLAB = 64 << 10;

let slab: Buffer = Buffer.alloc(0);

/** A framed message, allocated beside other long-lived frames. Node's own pool would also keep its short-lived neighbours, twice as many bytes. */
export function slabFrame(message: Uint8Array): Buffer {
  const framed = frame(message);
  if (framed.length > SLAB / 8) return framed;
  if (slab.length < framed.length) slab = Buffer.allocUnsafeSlow(SLAB);
  const kept = slab.subarray(0, framed.length);
  slab = slab.subarray(framed.length);
  framed.copy(kept);
  return kept;
}
