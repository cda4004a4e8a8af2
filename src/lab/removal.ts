import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findCgroupHierarchies, findCgroupRoot, unmountBpffs } from '#kernel/node/mounts.ts';
import { bpffsDir, labCgroup, labDir, nodeDir } from './paths.ts';
import { netnsPrefix } from './topology.ts';

const POLL_MS = 5;
const END_WAIT_MS = 5000;

/** What a removal found: counts, all 0 for a lab that does not exist. */
export interface Removed {
  readonly processes: number;
  readonly namespaces: number;
}

/**
 * Removes all parts of a lab, also of a half-built one. The lab's name identifies them: its processes are the processes of
 * its cgroup, which each was started in; namespaces, cgroups and mounts carry the name.
 */
export async function removeLab(lab: string): Promise<Removed> {
  const processes = await endProcesses(lab);
  unmountAll(lab);
  const namespaces = deleteNamespaces(lab);
  await removeCgroups(lab);
  rmSync(labDir(lab), { recursive: true, force: true });
  return { processes, namespaces };
}

/** Whether anything of a lab exists. */
export const labExists = (lab: string): boolean => existsSync(labDir(lab)) || namespacesOf(lab).length > 0 || cgroupOf(lab) !== undefined;

function cgroupOf(lab: string): string | undefined {
  const root = findCgroupRoot();
  const dir = root && labCgroup(root, lab);
  return dir && existsSync(dir) ? dir : undefined;
}

/** Folders below a folder, parents first. */
const subfolders = (dir: string): string[] =>
  readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(dir, entry.name), ...subfolders(join(dir, entry.name))]);

async function endProcesses(lab: string): Promise<number> {
  const dir = cgroupOf(lab);
  if (!dir) return 0;
  const count = [dir, ...subfolders(dir)].flatMap(
    (folder) => readFileSync(join(folder, 'cgroup.procs'), 'utf8').match(/\d+/g) ?? [],
  ).length;
  const deadline = Date.now() + END_WAIT_MS;
  // More than once: a process that was just started may enter the cgroup after the first.
  for (writeFileSync(join(dir, 'cgroup.kill'), '1'); isPopulated(dir); writeFileSync(join(dir, 'cgroup.kill'), '1')) {
    if (Date.now() > deadline) throw new Error(`Cannot remove lab "${lab}": processes in ${dir} do not end`);
    await sleep(POLL_MS);
  }
  return count;
}

const isPopulated = (dir: string): boolean => readFileSync(join(dir, 'cgroup.events'), 'utf8').includes('populated 1');

function unmountAll(lab: string): void {
  const nodes = nodeDir(lab, '');
  if (!existsSync(nodes)) return;
  for (const node of readdirSync(nodes)) {
    const dir = bpffsDir(lab, node);
    if (existsSync(dir)) unmountBpffs(dir);
  }
}

const namespacesOf = (lab: string): string[] =>
  existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => name.startsWith(netnsPrefix(lab))) : [];

function deleteNamespaces(lab: string): number {
  const names = namespacesOf(lab);
  if (names.length === 0) return 0;
  const input = names.map((name) => `netns del ${name}\n`).join('');
  const { status, stderr } = spawnSync('ip', ['-force', '-batch', '-'], { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot remove the namespaces of lab "${lab}": ${stderr.trim()}`);
  return names.length;
}

/**
 * Removes the lab's cgroups from every hierarchy: container runtimes also make cgroups in hierarchies of version 1. A process that was just
 * started may enter a cgroup after all others have ended: the kernel then refuses the removal with EBUSY, and the process is ended, too.
 */
async function removeCgroups(lab: string): Promise<void> {
  const deadline = Date.now() + END_WAIT_MS;
  for (;;) {
    try {
      const dirs = findCgroupHierarchies().map((root) => labCgroup(root, lab));
      for (const dir of dirs.filter((each) => existsSync(each)))
        for (const folder of [dir, ...subfolders(dir)].reverse()) rmdirSync(folder);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || Date.now() > deadline) throw error;
      await endProcesses(lab);
    }
  }
}
