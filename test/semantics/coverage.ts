/** Which rule of docs/semantics.md is shown by what. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { textOf, trackedFiles } from '../house/tree.ts';
import { readScenario } from './read-scenario.ts';
import type { Scenario } from './scenario.ts';

const SCENARIOS = join(import.meta.dirname, 'scenarios');

/** Something that shows rules: a scenario or a test. */
export interface Shower {
  readonly name: string;
  /** Ids of rules, and names of upstream's tests. */
  readonly shows: readonly string[];
}

/** What must be shown, and who shows it. */
export interface Coverage {
  readonly shown: ReadonlyMap<string, readonly string[]>;
  /** Asked for by nobody: `what: id`. */
  readonly unknown: readonly string[];
}

/** Every scenario. */
export const allScenarios = (): readonly Scenario[] =>
  readdirSync(SCENARIOS)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => readScenario(join(SCENARIOS, name)));

/** Ids of the rules of a text: `- [id] What it says`. */
export const rulesOf = (text: string): readonly string[] => [...text.matchAll(/^- \[([a-z0-9-]+)\] /gm)].map(([, id = '']) => id);

/** Upstream's unit tests that a text names. */
export const upstreamTestsOf = (text: string): readonly string[] => [...new Set(text.match(/\bTest[A-Z]\w+/g))];

/** Who shows which of the `wanted`. */
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

/** What each test file, and each file of the programs' cases, shows by its text. */
export const testsThatShow = (find: (source: string) => readonly string[]): readonly Shower[] =>
  trackedFiles(/^(?:(?:src|test)\/.*\.test\.ts|bpf\/test\/.*\.[ch])$/)
    .filter((path) => path !== 'test/semantics/coverage.test.ts')
    .map((path) => ({ name: path, shows: find(textOf(path)) }));

const NAME_OF_TEST = /\b(?:test|it|describe)\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g;
const TEXT = /(['"`])((?:\\.|(?!\1)[^\\\n])*)\1/g;

/**
 * Ids in the names of tests: `test('... [id]', ...)`, rows of tables of tests, `"... [id]"` of the programs' cases. Names of tests
 * must name rules that exist; elsewhere brackets may mean something else.
 */
export function idsInNames(source: string, isRule: (id: string) => boolean): readonly string[] {
  const named = [...source.matchAll(NAME_OF_TEST)].flatMap(([, , name = '']) => bracketed(name));
  const others = [...source.matchAll(TEXT)].flatMap(([, , text = '']) => bracketed(text)).filter(isRule);
  return [...new Set([...named, ...others])];
}

const bracketed = (text: string): readonly string[] =>
  [...text.replace(/\$\{[^}]*\}/g, '').matchAll(/\[([a-z][a-z0-9-]{3,})\]/g)].map(([, id = '']) => id);

/** A line for each id: who shows it, the others counted. */
export function tableOf({ shown }: Coverage): string {
  const width = Math.max(...[...shown.keys()].map((id) => id.length));
  return Array.from(shown, ([id, places]) => `${id.padEnd(width)}  ${places.length === 0 ? '-' : few(places)}`).join('\n');
}

const few = (places: readonly string[]): string =>
  places.length <= 4 ? places.join(', ') : `${places.slice(0, 4).join(', ')} and ${places.length - 4} more`;
