import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { checkedErrno } from '../ffi/ffi.ts';
import { libc } from '../ffi/libc.ts';

/** BPF_FS_MAGIC and CGROUP2_SUPER_MAGIC of <linux/magic.h>. */
const BPF_FS_MAGIC = 0xcafe4a11;
const CGROUP2_SUPER_MAGIC = 0x63677270;

/** The first column of /proc/mounts for a file system that weir mounted itself, so that cleanup knows it. */
const OUR_MOUNT = 'weir';

/** Where a bpffs usually is. The folder is sysfs's own, so nothing can be made in it before. */
const USUAL_PLACE = '/sys/fs/bpf';

/** What every bpffs has from the beginning. */
const OWN_FILES: readonly string[] = ['maps.debug', 'progs.debug'];

/** One line of /proc/mounts. */
export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly type: string;
}

/** Mounts of a text in the format of /proc/mounts, in its order. */
export function parseMounts(text: string): Mount[] {
  return text
    .split('\n')
    .map((line) => line.split(' ').map(unescapeOctal))
    .flatMap(([source, target, type]) => (source && target && type ? [{ source, target, type }] : []));
}

/** proc_pid_mounts(5): blanks, tabs, line ends and backslashes are three octal digits. */
const unescapeOctal = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

const currentMounts = (): Mount[] => parseMounts(readFileSync('/proc/self/mounts', 'utf8'));

/** Where cgroup v2 is mounted, also beside cgroup v1 (hybrid); undefined where it is not. */
export const findCgroupRoot = (mounts: readonly Mount[] = currentMounts()): string | undefined =>
  mounts.find((mount) => mount.type === 'cgroup2')?.target;

/** Every place where cgroup v2 is mounted. */
export const cgroupMountPoints = (mounts: readonly Mount[] = currentMounts()): string[] =>
  mounts.filter((mount) => mount.type === 'cgroup2').map(({ target }) => target);

/** Where the cgroup hierarchies of both versions are mounted. */
export const findCgroupHierarchies = (mounts: readonly Mount[] = currentMounts()): string[] =>
  mounts.filter(({ type }) => type === 'cgroup' || type === 'cgroup2').map(({ target }) => target);

/** Whether a folder lies in the cgroup v2 hierarchy. */
export const isCgroup2 = (dir: string): boolean => magicOf(dir) === CGROUP2_SUPER_MAGIC;

/** Whether a folder lies on a bpffs; one that does not exist does not. */
export const isBpffs = (dir: string): boolean => magicOf(dir) === BPF_FS_MAGIC;

const magicOf = (path: string): number | undefined => {
  try {
    return statfsSync(path).type >>> 0;
  } catch {
    return undefined;
  }
};

/**
 * What to do on the node where a bpffs would have to be mounted for `dir` and would be gone with this process, and with it whatever serves:
 * in a container that does not have that of its node. Undefined elsewhere.
 */
export function bpffsRemedy(dir: string): string | undefined {
  if (isBpffs(nearestFolder(dir)) || !isContainer()) return undefined;
  const place = isBelowUsualPlace(dir) ? USUAL_PLACE : dir;
  return `mount -t bpf bpf ${place} on the node, and give the container that folder`;
}

/** The folder itself, or the lowest above it that exists. */
export const nearestFolder = (dir: string): string => (existsSync(dir) ? dir : nearestFolder(dirname(dir)));

/** Whether this process has other mounts than the first of its PID namespace, or is that itself. */
function isContainer(): boolean {
  if (process.pid === 1) return true;
  try {
    return readlinkSync('/proc/1/ns/mnt') !== readlinkSync('/proc/self/ns/mnt');
  } catch {
    return false;
  }
}

/** Makes `dir` a folder on a bpffs: mounts one there, or at /sys/fs/bpf where `dir` is below that, unless it is on one already. */
export function mountBpffs(dir: string): void {
  if (isBelowUsualPlace(dir) && !isBpffs(USUAL_PLACE)) mountAt(USUAL_PLACE);
  makeFolder(dir);
  if (!isBpffs(dir)) mountAt(dir);
}

const mountAt = (dir: string): number => checkedErrno(libc.mount(OUR_MOUNT, dir, 'bpf', 0, 'mode=0700'), `mount a bpffs at ${dir}`);

const isBelowUsualPlace = (dir: string): boolean => dir.startsWith(`${USUAL_PLACE}/`);

function makeFolder(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new Error(`Cannot make folder ${dir}: it should lie on a bpffs or where one can be mounted`, { cause });
  }
}

/** Unmounts the bpffs of which `dir` is or was a folder, if `mountBpffs` mounted it and it has no other pins; returns its path. */
export function unmountEmptyBpffs(dir: string): string | undefined {
  const place = isBelowUsualPlace(dir) ? USUAL_PLACE : dir;
  if (!existsSync(place)) return undefined;
  const isInUse = readdirSync(place).some((name) => !OWN_FILES.includes(name));
  return !isInUse && unmountBpffs(place) ? place : undefined;
}

/** Unmounts the bpffs at `dir` if `mountBpffs` mounted it exactly there; returns whether it did. */
export function unmountBpffs(dir: string): boolean {
  const target = realpathSync(dir);
  const top = currentMounts().findLast((mount) => mount.target === target);
  if (top?.type !== 'bpf' || top.source !== OUR_MOUNT) return false;
  checkedErrno(libc.umount2(target, 0), `unmount the bpffs at ${dir}`);
  return true;
}
