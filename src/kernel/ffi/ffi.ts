import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import koffi from 'koffi';

declare const pointee: unique symbol;

/** Address of something that a C library owns. koffi takes any bigint for any pointer, so the type keeps them apart. */
export type Pointer<Name extends string> = bigint & { readonly [pointee]: Name };

/** The kernel's ENOTSUPP, which no libc names. */
export const ENOTSUPP = 524;

/** What the kernel answered to something that it was asked to do. `code` is the errno's name, as in Node's own errors. */
export class KernelError extends Error {
  readonly code: string;
  readonly errno: number;

  constructor(action: string, errno: number) {
    super(`Cannot ${action}: ${errnoText(errno)}`);
    this.code = errnoName(errno);
    this.errno = errno;
  }
}

/** Name of a positive errno: `ENODEV`. */
export const errnoName = (errno: number): string => (errno === ENOTSUPP ? 'ENOTSUPP' : getSystemErrorName(-errno));

/** Text of a positive errno, with its name: `no such device (ENODEV)`. */
export function errnoText(errno: number): string {
  const text = errno === ENOTSUPP ? 'operation not supported' : getSystemErrorMessage(-errno);
  return `${text} (${errnoName(errno)})`;
}

/** For functions that return -errno, as libbpf's do. */
export function checked(result: number, action: string): number {
  if (result < 0) throw new KernelError(action, -result);
  return result;
}

/** For functions that return -1 and set errno, as libc's do. Call it at once: any other I/O overwrites errno. */
export function checkedErrno(result: number, action: string): number {
  if (result < 0) throw new KernelError(action, koffi.errno());
  return result;
}

/** For functions that return NULL and set errno. */
export function checkedPointer<P extends bigint>(result: P | null, action: string): P {
  if (result === null) throw new KernelError(action, koffi.errno());
  return result;
}

/** Functions of a shared library: the library is loaded, and each function looked up, at its first use. */
export function bindLibrary<T extends object>(file: string, debianPackage: string, prototypes: Readonly<Record<keyof T, string>>): T {
  let library: ReturnType<typeof koffi.load> | undefined;
  const bound = {} as T;
  for (const name of Object.keys(prototypes) as (keyof T & string)[]) {
    const lookUp = () => {
      library ??= loadLibrary(file, debianPackage);
      const value = library.func(prototypes[name]);
      Object.defineProperty(bound, name, { value, enumerable: true });
      return value;
    };
    Object.defineProperty(bound, name, { configurable: true, enumerable: true, get: lookUp });
  }
  return bound;
}

function loadLibrary(file: string, debianPackage: string): ReturnType<typeof koffi.load> {
  try {
    return koffi.load(file);
  } catch (cause) {
    throw new Error(`Cannot load ${file}: install the package that has it (Debian: ${debianPackage})`, { cause });
  }
}

/** A struct of options whose first field is its own size, as libbpf and bpf(2) take them. Fields are set by byte offset. */
export class CStruct {
  readonly bytes: Buffer;
  /** Buffers whose addresses are in `bytes`, protected from the garbage collector. */
  readonly #kept: Buffer[] = [];

  constructor(size: number) {
    this.bytes = Buffer.alloc(size);
  }

  static sized(size: number): CStruct {
    return new CStruct(size).u64(0, BigInt(size));
  }

  u32(offset: number, value: number): this {
    this.bytes.writeUInt32LE(value >>> 0, offset);
    return this;
  }

  u64(offset: number, value: bigint): this {
    this.bytes.writeBigUInt64LE(value, offset);
    return this;
  }

  pointer(offset: number, target: Buffer): this {
    this.#kept.push(target);
    return this.u64(offset, koffi.address(target));
  }
}
