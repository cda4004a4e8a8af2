import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '#lab/paths.ts';

const script = (name: string): string => join(CHECKOUT, 'deploy/image', name);

function done(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} failed: ${stderr || error?.message}`);
  return stdout;
}

/** Makes the image's root file system, as `make image` does; returns the folder. */
export function makeRoot(folder: string): string {
  done(script('root'), folder);
  return folder;
}

/** Packs a root file system; returns the line that says what came of it. */
export const pack = (folder: string, file: string): string => done(script('pack'), folder, file);

/** All files in a folder, links not followed: path below the folder -> bytes. */
export function filesIn(folder: string): Map<string, number> {
  const lines = done('find', folder, '-type', 'f', '-printf', '%s /%P\\n').trimEnd().split('\n');
  return new Map(lines.map((line) => [line.slice(line.indexOf(' ') + 1), Number.parseInt(line, 10)]));
}

/** Why no image can be made here; undefined where one can. */
export const whyNoImage = (): string | undefined =>
  existsSync(join(CHECKOUT, 'dist/weir.mjs')) ? undefined : 'weir is not built: run make build';
