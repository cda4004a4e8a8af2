import { readFileSync } from 'node:fs';

/** A file as text; empty if there is none that this process can read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
