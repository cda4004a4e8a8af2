import { mkdirSync } from 'node:fs';
import { KernelError } from '../ffi/ffi.ts';
import { listLinks } from '../netlink/links.ts';
import { attachLink, detachLink, LINK_TCX, pinnedLink } from './bpf-link.ts';
import { linksFolder, namesIn } from './state-folder.ts';
import { attachFilter, detachFilter, hasFilter } from './tc-filter.ts';

/** `enum bpf_attach_type`, since Linux 6.6. */
export const BPF_TCX_INGRESS = 46;
/** Ahead of present programs: a program that returns TCX_PASS ends the chain, and weir's, which passes packets on, would miss them. */
const BPF_F_BEFORE = 8;

const PREFIX = 'tc-';

/** Where the link of a device is pinned. */
export const linkPath = (stateDir: string, ifindex: number): string => `${linksFolder(stateDir)}/${PREFIX}${ifindex}`;

/**
 * Runs a program on packets that enter a device of this network namespace: by a pinned tcx link if the kernel has them, else by a
 * clsact filter. A second call replaces the program.
 */
export function attachDevice(stateDir: string, ifindex: number, program: number): void {
  mkdirSync(linksFolder(stateDir), { recursive: true });
  if (!attachTcx(stateDir, ifindex, program)) attachFilter(ifindex, program);
}

function attachTcx(stateDir: string, ifindex: number, program: number): boolean {
  const path = linkPath(stateDir, ifindex);
  const isSame = (link: { type: number; target: bigint }) => link.type === LINK_TCX && link.target === BigInt(ifindex);
  try {
    attachLink({ path, program, target: ifindex, attachType: BPF_TCX_INGRESS, flags: BPF_F_BEFORE, isSame });
    return true;
  } catch (error) {
    // Kernels before 6.6 do not know the attach type.
    if (error instanceof KernelError && error.code === 'EINVAL') return false;
    throw error;
  }
}

/** Detaches the program from a device, also from a removed one. Returns whether it was attached. */
export function detachDevice(stateDir: string, ifindex: number): boolean {
  const path = linkPath(stateDir, ifindex);
  if (pinnedLink(path) === undefined) return detachFilter(ifindex);
  detachLink(path);
  return true;
}

/** Whether weir's program is attached to a device of this network namespace. */
export const hasProgram = (stateDir: string, ifindex: number): boolean =>
  pinnedLink(linkPath(stateDir, ifindex))?.target === BigInt(ifindex) || hasFilter(ifindex);

/** Devices of this network namespace with a program of weir. Also removes links of removed devices. */
export function attachedDevices(stateDir: string): number[] {
  const linked = pinnedDevices(stateDir).filter((ifindex) => isAlive(stateDir, ifindex));
  const filtered = listLinks()
    .map((link) => link.ifindex)
    .filter((ifindex) => !linked.includes(ifindex) && hasFilter(ifindex));
  return [...linked, ...filtered].sort((a, b) => a - b);
}

const pinnedDevices = (stateDir: string): number[] =>
  namesIn(linksFolder(stateDir))
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => Number(name.slice(PREFIX.length)));

function isAlive(stateDir: string, ifindex: number): boolean {
  const path = linkPath(stateDir, ifindex);
  if (pinnedLink(path)?.target === BigInt(ifindex)) return true;
  detachLink(path);
  return false;
}
