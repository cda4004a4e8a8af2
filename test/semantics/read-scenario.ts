/**
 * Scenario files. Top level: `covers`, `upstream`, `agent` (flags instead of --cluster-cidr), `families: [4]` (objects as in the file;
 * without it each IPv4 address has a twin and each question runs for both families), the first step, and under `then` a list of further
 * steps. A step: `nodes`, `services`, `slices` by name (slices also as a list) and `expect`. In later steps an object keeps its omitted
 * fields, and null deletes the object. manifests.ts describes objects, expectations.ts describes lines of `expect`.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Family } from '#lib/address.ts';
import { parseYaml } from '#lib/yaml.ts';
import { decodeObject } from '#model/decode.ts';
import { type Fields, isFields, show } from '#model/fields.ts';
import type { ModelObject } from '#model/objects.ts';
import { questionsOf } from './expectations.ts';
import { manifestsOf, WORDS, type Written } from './manifests.ts';
import type { Question, Scenario, Step } from './scenario.ts';
import { CLUSTER_CIDR, placeOf, SERVICE_CIDR, twin } from './world.ts';

const STEP_WORDS = ['nodes', 'services', 'slices', 'expect'];
const TOP_WORDS = ['covers', 'upstream', 'agent', 'families', ...STEP_WORDS, 'then'];

const dual = (ranges: string): string => `${ranges},${twin(ranges)}`;

/** Reads a scenario file. An error names file, step and line. */
export const readScenario = (file: string): Scenario => parseScenario(basename(file, '.yaml'), readFileSync(file, 'utf8'));

/** Reads the text of a scenario file. */
export function parseScenario(name: string, text: string): Scenario {
  const parsed = parseYaml(text);
  if (!parsed.ok) throw new Error(`${name}: line ${parsed.line}: ${parsed.reason}`);
  return located(name, () => {
    const [top] = parsed.values;
    known(top, TOP_WORDS);
    const dualStack = JSON.stringify(top.families ?? [4, 6]) !== '[4]';
    const flags = list(top, 'agent')?.map((flag) => (dualStack ? dualFlag(flag) : flag));
    const lineOf = createLineFinder(text);
    return {
      name,
      covers: list(top, 'covers') ?? [],
      upstream: list(top, 'upstream') ?? [],
      agent: [...(flags ?? [`--cluster-cidr=${dual(CLUSTER_CIDR)}`]), `--service-cidr=${dual(SERVICE_CIDR)}`],
      steps: readSteps(top, dualStack, lineOf),
    };
  });
}

function readSteps(top: Fields, dualStack: boolean, lineOf: LineFinder): readonly Step[] {
  const { covers: _, upstream: __, agent: ___, families: ____, then = [], ...first } = top;
  let written: Written = {
    nodes: new Map([
      ['n1', {}],
      ['n2', {}],
    ]),
    services: new Map(),
    slices: new Map(),
  };
  return [first, ...(then as readonly unknown[])].map((step, i) =>
    located(`step ${i + 1}`, () => {
      known(step, STEP_WORDS);
      written = {
        nodes: changed(written, step, 'nodes'),
        services: changed(written, step, 'services'),
        slices: changed(written, step, 'slices'),
      };
      const manifests = manifestsOf(written, dualStack);
      return { number: i + 1, manifests, objects: manifests.flatMap(decoded), questions: readQuestions(step, written, dualStack, lineOf) };
    }),
  );
}

function readQuestions(step: Fields, { nodes }: Written, dualStack: boolean, lineOf: LineFinder): readonly Question[] {
  const families: readonly Family[] = dualStack ? [4, 6] : [4];
  const nodeAddresses = new Map(
    Array.from(
      nodes,
      ([name, { addresses }]) => [name, (addresses as string[] | undefined) ?? [placeOf(name)?.addresses[4] ?? '']] as const,
    ),
  );
  const lines = (step.expect ?? []) as readonly unknown[];
  return lines.flatMap((item) => {
    const line = lineOf(item);
    return located(`line ${line.number} "${line.text}"`, () => questionsOf({ line, families, nodeAddresses }));
  });
}

type LineFinder = (item: unknown) => Question['line'];

/** YAML reads `FROM -> TO: ANSWER` as a mapping with one key. The parser gives no positions, so the search starts at the previous line. */
function createLineFinder(source: string): LineFinder {
  const lines = source.split('\n');
  let last = 0;
  return (item) => {
    const text = isFields(item) ? Object.entries(item).map((pair) => pair.join(': '))[0] : item;
    if (typeof text !== 'string') throw new Error(`A line of expect is ${show(item)}, must be FROM -> TO: ANSWER`);
    last = lines.findIndex((line, i) => i >= last && line.replace(/'/g, '').includes(text));
    return { number: last + 1, text };
  };
}

/** Objects of one kind after a step: its fields replace the earlier ones. */
function changed(written: Written, step: Fields, kind: keyof Written): ReadonlyMap<string, Fields> {
  const now = new Map(written[kind]);
  for (const [name, fields] of byName(step[kind] ?? {})) {
    if (fields === null) {
      if (!now.delete(name)) throw new Error(`${kind}: ${name} is deleted, must exist`);
      continue;
    }
    located(`${kind}: ${name}`, () => known(fields, WORDS[kind]));
    now.set(name, { ...now.get(name), ...(fields as Fields) });
  }
  return now;
}

/** A mapping by name, or a list of objects with `metadata.name`. */
const byName = (objects: unknown): readonly (readonly [string, unknown])[] =>
  Array.isArray(objects) ? objects.map((object) => [String(object?.metadata?.name), object]) : Object.entries(objects as Fields);

function decoded(manifest: object): readonly ModelObject[] {
  const result = decodeObject(manifest);
  if (result.type === 'invalid') throw new Error(result.errors.join('; '));
  return result.type === 'object' ? [result.object] : [];
}

/** Appends the twin of the range to a flag such as `--cluster-cidr=10.0.0.0/8`. */
function dualFlag(flag: string): string {
  const [name, value] = flag.split('=');
  const items = value?.split(',').flatMap((item) => [...new Set([item, twin(item)])]);
  return items === undefined ? flag : `${name}=${items}`;
}

function known(value: unknown, words: readonly string[]): asserts value is Fields {
  if (!isFields(value)) throw new Error(`Value is ${show(value)}, must be a mapping`);
  const unknown = Object.keys(value).find((key) => !words.includes(key));
  if (unknown !== undefined) throw new Error(`Key is "${unknown}", must be one of ${words.join(', ')}`);
}

function list(top: Fields, key: string): readonly string[] | undefined {
  const value = top[key];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string')) throw new Error(`${key} must be a list of strings`);
  return value;
}

function located<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
  }
}
