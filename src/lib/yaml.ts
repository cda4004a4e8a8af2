import { parseAllDocuments } from 'yaml';

/** What a text said, or the first thing that is wrong with it. `line` counts from 1; 0 = not known. */
export type ParsedText =
  | { readonly ok: true; readonly values: readonly unknown[] }
  | { readonly ok: false; readonly line: number; readonly reason: string };

/** Every document of a YAML text that is not empty. Merge keys (`<<`) work, as they do for kubectl. */
export function parseYaml(text: string): ParsedText {
  const values: unknown[] = [];
  for (const document of parseAllDocuments(text, { merge: true, prettyErrors: false, logLevel: 'silent' })) {
    const error = document.errors[0];
    if (error !== undefined) return { ok: false, line: lineAt(text, error.pos[0]), reason: error.message };
    try {
      const value: unknown = document.toJS();
      if (value !== null) values.push(value);
    } catch (error) {
      return { ok: false, line: lineAt(text, document.range[0]), reason: (error as Error).message };
    }
  }
  return { ok: true, values };
}

const lineAt = (text: string, position: number): number => text.slice(0, position).split('\n').length;
