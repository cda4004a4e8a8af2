import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { KernelError } from '../ffi/ffi.ts';
import { isCgroup2 } from '../node/mounts.ts';
import { attachLink, LINK_CGROUP } from './bpf-link.ts';
import type { LoadedProgram } from './bpf-object.ts';
import { exclusivePrograms, exclusiveText } from './exclusive-programs.ts';
import { linksFolder } from './state-folder.ts';

/** Attaches every program to a cgroup v2 folder, for all processes below it. */
export function attachSockets(stateDir: string, cgroupDir: string, programs: readonly LoadedProgram[]): void {
  if (!isCgroup2(cgroupDir)) throw new Error(`Cannot attach to ${cgroupDir}: it should be a cgroup v2 folder`);
  const links = linksFolder(stateDir);
  mkdirSync(links, { recursive: true });
  const id = statSync(cgroupDir, { bigint: true }).ino;
  const cgroup = openSync(cgroupDir, 'r');
  try {
    for (const { name, fd, attachType } of answersFirst(programs)) {
      const isSame = (link: { type: number; target: bigint }) => link.type === LINK_CGROUP && link.target === id;
      naming(cgroupDir, () => attachLink({ path: `${links}/${name}`, program: fd, target: cgroup, attachType, flags: 0, isSame }));
    }
  } finally {
    closeSync(cgroup);
  }
}

/** The kernel answers EPERM if another program allows none beside it, and does not name that program. */
function naming(cgroupDir: string, attach: () => void): void {
  try {
    attach();
  } catch (cause) {
    const exclusive = cause instanceof KernelError && cause.code === 'EPERM' ? exclusivePrograms(cgroupDir) : [];
    if (exclusive.length === 0) throw cause;
    throw new Error(`Cannot attach to ${cgroupDir}: ${exclusive.map(exclusiveText).join(', ')} allows no other program`, { cause });
  }
}

/** Programs for answers come first: otherwise the answers of a translated socket would show the backend. */
const answersFirst = (programs: readonly LoadedProgram[]): LoadedProgram[] =>
  programs.toSorted((a, b) => Number(translates(a.name)) - Number(translates(b.name)));

const translates = (name: string): boolean => /connect|sendmsg/.test(name);
