import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { readBtf } from './btf.ts';
import { compiledTypes } from './generate.ts';
import { readHeader } from './header.ts';
import { type Layout, readLayout } from './layout.ts';

/** Each struct breaks one rule; the text is what the refusal must say. */
const FORBIDDEN: readonly (readonly [string, string, RegExp])[] = [
  ['a gap between fields', '__u8 a; __u32 b;', /"s\d+" has implicit padding of 3 bytes before "b"/],
  ['a gap at the end', '__u32 a; __u16 b;', /"s\d+" has implicit padding of 2 bytes at its end/],
  ['a bit field', '__u32 a : 3; __u32 b : 29;', /"s\d+\.a" is a bit field/],
  ['a union', 'union { __u32 x; __u16 y[2]; } a;', /"s\d+\.a" is a union/],
  ['a union without a name', 'union { __u32 x; __u16 y[2]; };', /"s\d+\." is a union/],
  ['a port in host order', '__u16 port; __u16 reserved;', /"s\d+\.port" is a port: it must be a __be16/],
  ['a port with a longer name', '__u16 service_port; __u16 reserved;', /"s\d+\.service_port" is a port/],
  ['an address as a number', '__u32 address;', /"s\d+\.address" is an address: it must be a struct address/],
  ['an address with a longer name', '__be32 node_address;', /"s\d+\.node_address" is an address/],
  ['words in network byte order', '__be32 word;', /"s\d+\.word" has a type without a codec/],
  ['a signed number', '__s32 a;', /"s\d+\.a" has a type without a codec/],
  ['a pointer', 'void *a;', /"s\d+\.a" has a type without a codec/],
  ['an array of numbers', '__u32 a[4];', /"s\d+\.a" has a type without a codec/],
  ['a plain C number', 'unsigned int a;', /"s\d+\.a" has a type without a codec/],
  [
    'padding that fills no gap',
    '__u32 a; __u8 b; __u8 reserved; __u8 c; __u8 d;',
    /"s\d+\.reserved" ends at byte 6: padding must be the last of its gap/,
  ],
  ['padding as large as a field', '__u32 a; __u32 reserved;', /"s\d+\.reserved" has 4 bytes, padding is less than 4/],
  ['padding with another name', '__u32 a; __u16 b; __u16 padding;', /"s\d+\.padding" must be called reserved/],
  ['padding of a signed type', '__u32 a; __u16 b; char reserved[2];', /"s\d+\.reserved" must be __u8, __u16, __u32/],
];

const ALLOWED = [
  '__u64 a; __u32 b; __u32 reserved;',
  '__u32 a; __u8 b; __u8 reserved[3];',
  '__u8 a; __u8 b; __u16 reserved;',
  'struct address client_address; __be16 port; __u16 reserved; __u32 report; __u32 addresses;',
  'char text[6]; __be16 ports; struct address snat4;',
];

const INCLUDES = '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n';
const ADDRESS = '/** Address. */\nstruct address {\n/** Words. */\n__be32 word[4];\n};\n';

const documented = (fields: string): string => fields.replaceAll(/(?<=^|; )(?=\w[^}]*;)/g, '/** Field. */\n').replaceAll('; ', ';\n');

/** A header of structs s0, s1, ..., each the value of a map m0, m1, ... */
const headerOf = (structs: readonly string[]): string => {
  const parts = structs.map((fields, i) => `/** Struct. */\nstruct s${i} {\n${documented(fields)}\n};\n${mapOf(`m${i}`, `struct s${i}`)}`);
  return `${ADDRESS}${mapOf('m', 'struct address')}${parts.join('\n')}`;
};

const mapOf = (name: string, value: string): string =>
  `/** Map. */\nstruct {\n__uint(type, BPF_MAP_TYPE_HASH);\n__type(key, int);\n__type(value, ${value});\n} ${name} SEC(".maps");\n`;

function layoutOf(source: string): Layout {
  const dir = mkdtempSync(join(tmpdir(), 'weir-layout-'));
  try {
    writeFileSync(join(dir, 'unit.c'), INCLUDES + source);
    return readLayout(compiledTypes(join(dir, 'unit.c')), readHeader(source));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const refusals = (source: string): string[] => {
  try {
    layoutOf(source);
    return [];
  } catch (error) {
    return (error as Error).message.split('\n').slice(1);
  }
};

let forbidden: string[] = [];

before(() => {
  forbidden = refusals(headerOf(FORBIDDEN.map(([, fields]) => fields)));
});

for (const [i, [name, , message]] of FORBIDDEN.entries()) {
  test(`the generator refuses ${name}`, () => {
    const own = forbidden.filter((error) => error.includes(`"s${i}.`) || error.includes(`"s${i}"`));
    assert.ok(
      own.some((error) => message.test(error)),
      `got: ${own.join('; ') || 'no refusal'}`,
    );
  });
}

test('what keeps the rules is accepted', () => {
  const { structs } = layoutOf(headerOf(ALLOWED));
  assert.equal(Object.keys(structs).length, ALLOWED.length + 1);
  assert.deepEqual(structs.s4?.fields, [
    { name: 'text', offset: 0, size: 6, count: 0, type: 'text' },
    { name: 'ports', offset: 6, size: 2, count: 0, type: 'be16' },
    { name: 'snat4', offset: 8, size: 16, count: 0, type: 'address' },
  ]);
});

test('the generator refuses everything without a docstring', () => {
  const source = `struct bare {\n__u32 a;\n};\nenum bare_flags {\nBARE = 1,\n};\n${mapOf('bare_map', 'struct bare').replace('/** Map. */\n', '')}enum bare_flags used;\n`;
  assert.deepEqual(refusals(source), [
    '  Struct "bare" has no docstring',
    '  Field "bare.a" has no docstring',
    '  Enum "bare_flags" has no docstring',
    '  Constant "BARE" has no docstring',
    '  Map "bare_map" has no docstring',
  ]);
});

test('the generator refuses what BTF does not show', () => {
  const source = `/** Struct. */\nstruct alone {\n/** Field. */\n__u32 a;\n};\n/** Enum. */\nenum alone_flags {\n/** Constant. */\nALONE = 1,\n};\n${ADDRESS}${mapOf('m', 'struct address')}`;
  assert.deepEqual(refusals(source), [
    '  Struct "alone" is declared but no map uses it',
    '  Enum "alone_flags" is declared but bpf/abi/layout.bpf.c does not use it',
  ]);
});

test('the generator refuses map names that the kernel would cut and values without a struct', () => {
  const source = `${ADDRESS}${mapOf('a_name_of_16_byt', 'struct address')}${mapOf('plain', '__u32')}`;
  assert.deepEqual(refusals(source), [
    '  Map "a_name_of_16_byt" has a name of 16 bytes, at most 15 are kept',
    '  Map "plain" has a key or value that is not a documented struct',
  ]);
});

test('a file without type information is refused', () => {
  assert.throws(() => readBtf(import.meta.filename), /Command failed: bpftool/);
  assert.throws(() => readBtf('/nowhere'), /Command failed: bpftool/);
});
