/** Turns a value into its bytes in a table and back. */
export interface Codec<T> {
  /** Bytes. */
  readonly size: number;
  /** Writes all `size` bytes from `at` on. Throws a RangeError when a number or text does not fit. */
  encode(value: T, into: Uint8Array, at: number): void;
  decode(from: Uint8Array, at: number): T;
}

const TEXT_ENCODER = new TextEncoder();
const TEXT_DECODER = new TextDecoder();
const U32 = 0xffffffff;

/* Bytes are stored one by one: V8 makes plain stores of that, and no DataView is needed for each buffer. */

/** Writes one byte. */
export function putU8(into: Uint8Array, at: number, value: number): void {
  if ((value & 0xff) !== value) throw tooLarge(value, 8);
  into[at] = value;
}

/** Writes a port: two bytes in network byte order. */
export function putBe16(into: Uint8Array, at: number, value: number): void {
  if ((value & 0xffff) !== value) throw tooLarge(value, 16);
  into[at] = value >>> 8;
  into[at + 1] = value;
}

/** Writes four bytes, little-endian. */
export function putU32(into: Uint8Array, at: number, value: number): void {
  if (value >>> 0 !== value) throw tooLarge(value, 32);
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
}

/** Writes eight bytes, little-endian. */
export function putU64(into: Uint8Array, at: number, value: bigint): void {
  if (BigInt.asUintN(64, value) !== value) throw tooLarge(value, 64);
  putU32(into, at, Number(value & BigInt(U32)));
  putU32(into, at + 4, Number(value >> 32n));
}

/** Writes UTF-8 and fills up with zero bytes; at least one of them ends the text. */
export function putText(into: Uint8Array, at: number, size: number, value: string): void {
  const { read, written } = TEXT_ENCODER.encodeInto(value, into.subarray(at, at + size - 1));
  if (read < value.length) throw new RangeError(`Cannot encode text "${value}": it must have at most ${size - 1} bytes`);
  into.fill(0, at + written, at + size);
}

const byte = (from: Uint8Array, at: number): number => from[at] as number;

/** Reads one byte. */
export const getU8 = byte;

/** Reads a port: two bytes in network byte order. */
export const getBe16 = (from: Uint8Array, at: number): number => (byte(from, at) << 8) | byte(from, at + 1);

/** Reads four bytes, little-endian. */
export const getU32 = (from: Uint8Array, at: number): number =>
  (byte(from, at) | (byte(from, at + 1) << 8) | (byte(from, at + 2) << 16) | (byte(from, at + 3) << 24)) >>> 0;

/** Reads eight bytes, little-endian. */
export const getU64 = (from: Uint8Array, at: number): bigint => (BigInt(getU32(from, at + 4)) << 32n) | BigInt(getU32(from, at));

/** Reads UTF-8 up to the first zero byte. */
export function getText(from: Uint8Array, at: number, size: number): string {
  const end = from.indexOf(0, at);
  return TEXT_DECODER.decode(from.subarray(at, end < 0 ? at + size : Math.min(end, at + size)));
}

const tooLarge = (value: number | bigint, bits: number): RangeError =>
  new RangeError(`Cannot encode number: value is ${value}, must be whole and fit in ${bits} bits without a sign`);
