import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createTurns } from './turns.ts';

/** Files of the network namespaces that processes below a cgroup v2 folder are in, one for each. They may be gone when they are opened. */
export async function namespacesBelow(cgroupDir: string, signal: AbortSignal): Promise<readonly string[]> {
  const found = new Map<string, string>();
  const takeTurn = createTurns(signal);
  for (const folders = [cgroupDir]; folders.length > 0; await takeTurn()) {
    const dir = folders.pop() ?? '';
    for (const path of processesIn(dir).map((pid) => `/proc/${pid}/ns/net`)) {
      const namespace = unlessGone(() => readlinkSync(path));
      if (namespace !== undefined && !found.has(namespace)) found.set(namespace, path);
    }
    const entries = unlessGone(() => readdirSync(dir, { withFileTypes: true })) ?? [];
    folders.push(...entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${dir}/${name}`));
  }
  return [...found.values()];
}

/** Process 0 is one of another PID namespace. A threaded cgroup does not say (cgroups(7)): its processes are in the folder above. */
const processesIn = (dir: string): string[] =>
  (unlessGone(() => readFileSync(`${dir}/cgroup.procs`, 'utf8')) ?? '').split('\n').filter((pid) => pid !== '' && pid !== '0');

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
