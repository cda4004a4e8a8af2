import { CORE_SCHEMA, loadAll, mergeTag, YAMLException } from 'js-yaml';

/** What a text said, or the first thing that is wrong with it. `line` counts from 1; 0 = not known. */
export type ParsedText =
  | { readonly ok: true; readonly values: readonly unknown[] }
  | { readonly ok: false; readonly line: number; readonly reason: string };

const schema = CORE_SCHEMA.withTags(mergeTag);

/** Every document of a YAML text that is not empty. Merge keys (`<<`) work, as they do for kubectl. */
export function parseYaml(text: string): ParsedText {
  try {
    return { ok: true, values: loadAll(text, { schema }).filter((value: unknown) => value !== null && value !== undefined) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { ok: false, line: (error.mark?.line ?? -1) + 1, reason: error.reason };
  }
}
