import { type BtfMap, type BtfMember, type BtfStruct, type BtfType, readMaps } from './btf.ts';
import type { Header } from './header.ts';

/** How a field is encoded: a whole number of a width, a port in network byte order, an address, text, or a struct by its name. */
export type FieldType = 'u8' | 'u32' | 'u64' | 'be16' | 'address' | 'text' | `struct ${string}`;

export interface Field {
  readonly name: string;
  readonly offset: number;
  /** Bytes, of all elements together. */
  readonly size: number;
  readonly type: FieldType;
  /** Elements of an array of structs; 0 = no array. */
  readonly count: number;
}

export interface StructLayout {
  readonly size: number;
  /** Fields that carry something: padding is left out. */
  readonly fields: readonly Field[];
}

export interface MapLayout {
  readonly type: number;
  readonly flags: number;
  readonly maxEntries: number;
  /** Names of structs; `int` where the kernel wants no more. */
  readonly key: string;
  readonly value: string;
}

/** The contract between datapath and control plane, as abi.json states it. */
export interface Layout {
  readonly structs: Readonly<Record<string, StructLayout>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly maps: Readonly<Record<string, MapLayout>>;
}

/** The struct that becomes an `Address`; the only one that may hold words in network byte order. */
export const ADDRESS_STRUCT = 'address';

/** Longest name that the kernel keeps for a map. */
const MAP_NAME_BYTES = 15;

/** Padding ends where a word of 4 bytes may begin. */
const WORD = 4;

const INTEGERS: Readonly<Record<string, FieldType>> = { __u8: 'u8', __u32: 'u32', __u64: 'u64', __be16: 'be16' };

/** Layout of everything that the header declares, from BTF. Throws, with one line for each thing that the contract forbids. */
export function readLayout(types: readonly BtfType[], header: Header): Layout {
  const errors: string[] = [];
  const structs = header.structs.map((name) => [name, structLayout(types, header, name, errors)] as const);
  const enums = header.enums.map((name) => [name, constants(types, header, name, errors)] as const);
  const maps = readMaps(types).map((map) => [map.name, mapLayout(types, header, map, errors)] as const);
  if (errors.length > 0) throw new Error(`Cannot generate codecs:\n${errors.map((error) => `  ${error}`).join('\n')}`);
  return { structs: Object.fromEntries(structs), enums: Object.fromEntries(enums), maps: Object.fromEntries(maps) };
}

function structLayout(types: readonly BtfType[], header: Header, name: string, errors: string[]): StructLayout {
  const struct = types.find((type): type is BtfStruct => type.kind === 'struct' && type.name === name);
  if (struct === undefined) {
    errors.push(`Struct "${name}" is declared but no map uses it`);
    return { size: 0, fields: [] };
  }
  if (!header.docs.has(name)) errors.push(`Struct "${name}" has no docstring`);
  errors.push(...paddingErrors(types, struct));
  const fields: Field[] = [];
  for (const member of struct.members) {
    if (!header.docs.has(`${name}.${member.name}`)) errors.push(`Field "${name}.${member.name}" has no docstring`);
    if (isReserved(member)) continue;
    const field = fieldOf(types, member, name === ADDRESS_STRUCT);
    if (typeof field === 'string') errors.push(`Field "${name}.${member.name}" ${field}`);
    else fields.push(field);
  }
  return { size: struct.size, fields };
}

function constants(types: readonly BtfType[], header: Header, name: string, errors: string[]): Readonly<Record<string, number>> {
  const found = types.find((type) => type.kind === 'enum' && type.name === name);
  if (found?.kind !== 'enum') {
    errors.push(`Enum "${name}" is declared but bpf/abi/layout.bpf.c does not use it`);
    return {};
  }
  if (!header.docs.has(name)) errors.push(`Enum "${name}" has no docstring`);
  for (const constant of found.constants) {
    if (!header.docs.has(`${name}.${constant.name}`)) errors.push(`Constant "${constant.name}" has no docstring`);
  }
  return Object.fromEntries(found.constants.map(({ name, value }) => [name, value]));
}

/** Struct whose codec stands for the plain __u32 that arrays have as their key. */
const ARRAY_KEY = 'index';

function mapLayout(types: readonly BtfType[], header: Header, map: BtfMap, errors: string[]): MapLayout {
  if (!header.docs.has(`map ${map.name}`)) errors.push(`Map "${map.name}" has no docstring`);
  if (map.name.length > MAP_NAME_BYTES)
    errors.push(`Map "${map.name}" has a name of ${map.name.length} bytes, at most ${MAP_NAME_BYTES} are kept`);
  const nameOf = (index: number): string => {
    const type = types[index];
    if (type?.kind === 'struct' && header.structs.includes(type.name)) return type.name;
    if (type?.kind === 'int' && type.name === 'int') return 'int';
    errors.push(`Map "${map.name}" has a key or value that is not a documented struct`);
    return '';
  };
  const key = types[map.key];
  const isPlainKey = key?.kind === 'typedef' && key.name === '__u32';
  return {
    type: map.type,
    flags: map.flags,
    maxEntries: map.maxEntries,
    key: isPlainKey ? ARRAY_KEY : nameOf(map.key),
    value: nameOf(map.value),
  };
}

/** What the field is, or why it may not be. */
function fieldOf(types: readonly BtfType[], member: BtfMember, isAddressWord: boolean): Field | string {
  if (member.bitSize > 0) return 'is a bit field: give it bits of a flags word';
  const at = { name: member.name, offset: member.bitOffset / 8, size: sizeOf(types, member.type), count: 0 };
  const type = types[member.type];
  if (type?.kind === 'union') return 'is a union: give each meaning a struct of its own';
  if (isAddressWord) return isBigEndianWords(types, type) ? { ...at, type: ADDRESS_STRUCT } : 'must be __be32 word[4]';
  if (/(^|_)ports?$/.test(member.name) && named(type) !== '__be16') return 'is a port: it must be a __be16';
  if (/(^|_)(address|snat)\d?$/.test(member.name) && named(type) !== ADDRESS_STRUCT) return 'is an address: it must be a struct address';
  const integer = INTEGERS[named(type)];
  if (integer !== undefined) return { ...at, type: integer };
  if (type?.kind === 'struct' && type.name !== '') return { ...at, type: structType(type.name) };
  const element = type?.kind === 'array' ? types[type.element] : undefined;
  if (named(element) === 'char') return { ...at, type: 'text' };
  if (type?.kind === 'array' && element?.kind === 'struct') return { ...at, type: structType(element.name), count: type.length };
  return 'has a type without a codec: use __u8, __u32, __u64, __be16, char[], a struct or an array of structs';
}

const structType = (name: string): FieldType => (name === ADDRESS_STRUCT ? ADDRESS_STRUCT : `struct ${name}`);

/* Gaps that the compiler would fill with garbage, and `reserved` fields that fill no gap. */
function paddingErrors(types: readonly BtfType[], struct: BtfStruct): string[] {
  const errors: string[] = [];
  const alignment = alignmentOf(types, struct);
  let end = 0;
  for (const member of struct.members) {
    const start = Math.floor(member.bitOffset / 8);
    if (start > end)
      errors.push(`Struct "${struct.name}" has implicit padding of ${start - end} bytes before "${member.name}": spell it out as reserved`);
    end = start + sizeOf(types, member.type);
    if (isReserved(member)) errors.push(...reservedErrors(types, struct, member, alignment));
  }
  if (struct.size > end)
    errors.push(`Struct "${struct.name}" has implicit padding of ${struct.size - end} bytes at its end: spell it out as reserved`);
  return errors;
}

function reservedErrors(types: readonly BtfType[], struct: BtfStruct, member: BtfMember, alignment: number): string[] {
  const what = `Field "${struct.name}.${member.name}"`;
  const type = types[member.type];
  const scalar = type?.kind === 'array' ? named(types[type.element]) : named(type);
  const [start, size] = [member.bitOffset / 8, sizeOf(types, member.type)];
  const errors: string[] = [];
  if (member.name !== 'reserved') errors.push(`${what} must be called reserved: a struct has one gap, at its end or before wider fields`);
  if (!/^__u(8|16|32)$/.test(scalar)) errors.push(`${what} must be __u8, __u16, __u32 or an array of them`);
  if (size >= Math.max(alignment, WORD)) errors.push(`${what} has ${size} bytes, padding is less than ${Math.max(alignment, WORD)}`);
  if ((start + size) % WORD !== 0) errors.push(`${what} ends at byte ${start + size}: padding must be the last of its gap`);
  return errors;
}

const isReserved = (member: BtfMember): boolean => /reserved|padding|unused/.test(member.name);

const named = (type: BtfType | undefined): string => (type !== undefined && 'name' in type ? type.name : '');

const isBigEndianWords = (types: readonly BtfType[], type: BtfType | undefined): boolean =>
  type?.kind === 'array' && type.length === 4 && named(types[type.element]) === '__be32';

function sizeOf(types: readonly BtfType[], index: number): number {
  const type = types[index];
  if (type?.kind === 'array') return type.length * sizeOf(types, type.element);
  if (type?.kind === 'typedef' || type?.kind === 'qualifier') return sizeOf(types, type.type);
  if (type?.kind === 'pointer') return 8;
  return type !== undefined && 'size' in type ? type.size : 0;
}

function alignmentOf(types: readonly BtfType[], type: BtfType | undefined): number {
  if (type?.kind === 'array') return alignmentOf(types, types[type.element]);
  if (type?.kind === 'typedef' || type?.kind === 'qualifier') return alignmentOf(types, types[type.type]);
  if (type?.kind === 'struct' || type?.kind === 'union')
    return Math.max(1, ...type.members.map((member) => alignmentOf(types, types[member.type])));
  return type !== undefined && 'size' in type ? type.size : 8;
}
