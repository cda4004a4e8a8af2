import { readdirSync } from 'node:fs';

/** Beside it lie folders with pinned maps, see `folderName`. */
const LINKS = 'links';

/** Folder of a state folder's pinned links. */
export const linksFolder = (stateDir: string): string => `${stateDir}/${LINKS}`;

/** Names of the folders with maps, sorted; none where the state folder is missing. */
export const mapFolders = (stateDir: string): string[] => namesIn(stateDir).filter((name) => /^[0-9a-f]+-[0-9a-f]{8}$/.test(name));

/** Names of a folder's entries, sorted; none where it is missing. */
export function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
