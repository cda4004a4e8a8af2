import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { decodeObject, flattenLists } from '#model/decode.ts';
import type { ModelObject } from '#model/objects.ts';

/** Objects of the kinds that weir reads from manifest files, each once; throws for a file that does not parse. */
export function readObjects(files: readonly string[]): ModelObject[] {
  return files.flatMap((file) => decodeAll(documentsOf(file)));
}

/** Objects among values as JSON or YAML gave them; invalid ones are left out, the agents report them. */
export function decodeAll(documents: readonly unknown[]): ModelObject[] {
  return documents
    .flatMap((document) => [...flattenLists(document)])
    .map(decodeObject)
    .flatMap((decoded) => (decoded.type === 'object' ? [decoded.object] : []));
}

function documentsOf(file: string): unknown[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => {
    const [error] = document.errors;
    if (error) throw new Error(`Cannot read ${file}: ${error.message}`);
    return document.toJS();
  });
}
