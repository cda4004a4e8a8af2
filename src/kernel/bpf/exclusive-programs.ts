import { closeSync, existsSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { isCgroup2 } from '../node/mounts.ts';
import { programName, queryPrograms } from './program-query.ts';

/** <linux/bpf.h>. */
const BPF_F_ALLOW_MULTI = 2;

/** Hooks of the socket path by the name of libbpf, with their `enum bpf_attach_type`. */
export const SOCKET_HOOKS: Readonly<Record<string, number>> = {
  connect4: 10,
  connect6: 11,
  sendmsg4: 14,
  sendmsg6: 15,
  recvmsg4: 19,
  recvmsg6: 20,
  getpeername4: 29,
  getpeername6: 30,
};

/** A program that allows no other beside it. */
export interface ExclusiveProgram {
  /** `connect4`, ... */
  readonly hook: string;
  readonly cgroup: string;
  readonly id: number;
  readonly name: string;
}

/**
 * Programs that keep weir's from a cgroup folder: attached to it or to one above it without BPF_F_ALLOW_MULTI
 * (kernel/bpf/cgroup.c, hierarchy_allows_attach). One in a folder below keeps nothing away: the kernel runs weir's after it, because
 * weir's allow others (compute_effective_progs).
 */
export function exclusivePrograms(cgroupDir: string): ExclusiveProgram[] {
  const found: ExclusiveProgram[] = [];
  for (let dir = cgroupDir; existsSync(dir) && isCgroup2(dir); dir = dirname(dir)) {
    found.push(...exclusiveHere(dir));
    if (dirname(dir) === dir) break;
  }
  return found;
}

function exclusiveHere(cgroup: string): ExclusiveProgram[] {
  const fd = openSync(cgroup, 'r');
  try {
    return Object.entries(SOCKET_HOOKS).flatMap(([hook, attachType]) => {
      const { ids, flags } = queryPrograms(fd, attachType);
      return flags & BPF_F_ALLOW_MULTI ? [] : ids.map((id) => ({ hook, cgroup, id, name: programName(id) }));
    });
  } finally {
    closeSync(fd);
  }
}

/** `program guard (id 7) at hook connect4 of /sys/fs/cgroup`. */
export const exclusiveText = ({ hook, cgroup, id, name }: ExclusiveProgram): string =>
  `program ${name || 'without a name'} (id ${id}) at hook ${hook} of ${cgroup}`;
