/** Writes src/kpng/descriptors.ts from src/kpng/*.proto, or prints it with `--print`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';

const FOLDER = join(import.meta.dirname, '../src/kpng');

/** Keeps the case of names. Omits services and reserved numbers, which codecs do not need. */
function descriptors(): string {
  const root = new protobuf.Root();
  for (const name of ['localv1', 'globalv1']) protobuf.parse(readFileSync(join(FOLDER, `${name}.proto`), 'utf8'), root, { keepCase: true });
  const json = JSON.stringify(root.resolveAll().toJSON(), (key, value) =>
    ['Sets', 'reserved', 'edition'].includes(key) ? undefined : value,
  );
  return `/** Generated from localv1.proto and globalv1.proto by scripts/kpng-descriptors.ts: make generate. */\nexport const DESCRIPTORS = ${json};\n`;
}

if (process.argv.includes('--print')) process.stdout.write(descriptors());
else writeFileSync(join(FOLDER, 'descriptors.ts'), descriptors());
