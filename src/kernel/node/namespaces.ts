import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createPace } from '#timing/pace.ts';

/** What can be seen of the network namespaces that processes are in. */
interface Namespaces {
  /** One file for each. They may be gone when they are opened. */
  readonly files: readonly string[];
  /** Number of processes of which it cannot be seen. */
  readonly hidden: number;
}

/** Network namespaces of the processes below a cgroup v2 folder. Throws when `signal` is aborted. */
export async function namespacesBelow(cgroupDir: string, signal: AbortSignal): Promise<Namespaces> {
  const found = new Map<string, string>();
  let hidden = 0;
  const pace = createPace({ sliceMs: 3, signal });
  for (const folders = [cgroupDir]; folders.length > 0; await pace.step()) {
    const dir = folders.pop() ?? '';
    for (const pid of processesIn(dir)) {
      const path = `/proc/${pid}/ns/net`;
      const namespace = pid === '0' ? 'hidden' : unlessGone(() => unlessHidden(path));
      if (namespace === 'hidden') hidden++;
      else if (namespace !== undefined && !found.has(namespace)) found.set(namespace, path);
    }
    const entries = unlessGone(() => readdirSync(dir, { withFileTypes: true })) ?? [];
    folders.push(...entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${dir}/${name}`));
  }
  return { files: [...found.values()], hidden };
}

/** Process 0 is one of another PID namespace. A threaded cgroup does not say (cgroups(7)): its processes are in the folder above. */
export const processesIn = (dir: string): string[] =>
  (unlessGone(() => readFileSync(`${dir}/cgroup.procs`, 'utf8')) ?? '').split('\n').filter((pid) => pid !== '');

/** A process that has more capabilities than this one shows itself to CAP_SYS_PTRACE only (namespaces(7)). */
function unlessHidden(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return 'hidden';
    throw error;
  }
}

/** Undefined where the process or the folder is gone, or a threaded cgroup refuses. */
export function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ESRCH', 'ENODEV', 'EOPNOTSUPP', 'ENOTSUP'].includes(code)) return undefined;
    throw error;
  }
}
