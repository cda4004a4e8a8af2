/** Coverage of the rules of docs/semantics.md by scenarios and tests. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { textOf, trackedFiles } from '../house/tree.ts';
import { readScenario } from './read-scenario.ts';
import type { Scenario } from './scenario.ts';

const SCENARIOS = join(import.meta.dirname, 'scenarios');

/** A scenario or test that covers rules. */
export interface Shower {
  readonly name: string;
  /** Ids of covered rules, and names of upstream's tests. */
  readonly shows: readonly string[];
}

/** Each wanted id with the scenarios and tests that cover it. */
export interface Coverage {
  readonly shown: ReadonlyMap<string, readonly string[]>;
  /** Ids that are not wanted, as `NAME: ID`. */
  readonly unknown: readonly string[];
}

/** Every scenario. */
export const allScenarios = (): readonly Scenario[] =>
  readdirSync(SCENARIOS)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => readScenario(join(SCENARIOS, name)));

/** Ids of the rules of a text: `- [id] RULE`. */
export const rulesOf = (text: string): readonly string[] => [...text.matchAll(/^- \[([a-z0-9-]+)\] /gm)].map(([, id = '']) => id);

/** Names of upstream's unit tests in a text. */
export const upstreamTestsOf = (text: string): readonly string[] => [...new Set(text.match(/\bTest[A-Z]\w+/g))];

/** Coverage of the `wanted` ids. */
export function coverageOf(wanted: readonly string[], showers: readonly Shower[]): Coverage {
  const shown = new Map<string, string[]>(wanted.map((id) => [id, []]));
  const unknown: string[] = [];
  for (const { name, shows } of showers) {
    for (const id of new Set(shows)) {
      const places = shown.get(id);
      if (places === undefined) unknown.push(`${name}: ${id}`);
      else places.push(name);
    }
  }
  return { shown, unknown };
}

/** Ids that `find` returns for each test file, including the tests of the programs in C. */
export const testsThatShow = (find: (source: string) => readonly string[]): readonly Shower[] =>
  trackedFiles(/^(?:(?:src|test)\/.*\.test\.ts|bpf\/test\/.*\.[ch])$/)
    .filter((path) => path !== 'test/semantics/coverage.test.ts')
    .map((path) => ({ name: path, shows: find(textOf(path)) }));

const NAME_OF_TEST = /\b(?:test|it|describe)\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g;
const TEXT = /(['"`])((?:\\.|(?!\1)[^\\\n])*)\1/g;

/**
 * Ids in test names (`test('... [id]', ...)`), in rows of test tables, and in the cases of the programs in C (`"... [id]"`). An id in a
 * test name must exist; elsewhere brackets can have another meaning.
 */
export function idsInNames(source: string, isRule: (id: string) => boolean): readonly string[] {
  const named = [...source.matchAll(NAME_OF_TEST)].flatMap(([, , name = '']) => bracketed(name));
  const others = [...source.matchAll(TEXT)].flatMap(([, , text = '']) => bracketed(text)).filter(isRule);
  return [...new Set([...named, ...others])];
}

const bracketed = (text: string): readonly string[] =>
  [...text.replace(/\$\{[^}]*\}/g, '').matchAll(/\[([a-z][a-z0-9-]{3,})\]/g)].map(([, id = '']) => id);

/** One line per id: at most four covering names, and the number of further ones. */
export function tableOf({ shown }: Coverage): string {
  const width = Math.max(...[...shown.keys()].map((id) => id.length));
  return Array.from(shown, ([id, places]) => `${id.padEnd(width)}  ${places.length === 0 ? '-' : few(places)}`).join('\n');
}

const few = (places: readonly string[]): string =>
  places.length <= 4 ? places.join(', ') : `${places.slice(0, 4).join(', ')} and ${places.length - 4} more`;
