import { CORE_SCHEMA, loadAll, mergeTag, YAMLException } from 'js-yaml';

/** Documents of a text, or its first error. `line` counts from 1; 0 = unknown. */
export type ParsedText =
  | { readonly ok: true; readonly values: readonly unknown[] }
  | { readonly ok: false; readonly line: number; readonly reason: string };

const schema = CORE_SCHEMA.withTags(mergeTag);

/** All non-empty documents of a YAML text. Merge keys (`<<`) work, as in kubectl. */
export function parseYaml(text: string): ParsedText {
  try {
    return { ok: true, values: loadAll(text, { schema }).filter((value: unknown) => value !== null && value !== undefined) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { ok: false, line: (error.mark?.line ?? -1) + 1, reason: error.reason };
  }
}
