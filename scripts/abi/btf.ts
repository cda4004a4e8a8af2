/*
 * btf.ts: reads the type information (BTF) that clang puts into an object file.
 * Formats: ELF-64 (System V ABI), BTF (Documentation/bpf/btf.rst of the kernel). Little-endian only, as all our machines are.
 */

export interface BtfMember {
  readonly name: string;
  /** Index of its type. */
  readonly type: number;
  readonly bitOffset: number;
  /** Above 0 only for bit fields. */
  readonly bitSize: number;
}

export interface BtfConstant {
  readonly name: string;
  readonly value: number;
}

export interface BtfStruct {
  readonly kind: 'struct' | 'union';
  readonly name: string;
  readonly size: number;
  readonly members: readonly BtfMember[];
}

/** One type. Numbers called `type` or `element` are indexes of other types; 0 is void. */
export type BtfType =
  | { readonly kind: 'void' }
  | { readonly kind: 'int'; readonly name: string; readonly size: number }
  | { readonly kind: 'pointer'; readonly type: number }
  | { readonly kind: 'array'; readonly element: number; readonly length: number }
  | BtfStruct
  | { readonly kind: 'enum'; readonly name: string; readonly size: number; readonly constants: readonly BtfConstant[] }
  | { readonly kind: 'typedef' | 'qualifier' | 'variable'; readonly name: string; readonly type: number }
  | { readonly kind: 'section'; readonly name: string; readonly variables: readonly number[] }
  | { readonly kind: 'other'; readonly name: string };

/** A map defined with libbpf's `__uint` and `__type`. */
export interface BtfMap {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** 0 where the map states none (socket storage). */
  readonly maxEntries: number;
  /** Index of the key's type. */
  readonly key: number;
  /** Index of the value's type. */
  readonly value: number;
}

const MAGIC = 0xeb9f;
const ELF_MAGIC = 0x464c457f;

/** Every type of an object file; the place in the list is the index that others refer to. Throws when there is no BTF. */
export function readBtf(object: Uint8Array): readonly BtfType[] {
  const section = findSection(object, '.BTF');
  const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
  if (view.getUint16(0, true) !== MAGIC) throw new Error('Cannot read BTF: wrong magic number, or big-endian');
  const headerLength = view.getUint32(4, true);
  const typesAt = headerLength + view.getUint32(8, true);
  const typesEnd = typesAt + view.getUint32(12, true);
  const stringsAt = headerLength + view.getUint32(16, true);
  const cursor = new Cursor(view, typesAt, (offset) => textAt(section, stringsAt + offset));
  const types: BtfType[] = [{ kind: 'void' }];
  while (cursor.at < typesEnd) types.push(readType(cursor));
  return types;
}

/** The maps of section `.maps`, in the order of the file. */
export function readMaps(types: readonly BtfType[]): readonly BtfMap[] {
  const maps: BtfMap[] = [];
  for (const section of types) {
    if (section.kind !== 'section' || section.name !== '.maps') continue;
    for (const variable of section.variables) maps.push(readMap(types, variable));
  }
  return maps;
}

function readMap(types: readonly BtfType[], index: number): BtfMap {
  const variable = types[index];
  const definition = variable?.kind === 'variable' ? types[variable.type] : undefined;
  if (variable?.kind !== 'variable' || definition?.kind !== 'struct')
    throw new Error(`Cannot read map: type ${index} is no variable of a struct`);
  const pointee = (name: string): number | undefined => {
    const member = definition.members.find((candidate) => candidate.name === name);
    const pointer = member === undefined ? undefined : types[member.type];
    return pointer?.kind === 'pointer' ? pointer.type : undefined;
  };
  /* __uint(name, n) is a pointer to an array of n ints. */
  const number = (name: string): number => {
    const array = types[pointee(name) ?? 0];
    return array?.kind === 'array' ? array.length : 0;
  };
  const [key, value] = [pointee('key'), pointee('value')];
  if (key === undefined || value === undefined)
    throw new Error(`Cannot read map "${variable.name}": it must state key and value by __type`);
  return { name: variable.name, type: number('type'), flags: number('map_flags'), maxEntries: number('max_entries'), key, value };
}

class Cursor {
  at: number;
  readonly text: (offset: number) => string;
  private readonly view: DataView;

  constructor(view: DataView, at: number, text: (offset: number) => string) {
    this.view = view;
    this.at = at;
    this.text = text;
  }

  u32(): number {
    this.at += 4;
    return this.view.getUint32(this.at - 4, true);
  }

  i32(): number {
    return this.u32() | 0;
  }

  times<T>(count: number, read: () => T): T[] {
    return Array.from({ length: count }, read);
  }
}

/* The numbers are BTF_KIND_*. A type is three words, and for some kinds more. */
function readType(cursor: Cursor): BtfType {
  const name = cursor.text(cursor.u32());
  const bits = cursor.u32();
  const sizeOrType = cursor.u32();
  const kind = (bits >>> 24) & 0x1f;
  const count = bits & 0xffff;
  const flag = bits >>> 31 === 1;
  switch (kind) {
    case 1:
      cursor.u32();
      return { kind: 'int', name, size: sizeOrType };
    case 2:
      return { kind: 'pointer', type: sizeOrType };
    case 3: {
      const [element = 0, , length = 0] = cursor.times(3, () => cursor.u32());
      return { kind: 'array', element, length };
    }
    case 4:
    case 5:
      return {
        kind: kind === 4 ? 'struct' : 'union',
        name,
        size: sizeOrType,
        members: cursor.times(count, () => readMember(cursor, flag)),
      };
    case 6:
      return { kind: 'enum', name, size: sizeOrType, constants: cursor.times(count, () => readConstant(cursor, flag)) };
    case 8:
      return { kind: 'typedef', name, type: sizeOrType };
    case 9:
    case 10:
    case 11:
      return { kind: 'qualifier', name, type: sizeOrType };
    case 14:
      cursor.u32();
      return { kind: 'variable', name, type: sizeOrType };
    case 15:
      return { kind: 'section', name, variables: cursor.times(count, () => readVariable(cursor)) };
    default:
      cursor.times(extraWords(kind, count), () => cursor.u32());
      return { kind: 'other', name };
  }
}

/* Forward declarations, functions, floats, tags and 64-bit enums are stepped over. */
function extraWords(kind: number, count: number): number {
  if (kind === 13) return 2 * count;
  if (kind === 17) return 1;
  if (kind === 19) return 3 * count;
  if (kind === 7 || kind === 12 || kind === 16 || kind === 18) return 0;
  throw new Error(`Cannot read BTF: kind ${kind} is unknown`);
}

function readMember(cursor: Cursor, hasBitSizes: boolean): BtfMember {
  const name = cursor.text(cursor.u32());
  const type = cursor.u32();
  const offset = cursor.u32();
  if (!hasBitSizes) return { name, type, bitOffset: offset, bitSize: 0 };
  return { name, type, bitOffset: offset & 0xffffff, bitSize: offset >>> 24 };
}

function readConstant(cursor: Cursor, isSigned: boolean): BtfConstant {
  const name = cursor.text(cursor.u32());
  return { name, value: isSigned ? cursor.i32() : cursor.u32() };
}

/* Offset and size of the variable follow its type; in an unlinked object the offsets are 0. */
function readVariable(cursor: Cursor): number {
  const [type = 0] = cursor.times(3, () => cursor.u32());
  return type;
}

function findSection(object: Uint8Array, name: string): Uint8Array {
  const view = new DataView(object.buffer, object.byteOffset, object.byteLength);
  if (view.byteLength < 64 || view.getUint32(0, true) !== ELF_MAGIC) throw new Error('Cannot read object file: it is not ELF');
  const [tableAt, entrySize, count] = [Number(view.getBigUint64(40, true)), view.getUint16(58, true), view.getUint16(60, true)];
  const header = (index: number) => {
    const at = tableAt + index * entrySize;
    const start = Number(view.getBigUint64(at + 24, true));
    return { nameAt: view.getUint32(at, true), start, end: start + Number(view.getBigUint64(at + 32, true)) };
  };
  const names = header(view.getUint16(62, true));
  for (let index = 0; index < count; index++) {
    const { nameAt, start, end } = header(index);
    if (textAt(object, names.start + nameAt) === name) return object.subarray(start, end);
  }
  throw new Error(`Cannot read object file: it has no section "${name}"; was it compiled with -g?`);
}

const textAt = (bytes: Uint8Array, at: number): string => new TextDecoder().decode(bytes.subarray(at, bytes.indexOf(0, at)));
