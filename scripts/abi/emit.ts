import type { Header } from './header.ts';
import { ADDRESS_STRUCT, type Field, type Layout, type MapLayout, type StructLayout } from './layout.ts';

/** Maps that live in sockets (BPF_MAP_TYPE_SK_STORAGE): no table that user space reads or writes as a whole. */
const SOCKET_STORAGE = 24;

/** Names of enum `outcome` become OUTCOMES; the last one only counts them. */
const OUTCOME_ENUM = 'outcome';
const OUTCOME_PREFIX = 'OUTCOME_';
const OUTCOME_COUNT = 'OUTCOME_COUNT';

/** TypeScript of src/abi/generated.ts. `digest` names the layout. */
export function emit(layout: Layout, header: Header, digest: string): string {
  const doc = (name: string): string => header.docs.get(name) ?? '';
  const structs = Object.entries(layout.structs).filter(([name]) => name !== ADDRESS_STRUCT);
  const tables = Object.entries(layout.maps).filter(([, map]) => map.type !== SOCKET_STORAGE);
  const body = [
    ...structs.map(([name, struct]) => emitStruct(name, struct, doc)),
    ...Object.entries(layout.enums).map(([name, constants]) => emitEnum(name, constants, doc)),
    emitOutcomes(layout.enums[OUTCOME_ENUM] ?? {}),
    emitTables(tables, doc),
    `/** Name of this layout: other structs, enums or maps give another one. */\nexport const LAYOUT_DIGEST: string = '${digest}';\n`,
  ].join('\n');
  return `${emitImports(body)}\n${body}`;
}

function emitImports(body: string): string {
  const used = (names: readonly string[]): string => names.filter((name) => body.includes(`${name}(`)).join(', ');
  const primitives = used(['getBe16', 'getText', 'getU32', 'getU64', 'getU8', 'putBe16', 'putText', 'putU32', 'putU64', 'putU8']);
  return [
    '// Made by scripts/abi/generate.ts from bpf/abi; do not edit.',
    `import { type Address, ${used(['decodeAddress', 'encodeAddress'])} } from '#lib/address.ts';`,
    `import { type Codec, ${primitives} } from './codec.ts';`,
    '',
    "export type { Codec } from './codec.ts';",
    '',
  ].join('\n');
}

function emitStruct(name: string, { size, fields }: StructLayout, doc: (name: string) => string): string {
  const type = pascalCase(name);
  const lines = [
    `/** ${doc(name)} */`,
    `export interface ${type} {`,
    ...fields.flatMap((field) => [`  /** ${doc(`${name}.${field.name}`)} */`, `  readonly ${camelCase(field.name)}: ${typeOf(field)};`]),
    '}',
    '',
    `/** Bytes of ${type}. */`,
    `export const ${camelCase(name)}: Codec<${type}> = {`,
    `  size: ${size},`,
    '  encode(value, into, at) {',
    ...encodeLines(size, fields),
    '  },',
    '  decode(from, at) {',
    '    return {',
    ...fields.map((field) => `      ${camelCase(field.name)}: ${decodeExpression(field)},`),
    '    };',
    '  },',
    '};',
    '',
  ];
  return lines.join('\n');
}

/* Padding is written too, as 0: the kernel compares hash keys byte by byte. */
function encodeLines(size: number, fields: readonly Field[]): string[] {
  const lines: string[] = [];
  let end = 0;
  const zero = (until: number): void => {
    for (; end < until; end++) lines.push(`    into[${place(end)}] = 0;`);
  };
  for (const field of fields) {
    zero(field.offset);
    lines.push(...encodeField(field));
    end = field.offset + field.size;
  }
  zero(size);
  return lines;
}

function encodeField(field: Field): string[] {
  const [value, at] = [`value.${camelCase(field.name)}`, place(field.offset)];
  if (field.count > 0) return elementLines(field, value);
  if (field.type === 'text') return [`    putText(into, ${at}, ${field.size}, ${value});`];
  if (field.type === 'address') return [`    encodeAddress(${value}, into, ${at});`];
  if (field.type.startsWith('struct ')) return [`    ${codecOf(field)}.encode(${value}, into, ${at});`];
  return [`    put${pascalCase(field.type)}(into, ${at}, ${value});`];
}

function elementLines(field: Field, value: string): string[] {
  const stride = field.size / field.count;
  return [
    `    if (${value}.length !== ${field.count}) throw new RangeError(\`Cannot encode ${camelCase(field.name)}: it has \${${value}.length} elements, must have ${field.count}\`);`,
    `    ${value}.forEach((element, i) => {`,
    `      ${codecOf(field)}.encode(element, into, ${place(field.offset)} + ${stride} * i);`,
    '    });',
  ];
}

function decodeExpression(field: Field): string {
  const at = place(field.offset);
  if (field.count > 0)
    return `Array.from({ length: ${field.count} }, (_, i) => ${codecOf(field)}.decode(from, ${at} + ${field.size / field.count} * i))`;
  if (field.type === 'text') return `getText(from, ${at}, ${field.size})`;
  if (field.type === 'address') return `decodeAddress(from, ${at})`;
  if (field.type.startsWith('struct ')) return `${codecOf(field)}.decode(from, ${at})`;
  return `get${pascalCase(field.type)}(from, ${at})`;
}

function typeOf(field: Field): string {
  if (field.type === 'text') return 'string';
  if (field.type === 'address') return 'Address';
  if (field.type === 'u64') return 'bigint';
  if (!field.type.startsWith('struct ')) return 'number';
  const type = pascalCase(structOf(field));
  return field.count > 0 ? `readonly ${type}[]` : type;
}

function emitEnum(name: string, constants: Readonly<Record<string, number>>, doc: (name: string) => string): string {
  const lines = Object.entries(constants).flatMap(([constant, value]) => [
    `/** ${doc(`${name}.${constant}`)} */`,
    `export const ${constant} = ${value};`,
  ]);
  return [`// ${doc(name)}`, ...lines, ''].join('\n');
}

function emitOutcomes(constants: Readonly<Record<string, number>>): string {
  const names = Object.keys(constants).filter((name) => name !== OUTCOME_COUNT);
  names.forEach((name, i) => {
    if (constants[name] !== i)
      throw new Error(`Cannot generate OUTCOMES: ${name} is ${constants[name]}, must be ${i} by its place in the list`);
  });
  const lines = names.map((name) => `  '${name.slice(OUTCOME_PREFIX.length).toLowerCase()}',`);
  return [
    '/** Names of outcomes; the index is the key in `counters`. */',
    'export const OUTCOMES: readonly string[] = [',
    ...lines,
    '];',
    '',
  ].join('\n');
}

function emitTables(tables: readonly (readonly [string, MapLayout])[], doc: (name: string) => string): string {
  const types = tables.flatMap(([name, map]) => [
    `  /** ${doc(name)} */`,
    `  ${name}: { key: ${pascalCase(map.key)}; value: ${pascalCase(map.value)} };`,
  ]);
  const values = tables.map(
    ([name, { type, flags, maxEntries, key, value }]) =>
      `  ${name}: { name: '${name}', type: ${type}, flags: ${flags}, maxEntries: ${maxEntries}, key: ${camelCase(key)}, value: ${camelCase(value)} },`,
  );
  return ['/** Key and value of each table. */', 'export interface TableTypes {', ...types, '}', '', TABLE_TYPES, ...values, '};', ''].join(
    '\n',
  );
}

const TABLE_TYPES = `/** Name of a table, as the kernel and its pin have it. */
export type TableName = keyof TableTypes;

/** Key of a table. */
export type TableKey<T extends TableName> = TableTypes[T]['key'];

/** One element of a table. */
export interface TableEntry<T extends TableName> {
  readonly key: TableKey<T>;
  readonly value: TableTypes[T]['value'];
}

/** The parts of a table: BPF_MAP_TYPE_*, BPF_F_* bits, default size, and codecs (of one CPU's value in per-CPU tables). */
export interface Table<T extends TableName> {
  readonly name: T;
  readonly type: number;
  readonly flags: number;
  readonly maxEntries: number;
  readonly key: Codec<TableTypes[T]['key']>;
  readonly value: Codec<TableTypes[T]['value']>;
}

/** All tables, in the order of bpf/abi/maps.h. */
export const TABLES: { readonly [T in TableName]: Table<T> } = {`;

const place = (offset: number): string => (offset === 0 ? 'at' : `at + ${offset}`);

const structOf = (field: Field): string => field.type.slice('struct '.length);

const codecOf = (field: Field): string => camelCase(structOf(field));

const pascalCase = (name: string): string => name.replaceAll(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());

const camelCase = (name: string): string => name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
