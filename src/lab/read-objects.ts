import { readFileSync } from 'node:fs';
import type { ModelObject } from '#model/objects.ts';
import { NO_MANIFEST, readManifest } from '#sources/manifests/read-manifest.ts';

/** Objects of the kinds that weir reads, each once, and the problems of invalid ones. Throws for a file that does not parse. */
export async function readObjects(files: readonly string[]): Promise<{ objects: ModelObject[]; problems: string[] }> {
  const objects = new Map<string, ModelObject>();
  const problems: string[] = [];
  for (const file of files) {
    const manifest = await readManifest(file, readFileSync(file), NO_MANIFEST);
    if (typeof manifest === 'string') throw new Error(`Cannot read ${file}: ${manifest}`);
    for (const [id, object] of manifest.objects) if (!objects.has(id)) objects.set(id, object);
    problems.push(...manifest.findings.filter(({ reason }) => reason !== 'unknown_kind').map(({ message }) => message));
  }
  return { objects: [...objects.values()], problems };
}
