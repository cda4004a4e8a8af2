import { watch } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** Differs whenever a file was written or replaced, or its link leads elsewhere; undefined = no such file. */
export type Signature = string | undefined;

/** Hidden names belong to editors and to the kubelet. */
export const isManifestName = (name: string): boolean => !name.startsWith('.') && /\.(ya?ml|json)$/.test(name);

/** Paths of the manifests in a folder. Throws where the folder cannot be read. */
export async function listManifests(dir: string): Promise<readonly string[]> {
  const names = await readdir(dir);
  return names.filter(isManifestName).map((name) => join(dir, name));
}

/** Follows links. Anything but a plain file counts as none; what cannot be looked at will say why when it is read. */
export async function signatureOf(path: string): Promise<Signature> {
  try {
    const found = await stat(path, { bigint: true });
    return found.isFile() ? `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}` : undefined;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    return ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code) ? undefined : code;
  }
}

/** Whether the file had no bytes. */
export const isEmptySignature = (signature: string): boolean => signature.split(' ')[2] === '0';

/** Identity of a folder, which a replacement does not share. Throws if there is none. */
export async function folderIdentity(dir: string): Promise<string> {
  const { dev, ino, birthtimeNs } = await stat(dir, { bigint: true });
  return `${dev} ${ino} ${birthtimeNs}`;
}

/** What happened to a file last: it came, went or was replaced by a rename; or it was written to where it is. */
export type Touch = 'replaced' | 'written';

export interface FolderWatch {
  close(): void;
}

/**
 * Calls `changed` soon after something in the folder changed: with the path of the manifest, or without when it may be any of
 * them: the kubelet switches a ConfigMap's files all at once by renaming the link `..data`, and the folder's own end carries its
 * own name. Throws where it cannot watch.
 */
export function watchFolder(dir: string, changed: (path?: string, touch?: Touch) => void): FolderWatch {
  const watcher = watch(dir, { persistent: false }, (event, name) => {
    if (name === null || name.startsWith('..') || name === basename(dir)) changed();
    else if (isManifestName(name)) changed(join(dir, name), event === 'rename' ? 'replaced' : 'written');
  });
  // The removal of the folder is an error on some systems; the next scan shows what happened
  watcher.on('error', () => changed());
  return watcher;
}
