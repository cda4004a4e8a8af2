import { statSync } from 'node:fs';
import { LAYOUT_DIGEST } from '#abi/generated.ts';
import { CStruct } from '../ffi/ffi.ts';
import { closing } from '../ffi/libc.ts';
import { describeLink } from './bpf-link.ts';
import { libbpf, objectInfo } from './libbpf.ts';
import { openPinnedTables, type PinnedTables, pinnedMapId } from './maps.ts';
import { linksFolder, mapFolders, namesIn } from './state-folder.ts';
import { isOfOurLayout } from './table-sizes.ts';

/** A program uses fewer maps than this. */
const MOST_MAPS = 64;

/**
 * Tables that the attached programs use, without loading a program; undefined if there are none. Throws if they have
 * another layout than this program's.
 */
export function readTables(stateDir: string): PinnedTables | undefined {
  const folder = folderInUse(stateDir);
  if (folder === undefined) return undefined;
  if (!isOfOurLayout(folder))
    throw new Error(`Cannot read ${stateDir}/${folder}: its layout should be ${LAYOUT_DIGEST}; another version of weir wrote it`);
  return openPinnedTables(`${stateDir}/${folder}`);
}

/** The folder whose maps the attached programs use; if none is attached, the newest. */
export function folderInUse(stateDir: string): string | undefined {
  const folders = mapFolders(stateDir);
  if (folders.length < 2) return folders[0];
  const used = mapsOfLinks(linksFolder(stateDir));
  return folders.find((name) => isUsed(`${stateDir}/${name}`, used)) ?? newest(stateDir, folders);
}

/** A table that no two folders share, see flow-state.ts. */
const isUsed = (folder: string, used: ReadonlySet<number>): boolean => used.has(pinnedMapId(`${folder}/frontends`) ?? 0);

const newest = (stateDir: string, names: readonly string[]): string | undefined => {
  const changed = (name: string) => statSync(`${stateDir}/${name}`).mtimeMs;
  return names.toSorted((a, b) => changed(b) - changed(a))[0];
};

/** Ids of the maps that the programs behind a folder's pinned links use. */
function mapsOfLinks(folder: string): Set<number> {
  const ids = namesIn(folder).flatMap((name) => {
    const fd = libbpf.bpf_obj_get(`${folder}/${name}`);
    return fd < 0 ? [] : mapsOfProgram(closing(fd, describeLink).programId);
  });
  return new Set(ids);
}

/** `struct bpf_prog_info`: nr_map_ids at 52, map_ids at 56. */
function mapsOfProgram(id: number): number[] {
  const fd = libbpf.bpf_prog_get_fd_by_id(id);
  if (fd < 0) return [];
  const ids = Buffer.alloc(4 * MOST_MAPS);
  const wish = new CStruct(64).u32(52, MOST_MAPS).pointer(56, ids);
  const info = closing(fd, () => objectInfo(fd, wish, `program ${id}`));
  return Array.from({ length: Math.min(MOST_MAPS, info.readUInt32LE(52)) }, (_, i) => ids.readUInt32LE(4 * i));
}
