/** Type information (BTF) that clang puts into an object file, as `bpftool btf dump` prints it. */
import { execFileSync } from 'node:child_process';

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
  /** 0 if the map states none (socket storage). */
  readonly maxEntries: number;
  /** Index of the key's type. */
  readonly key: number;
  /** Index of the value's type. */
  readonly value: number;
}

/** A type in the JSON output of bpftool; each kind has some of these fields. */
interface PrintedType {
  readonly kind: string;
  readonly name: string;
  readonly size: number;
  readonly type_id: number;
  readonly nr_elems: number;
  readonly members: readonly { name: string; type_id: number; bits_offset: number; bitfield_size?: number }[];
  readonly values: readonly { name: string; val: number }[];
  readonly vars: readonly { type_id: number }[];
}

/** Every type of an object file; a type's place in the list is its index. Throws what bpftool prints if there is no BTF. */
export function readBtf(objectPath: string): readonly BtfType[] {
  const json = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', objectPath], { encoding: 'utf8', maxBuffer: 64 << 20 });
  const { types }: { types: readonly PrintedType[] } = JSON.parse(json);
  return [{ kind: 'void' }, ...types.map(readType)];
}

function readType({ kind, name: printed, size, type_id: type, nr_elems: length, members, values, vars }: PrintedType): BtfType {
  const name = nameOf(printed);
  switch (kind) {
    case 'INT':
      return { kind: 'int', name, size };
    case 'PTR':
      return { kind: 'pointer', type };
    case 'ARRAY':
      return { kind: 'array', element: type, length };
    case 'STRUCT':
    case 'UNION':
      return { kind: kind === 'STRUCT' ? 'struct' : 'union', name, size, members: members.map(readMember) };
    case 'ENUM':
      return { kind: 'enum', name, size, constants: values.map(({ name: constant, val }) => ({ name: constant, value: val })) };
    case 'TYPEDEF':
      return { kind: 'typedef', name, type };
    case 'CONST':
    case 'VOLATILE':
    case 'RESTRICT':
      return { kind: 'qualifier', name, type };
    case 'VAR':
      return { kind: 'variable', name, type };
    case 'DATASEC':
      return { kind: 'section', name, variables: vars.map((variable) => variable.type_id) };
    default:
      return { kind: 'other', name };
  }
}

/** bpftool prints a name even if there is none. */
const nameOf = (printed: string): string => (printed === '(anon)' ? '' : printed);

const readMember = ({ name, type_id, bits_offset, bitfield_size = 0 }: PrintedType['members'][number]): BtfMember => ({
  name: nameOf(name),
  type: type_id,
  bitOffset: bits_offset,
  bitSize: bitfield_size,
});

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
    throw new Error(`Cannot read map: type ${index} is not a variable of a struct`);
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
