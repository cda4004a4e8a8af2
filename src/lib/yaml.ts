import { boolYaml11Tag, CORE_SCHEMA, intYaml11Tag, type LoadOptions, loadAll, mergeTag, YAMLException } from 'js-yaml';

/** Documents of a text, or its first error. `line` counts from 1; 0 = unknown. */
export type ParsedText =
  | { readonly ok: true; readonly values: readonly unknown[]; readonly repeatedAt?: number }
  | { readonly ok: false; readonly line: number; readonly reason: string };

const schema = CORE_SCHEMA.withTags(mergeTag);

const schema11 = schema.withTags(boolYaml11Tag, intYaml11Tag);

const REPEATED = 'duplicated mapping key';

/** All non-empty documents of a YAML text. Merge keys (`<<`) work, as in kubectl. */
export const parseYaml = (text: string): ParsedText => parseWith(text, { schema });

/**
 * The same with the booleans and integers of YAML 1.1 (`yes`, `0x10`), as in kube-proxy's own file. Of keys with one name in a mapping the
 * last counts; `repeatedAt` is the line of the first such key.
 */
export function parseYaml11(text: string): ParsedText {
  const strict = parseWith(text, { schema: schema11 });
  if (strict.ok || strict.reason !== REPEATED) return strict;
  const lenient = parseWith(text, { schema: schema11, json: true });
  return lenient.ok ? { ...lenient, repeatedAt: strict.line } : lenient;
}

function parseWith(text: string, options: LoadOptions): ParsedText {
  try {
    return { ok: true, values: loadAll(text, options).filter((value: unknown) => value !== null && value !== undefined) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { ok: false, line: (error.mark?.line ?? -1) + 1, reason: error.reason };
  }
}
