import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

/** Files that are in git or will be, without ignored ones; relative to the top of the repository. */
export function trackedFiles(pattern = /./): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' });
  const gone = execFileSync('git', ['ls-files', '--deleted'], { cwd: ROOT, encoding: 'utf8' }).split('\n');
  return listed.split('\n').filter((path) => path !== '' && pattern.test(path) && !gone.includes(path));
}

/** Text of a file of the repository. */
export const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** TypeScript of src that runs in production. */
export const productFiles = (): string[] => trackedFiles(/^src\/.*\.ts$/).filter((path) => !path.endsWith('.test.ts'));

/** What esbuild says went into the bundle. */
export const BUNDLE_INPUTS = 'dist/meta.json';

/** Whether there is a bundle to look at. */
export const isBuilt = (): boolean => existsSync(join(ROOT, BUNDLE_INPUTS));
