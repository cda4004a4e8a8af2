import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { TABLES, type TableName } from '#abi/generated.ts';
import { checked, checkedPointer, errnoText } from '../ffi/ffi.ts';
import { closing } from '../ffi/libc.ts';
import { pin } from './bpf-link.ts';
import { type BpfMap, type BpfObject, type BpfProgram, collectingWarnings, libbpf } from './libbpf.ts';
import { BPF_F_MMAPABLE, BPF_MAP_TYPE_ARRAY } from './map-file.ts';
import { assertLayout, tableNames } from './maps.ts';
import type { TableSizes } from './table-sizes.ts';
import { explainLoadFailure } from './verifier-log.ts';

/** A program in the kernel. The descriptor belongs to its object. */
export interface LoadedProgram {
  readonly name: string;
  readonly fd: number;
  /** BPF_* attach type of its section. */
  readonly attachType: number;
}

export interface LoadedObject {
  readonly programs: readonly LoadedProgram[];
  /** Descriptor of a map that only this object uses. */
  ownMap(name: string): number;
  close(): void;
}

/** Folder of pinned maps that objects share: loading uses existing pins, makes and pins missing maps. Without a folder nothing is pinned. */
export interface Placement {
  readonly folder: string | undefined;
  readonly sizes: TableSizes;
}

/** Opens and loads an object file; throws the verifier's message if the kernel refuses it. */
export function loadObject(path: string, { folder, sizes }: Placement): LoadedObject {
  const object = openObject(path);
  try {
    const maps = mapsOf(object);
    for (const map of maps) shape(map, sizes);
    const shared = maps.filter(({ name }) => isTable(name) || name === SOCKET_STATE);
    if (folder !== undefined) for (const map of shared) reuse(map, folder);
    load(object, basename(path));
    if (folder !== undefined) for (const map of shared) pinNew(map, folder);
    return { programs: programsOf(object), ownMap: (name) => fdOf(maps, name), close: () => libbpf.bpf_object__close(object) };
  } catch (error) {
    libbpf.bpf_object__close(object);
    throw error;
  }
}

function openObject(path: string): BpfObject {
  if (!existsSync(path)) throw new Error(`Cannot load ${path}: no such file; \`make -C bpf\` builds it`);
  const { result } = collectingWarnings(() => libbpf.bpf_object__open_file(path, null));
  return checkedPointer(result, `open ${path}`);
}

function load(object: BpfObject, name: string): void {
  const { result, warnings } = collectingWarnings(() => libbpf.bpf_object__load(object));
  if (result < 0) throw new Error(explainLoadFailure(name, errnoText(-result), warnings));
}

interface NamedMap {
  readonly name: string;
  readonly pointer: BpfMap;
}

/** The one map of bpf/abi/maps.h that is not a table: it has no keys to list. */
const SOCKET_STATE = 'socket_state';

/** Maps that the source declares, without the compiler's own (.rodata and the like). */
function mapsOf(object: BpfObject): NamedMap[] {
  const maps: NamedMap[] = [];
  for (let map = libbpf.bpf_object__next_map(object, null); map !== null; map = libbpf.bpf_object__next_map(object, map)) {
    if (!libbpf.bpf_map__is_internal(map)) maps.push({ name: libbpf.bpf_map__name(map), pointer: map });
  }
  return maps;
}

function fdOf(maps: readonly NamedMap[], name: string): number {
  const found = maps.find((map) => map.name === name);
  if (found === undefined) throw new Error(`Cannot find map "${name}": the object has ${maps.map((each) => each.name).join(', ')}`);
  return libbpf.bpf_map__fd(found.pointer);
}

function programsOf(object: BpfObject): LoadedProgram[] {
  const programs: LoadedProgram[] = [];
  const next = (after: BpfProgram | null) => libbpf.bpf_object__next_program(object, after);
  for (let program = next(null); program !== null; program = next(program)) {
    const attachType = libbpf.bpf_program__expected_attach_type(program);
    programs.push({ name: libbpf.bpf_program__name(program), fd: libbpf.bpf_program__fd(program), attachType });
  }
  return programs;
}

const isTable = (name: string): name is TableName => (tableNames as readonly string[]).includes(name);

function shape({ name, pointer }: NamedMap, sizes: TableSizes): void {
  if (!isTable(name)) return;
  checked(libbpf.bpf_map__set_max_entries(pointer, sizes[name]), `set the size of map "${name}"`);
  if (TABLES[name].type !== BPF_MAP_TYPE_ARRAY) return;
  const flags = libbpf.bpf_map__map_flags(pointer) | BPF_F_MMAPABLE;
  checked(libbpf.bpf_map__set_map_flags(pointer, flags), `make map "${name}" mappable`);
}

function reuse({ name, pointer }: NamedMap, folder: string): void {
  const path = `${folder}/${name}`;
  if (!existsSync(path)) return;
  closing(checked(libbpf.bpf_obj_get(path), `open map ${path}`), (fd) => {
    if (isTable(name)) assertLayout(fd, name);
    checked(libbpf.bpf_map__reuse_fd(pointer, fd), `take over map ${path}`);
  });
}

function pinNew({ name, pointer }: NamedMap, folder: string): void {
  const path = `${folder}/${name}`;
  if (!existsSync(path)) pin(libbpf.bpf_map__fd(pointer), path);
}
