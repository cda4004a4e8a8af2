import { checkedErrno } from './ffi.ts';
import { libc } from './libc.ts';

const PROT_READ = 1;
const MAP_SHARED = 1;

/** Gives what C libraries have freed back to the kernel; malloc keeps it otherwise (malloc_trim(3)). */
export const trimHeap = (): void => void libc.malloc_trim(0);

/** Memory of the kernel, readable until it is unmapped. It is copied out: a view that outlives the mapping would crash. */
export interface MappedMemory {
  /** Copies `length` bytes from `offset` to the start of `into`. */
  read(into: Buffer, offset: number, length: number): void;
  unmap(): void;
}

/** Maps `length` bytes of what `fd` describes. */
export function mapMemory(fd: number, length: number, what: string): MappedMemory {
  const address = BigInt(checkedErrno(libc.mmap(null, length, PROT_READ, MAP_SHARED, fd, 0), `map the memory of ${what}`));
  let isMapped = true;
  return {
    read: (into, offset, bytes) => {
      if (!isMapped || offset + bytes > length || bytes > into.length)
        throw new RangeError(`Cannot read ${bytes} bytes at ${offset} of ${what}`);
      libc.memcpy(into, address + BigInt(offset), bytes);
    },
    unmap: () => {
      isMapped = false;
      libc.munmap(address, length);
    },
  };
}
