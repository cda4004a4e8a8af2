import { textOf, trackedFiles } from './tree.ts';

/** A turn of phrase that CONTRIBUTING.md rejects, and the repair. */
interface Turn {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** The worst turns only: each stands where a noun or an active verb belongs. */
export const REJECTED: readonly Turn[] = [
  { pattern: /\b(?:nobody|somebody|whoever|whomever|whom|everybody)\b/i, instead: 'name the actor' },
  { pattern: /\bthose (?:who|that|which|of|with|for|from|in|on)\b/i, instead: 'use the noun' },
  { pattern: /\bwhat (?:is|are|was|were|has|had)\b/i, instead: 'use the noun' },
  { pattern: /\b(?:is|are|was|were|be|been|being) told\b|\btold (?:of|once|that|instead)\b/i, instead: 'say who reports or logs it' },
  { pattern: /\bhears?\b/i, instead: '"receives"' },
  {
    pattern: /(?<!\bthere )\b(?:is|are|was|were) no (?!longer\b|more\b|such\b)[a-z]/i,
    instead: '"is not a", "is not an", or a positive sentence',
  },
];

/** A rejected turn at a place of the repository. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly text: string;
  readonly instead: string;
}

const FILES = /^(?:(?:src|test|bench|scripts|bpf|deploy|docs)\/.*|\.ci\/run|Makefile|bin\/.*|[A-Z]+\.md)$/;
/** Upstream's words, generated files, data, and this list. */
const EXEMPT =
  /(?:^src\/(?:abi\/generated|kpng\/descriptors)\.ts|^test\/house\/language(?:\.test)?\.ts|^docs\/conformance\.md|^CONTRIBUTING\.md|\.(?:json|proto|png|sum|mod|txt|tpl)$|\/LICENSE)/;

/** Comments and strings of code; the whole text of documents and scripts. Other places become blanks, so lines and columns stay. */
function prose(path: string, text: string): string {
  if (!/\.(?:ts|[ch])$/.test(path)) return text;
  const blank = (code: string): string => code.replace(/[^\n]/g, ' ');
  const parts = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g;
  let out = '';
  let end = 0;
  for (const { index, 0: part } of text.matchAll(parts)) {
    out += blank(text.slice(end, index)) + part;
    end = index + part.length;
  }
  return out + blank(text.slice(end));
}

/** Every rejected turn in the files whose path begins with one of `below`; in all files where `below` is empty. */
export function rejectedTurns(below: readonly string[] = []): readonly Finding[] {
  const paths = trackedFiles(FILES).filter(
    (path) => !EXEMPT.test(path) && (below.length === 0 || below.some((prefix) => path.startsWith(prefix))),
  );
  return paths.flatMap((path) =>
    prose(path, textOf(path))
      .split('\n')
      .flatMap((text, i) =>
        REJECTED.filter(({ pattern }) => pattern.test(text)).map(({ instead }) => ({ path, line: i + 1, text: text.trim(), instead })),
      ),
  );
}

if (import.meta.main) {
  for (const { path, line, text, instead } of rejectedTurns(process.argv.slice(2))) console.log(`${path}:${line}: ${text}  [${instead}]`);
}
