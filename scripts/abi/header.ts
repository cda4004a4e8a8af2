/** What a C header declares and documents, in its order. Layout is BTF's matter: here are names and docstrings only. */
export interface Header {
  readonly structs: readonly string[];
  readonly enums: readonly string[];
  /** Docstring by `struct`, `struct.field`, `enum`, `enum.CONSTANT` or `map NAME`. */
  readonly docs: ReadonlyMap<string, string>;
}

const TOKEN = new RegExp(
  [
    /\/\*\*\s*(?<doc>[\s\S]*?)\s*\*\//, // docstring of what comes next
    /\/\*[\s\S]*?\*\/|^#.*$/, // other comments, preprocessor
    /\b(?<kind>struct|enum)(?:\s+(?<opened>\w+))?\s*\{/,
    /\}\s*(?:(?<closed>\w+)\s*SEC\(".maps"\))?;/,
    /\b(?<member>\w+)(?:\[[^\]]*\])*\s*(?::\s*\d+\s*)?;/,
    /\b(?<constant>\w+)\s*=\s*\w+,/,
  ]
    .map((part) => part.source)
    .join('|'),
  'gm',
);

/** Reads headers in the style of bpf/abi: one declaration a line, a docstring before each struct, enum, field, constant and map. */
export function readHeader(source: string): Header {
  const structs: string[] = [];
  const enums: string[] = [];
  const docs = new Map<string, string>();
  let [scope, scopeDoc, doc] = ['', '', ''];
  const document = (name: string, text: string): void => {
    if (text !== '') docs.set(name, text);
  };
  for (const { groups = {} } of source.matchAll(TOKEN)) {
    if (groups.doc !== undefined) {
      doc = groups.doc.replaceAll(/\s*\n\s*\*?\s*/g, ' ');
      continue;
    }
    if (groups.kind !== undefined) {
      scope = groups.opened ?? '';
      scopeDoc = doc;
      if (scope !== '') {
        (groups.kind === 'struct' ? structs : enums).push(scope);
        document(scope, doc);
      }
    } else if (groups.closed !== undefined) {
      document(`map ${groups.closed}`, scopeDoc);
    } else {
      const name = groups.member ?? groups.constant;
      if (name !== undefined) document(`${scope}.${name}`, doc);
    }
    doc = '';
  }
  return { structs, enums, docs };
}
