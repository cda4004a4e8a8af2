import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { isCgroup2 } from '../node/mounts.ts';
import { attachLink, LINK_CGROUP } from './bpf-link.ts';
import type { LoadedProgram } from './bpf-object.ts';
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
      attachLink({ path: `${links}/${name}`, program: fd, target: cgroup, attachType, flags: 0, isSame });
    }
  } finally {
    closeSync(cgroup);
  }
}

/** Programs for answers come first: otherwise the answers of a translated socket would show the backend. */
const answersFirst = (programs: readonly LoadedProgram[]): LoadedProgram[] =>
  programs.toSorted((a, b) => Number(translates(a.name)) - Number(translates(b.name)));

const translates = (name: string): boolean => /connect|sendmsg/.test(name);
