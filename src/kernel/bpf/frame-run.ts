import { CStruct, checked } from '../ffi/ffi.ts';
import { libbpf } from './libbpf.ts';

/** `struct __sk_buff` of <linux/bpf.h>. */
const SK_BUFF_BYTES = 192;
const PRIORITY_AT = 32;
const IFINDEX_AT = 40;

/** What a tc program made of a frame. */
export interface FrameVerdict {
  /** TC_ACT_*. */
  readonly action: number;
  /** skb->priority afterwards; 0 before. */
  readonly priority: number;
}

/**
 * Hands a frame to a tc program (BPF_PROG_TEST_RUN) as if it had entered by a device of the thread's network namespace. What the program
 * writes is written: its tables, and conntrack entries of this namespace. Throws where the kernel does not offer it.
 */
export function runOnFrame(program: number, frame: Buffer, ifindex: number): FrameVerdict {
  const skb = new CStruct(SK_BUFF_BYTES).u32(IFINDEX_AT, ifindex).bytes;
  // struct bpf_test_run_opts: data_in at 8, data_size_in at 24, ctx_in and ctx_out at 32, their sizes at 48, retval at 56.
  const options = CStruct.sized(80).pointer(8, frame).u32(24, frame.length).pointer(32, skb).pointer(40, skb);
  options.u32(48, SK_BUFF_BYTES).u32(52, SK_BUFF_BYTES);
  checked(libbpf.bpf_prog_test_run_opts(program, options.bytes), 'run a program on a frame');
  return { action: options.bytes.readInt32LE(56), priority: skb.readUInt32LE(PRIORITY_AT) };
}
