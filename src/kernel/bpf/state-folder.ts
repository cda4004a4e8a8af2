import { closeSync, openSync, readdirSync } from 'node:fs';
import koffi from 'koffi';
import { KernelError } from '../ffi/ffi.ts';
import { libc } from '../ffi/libc.ts';
import { mountBpffs } from '../node/mounts.ts';

/** LOCK_EX | LOCK_NB of <sys/file.h>. */
const LOCK_AT_ONCE = 6;
const EWOULDBLOCK = 11;

/** Beside it lie folders with pinned maps, see `folderName`. */
const LINKS = 'links';

/** Folder of a state folder's pinned links. */
export const linksFolder = (stateDir: string): string => `${stateDir}/${LINKS}`;

/** Names of the folders with maps, sorted; none if the state folder is missing. */
export const mapFolders = (stateDir: string): string[] => namesIn(stateDir).filter((name) => /^[0-9a-f]+-[0-9a-f]{8}$/.test(name));

/** Names of a folder's entries, sorted; none if it is missing. */
export function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Locks a state folder for this process and mounts it if needed: two agents would undo each other's work, even from two network namespaces. The
 * lock ends with the process (flock(2)). Returns undefined if another process holds it.
 */
export function lockStateFolder(stateDir: string): { close(): void } | undefined {
  mountBpffs(stateDir);
  const fd = openSync(stateDir, 'r');
  if (libc.flock(fd, LOCK_AT_ONCE) === 0) return { close: () => closeSync(fd) };
  const errno = koffi.errno();
  closeSync(fd);
  if (errno === EWOULDBLOCK) return undefined;
  throw new KernelError(`lock ${stateDir}`, errno);
}
