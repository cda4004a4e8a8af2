import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Folder of the compiled programs: `bpf` beside the bundle, or `dist/bpf` of the checkout when running from source.
 * Throws if the programs are not built.
 */
export function objectsDir(): string {
  const here = import.meta.dirname;
  const dirs = [join(here, 'bpf'), join(dirname(dirname(here)), 'dist/bpf')];
  const found = dirs.find((dir) => existsSync(join(dir, 'kfuncs.bpf.o')));
  if (found === undefined) throw new Error(`Cannot find kfuncs.bpf.o in ${dirs.join(' or ')}: run "make build"`);
  return found;
}
