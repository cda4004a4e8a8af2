import { existsSync, rmdirSync } from 'node:fs';
import { listLinks } from '../netlink/links.ts';
import { isBpffs, unmountEmptyBpffs } from '../node/mounts.ts';
import { detachLink, LINK_TCX, pinnedLink } from './bpf-link.ts';
import { removeFolders } from './datapath.ts';
import { linksFolder, namesIn } from './state-folder.ts';
import { detachFilter } from './tc-filter.ts';

/**
 * Detaches every program and removes the tables of a state folder, and weir's filters on devices of this network namespace. Returns a line
 * for each removal. Conntrack entries and open sockets stay.
 */
export function removeState(stateDir: string): string[] {
  const lines = removeFilters();
  if (!isBpffs(stateDir)) return lines;
  lines.push(...removeLinks(stateDir));
  lines.push(...removeFolders(stateDir, () => true).map((folder) => `Removed tables ${folder}`));
  return [...lines, ...removeFolder(stateDir)];
}

const removeFilters = (): string[] =>
  listLinks()
    .filter((link) => detachFilter(link.ifindex))
    .map((link) => `Detached the packet program from device ${link.name} (clsact)`);

function removeLinks(stateDir: string): string[] {
  const folder = linksFolder(stateDir);
  if (!existsSync(folder)) return [];
  const devices = new Map(listLinks().map((link) => [BigInt(link.ifindex), link.name]));
  const lines = namesIn(folder).map((name) => {
    const link = pinnedLink(`${folder}/${name}`);
    detachLink(`${folder}/${name}`);
    if (link?.type !== LINK_TCX) return `Detached socket program ${name}`;
    return link.target === 0n
      ? `Removed ${name}, whose device is gone`
      : `Detached the packet program from device ${devices.get(link.target) ?? link.target}`;
  });
  rmdirSync(folder);
  return lines;
}

/** The folder may be a mount point, a folder on a mount that weir made, or a folder on another mount. */
function removeFolder(stateDir: string): string[] {
  const isRemoved = removeIfEmpty(stateDir);
  const place = unmountEmptyBpffs(stateDir);
  const lines = place === undefined ? [] : [`Unmounted the bpffs at ${place}`];
  return isRemoved || removeIfEmpty(stateDir) ? [`Removed folder ${stateDir}`, ...lines] : lines;
}

function removeIfEmpty(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch {
    return false;
  }
}
