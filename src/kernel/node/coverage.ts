import { readdirSync, readFileSync } from 'node:fs';
import { cgroupMountPoints } from './mounts.ts';
import { processesIn, unlessGone } from './namespaces.ts';

/**
 * Why programs that are attached to a cgroup v2 folder see no process of the node; undefined if they see one. A named folder may hold this
 * process alone, as on a node that has just started. The root of a mount holds all processes of a node; if it holds this process alone, the
 * mount is of a container's own cgroup namespace (cgroup_namespaces(7)).
 */
export function whyUncovered(cgroupDir: string, roots: readonly string[] = cgroupMountPoints()): string | undefined {
  if (!hasProcess(cgroupDir, () => true)) return 'no process is below it';
  const own = ancestors();
  if (!roots.includes(cgroupDir) || hasProcess(cgroupDir, (pid) => !own.has(pid))) return undefined;
  return "only this process is below it, as in a container that sees its own cgroups instead of its node's";
}

function hasProcess(dir: string, isWanted: (pid: string) => boolean): boolean {
  if (processesIn(dir).some(isWanted)) return true;
  const entries = unlessGone(() => readdirSync(dir, { withFileTypes: true })) ?? [];
  return entries.some((entry) => entry.isDirectory() && hasProcess(`${dir}/${entry.name}`, isWanted));
}

/** This process, its parent, and so on. */
function ancestors(): Set<string> {
  const found = new Set<string>();
  for (let pid = `${process.pid}`; pid !== '0' && pid !== ''; ) {
    found.add(pid);
    const status = unlessGone(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
    pid = /^PPid:\s*(\d+)$/m.exec(status)?.[1] ?? '';
  }
  return found;
}
