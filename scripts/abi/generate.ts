import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BtfType, readBtf } from './btf.ts';
import { emit } from './emit.ts';
import { readHeader } from './header.ts';
import { type Layout, readLayout } from './layout.ts';

const ABI_DIR = join(import.meta.dirname, '../../bpf/abi');
const CODECS_DIR = join(import.meta.dirname, '../../src/abi');
const DIGEST_DIGITS = 16;

/** Debian keeps <asm/types.h> in a folder that clang does not search when it compiles for bpf. */
const ASM_INCLUDES: Readonly<Record<string, string>> = { x64: '/usr/include/x86_64-linux-gnu', arm64: '/usr/include/aarch64-linux-gnu' };

/** Types of a C file. Throws what clang prints. */
export function compiledTypes(source: string): readonly BtfType[] {
  const dir = mkdtempSync(join(tmpdir(), 'weir-abi-'));
  try {
    const object = join(dir, 'layout.o');
    const includes = ['-idirafter', ASM_INCLUDES[process.arch] ?? '/usr/include'];
    execFileSync('clang', ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Werror', ...includes, '-c', source, '-o', object]);
    return readBtf(object);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Contents of src/abi/abi.json and src/abi/generated.ts for the present bpf/abi. */
export function generate(): { readonly json: string; readonly code: string } {
  const header = readHeader(['types.h', 'maps.h'].map((file) => readFileSync(join(ABI_DIR, file), 'utf8')).join('\n'));
  const layout = readLayout(compiledTypes(join(ABI_DIR, 'layout.bpf.c')), header);
  const json = formatJson(layout);
  const digest = createHash('sha256').update(json).digest('hex').slice(0, DIGEST_DIGITS);
  return { json, code: emit(layout, header, digest) };
}

/* One field or map a line: a change of the layout reads well as a diff. */
const formatJson = (layout: Layout): string =>
  `${JSON.stringify(layout, null, 2).replaceAll(/\{\s+("(?:name|type)":[^{}]*?)\s+\}/g, (_, inside: string) => `{ ${inside.replaceAll(/\s+/g, ' ')} }`)}\n`;

if (import.meta.main) {
  const { json, code } = generate();
  writeFileSync(join(CODECS_DIR, 'abi.json'), json);
  writeFileSync(join(CODECS_DIR, 'generated.ts'), code);
}
