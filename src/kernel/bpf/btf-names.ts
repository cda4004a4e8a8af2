import { readFileSync } from 'node:fs';

/** Names in the type information of the kernel or of one of its modules. */
export interface BtfNames {
  has(name: string): boolean;
}

/** BTF of `vmlinux` or of a module; one that is not there has no names. Its strings lie in one section, each ended by a zero byte. */
export function btfNames(module: string): BtfNames {
  const bytes = readBtf(module);
  return { has: (name) => bytes.includes(`\0${name}\0`) };
}

function readBtf(module: string): Buffer {
  try {
    return readFileSync(`/sys/kernel/btf/${module}`);
  } catch {
    return Buffer.alloc(0);
  }
}
