import { CStruct, checked } from '../ffi/ffi.ts';
import { closing } from '../ffi/libc.ts';
import { libbpf, objectInfo } from './libbpf.ts';

/** The kernel allows 64 programs at one hook (BPF_MPROG_MAX, BPF_CGROUP_MAX_PROGS). */
const MOST_PROGRAMS = 64;

/** `struct bpf_prog_info`: the fields up to the name, whose text is at most 15 bytes. */
const INFO_BYTES = 80;
const NAME_AT = 64;

/** Programs at one hook of a cgroup or a device, in the order in which they run. */
export interface HookPrograms {
  readonly ids: readonly number[];
  /** BPF_F_ALLOW_* of a cgroup's hook; 0 for a device. */
  readonly flags: number;
}

/** Asks which programs are attached to a target itself: `target` is a descriptor of a cgroup or the index of a device. */
export function queryPrograms(target: number, attachType: number): HookPrograms {
  const ids = Buffer.alloc(MOST_PROGRAMS * 4);
  // struct bpf_prog_query_opts: attach_flags at 12, prog_ids at 16, prog_cnt at 24.
  const options = CStruct.sized(40).pointer(16, ids).u32(24, MOST_PROGRAMS);
  checked(libbpf.bpf_prog_query_opts(target, attachType, options.bytes), `list the programs of hook ${attachType} at ${target}`);
  const count = options.bytes.readUInt32LE(24);
  return { ids: Array.from({ length: count }, (_, i) => ids.readUInt32LE(i * 4)), flags: options.bytes.readUInt32LE(12) };
}

/** Name of a loaded program; empty for one without a name, and for one that has gone meanwhile. */
export function programName(id: number): string {
  const fd = libbpf.bpf_prog_get_fd_by_id(id);
  if (fd < 0) return '';
  return closing(fd, () => {
    const text = objectInfo(fd, new CStruct(INFO_BYTES), `program ${id}`).toString('latin1', NAME_AT);
    return text.slice(0, text.indexOf('\0'));
  });
}
