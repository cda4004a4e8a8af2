/** Splits a byte stream into gRPC messages, and the reverse. */
import { CallFailure } from './failure.ts';

/** Bytes of the header of a message: compression flag, then length (grpc/grpc, doc/PROTOCOL-HTTP2.md). */
const HEADER = 5;

/** Default limit of a message, bytes. */
const MAX_MESSAGE = 16 << 20;

/** A message with its header; one write may hold several. */
export function frame(...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const framed = Buffer.allocUnsafe(HEADER + length);
  framed[0] = 0;
  framed.writeUInt32BE(length, 1);
  let at = HEADER;
  for (const part of parts) {
    framed.set(part, at);
    at += part.length;
  }
  return framed;
}

/** Takes chunks of a stream, and yields each message once it is complete. */
export interface Unframer {
  /** Throws a CallFailure for an invalid header. The messages share memory with the chunks. */
  push(chunk: Buffer): void;
  /** Bytes of an incomplete message. */
  readonly begun: number;
}

/** `take` gets each message. If it throws, the rest of the chunk is lost. */
export function createUnframer(take: (message: Buffer) => void, maxMessage = MAX_MESSAGE): Unframer {
  let parts: Buffer[] = [];
  let held = 0;
  /** Bytes needed for the next header or message. */
  let wanted = HEADER;
  return {
    get begun() {
      return held;
    },
    push(chunk) {
      parts.push(chunk);
      held += chunk.length;
      if (held < wanted) return;
      const bytes = parts.length === 1 ? chunk : Buffer.concat(parts);
      parts = [];
      held = 0;
      let at = 0;
      for (wanted = HEADER; bytes.length - at >= HEADER; wanted = HEADER) {
        wanted = HEADER + lengthAt(bytes, at, maxMessage);
        if (bytes.length - at < wanted) break;
        take(bytes.subarray(at + HEADER, at + wanted));
        at += wanted;
      }
      if (at === bytes.length) return;
      parts = [bytes.subarray(at)];
      held = bytes.length - at;
    },
  };
}

function lengthAt(bytes: Buffer, at: number, maxMessage: number): number {
  if (bytes[at] !== 0) throw new CallFailure('garbled', `a message has the compression flag ${bytes[at]}, must be 0`);
  const length = bytes.readUInt32BE(at + 1);
  if (length > maxMessage) throw new CallFailure('garbled', `a message has ${length} bytes, must be at most ${maxMessage}`);
  return length;
}
