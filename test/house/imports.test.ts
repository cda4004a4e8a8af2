import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { BUNDLED_PACKAGES, QUIET_FILES, ROOMS, TEST_PACKAGES } from './rooms.ts';
import { BUNDLE_INPUTS, isBuilt, productFiles, textOf, trackedFiles } from './tree.ts';

const SPECIFIER = /^(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*'([^']+)'|\bimport\('([^']+)'\)/gm;

const importsOf = (source: string): string[] => [...source.matchAll(SPECIFIER)].map(([, fixed, dynamic]) => fixed ?? dynamic ?? '');

/** Why a file may not import something; undefined where it may. */
function objection(path: string, specifier: string): string | undefined {
  const [, name = ''] = path.split('/');
  const room = ROOMS[name];
  const isTest = path.endsWith('.test.ts');
  if (room === undefined) return `room "${name}" is not in test/house/rooms.ts`;
  if (specifier === '../../package.json') return undefined;
  if (specifier.startsWith('.'))
    return join(dirname(path), specifier).startsWith(`src/${name}/`) ? undefined : 'it must be written #room/file.ts';
  if (specifier.startsWith('#')) {
    const [target = ''] = specifier.slice(1).split('/');
    if (target === 'support') return isTest ? undefined : 'test/support is for tests';
    if (target === name) return 'imports inside a room are relative';
    return room.rooms.includes(target) ? undefined : `"${name}" may import ${room.rooms.join(', ') || 'no other room'}`;
  }
  if (specifier.startsWith('node:')) return room.quiet && !isTest ? `"${name}" is a quiet room` : undefined;
  const known = isTest ? [...room.packages, ...TEST_PACKAGES] : room.packages;
  return known.includes(packageOf(specifier)) ? undefined : `packages of "${name}" are ${known.join(', ') || 'none'}`;
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

test('rooms import only what their place in the house allows', () => {
  const files = trackedFiles(/^src\/.*\.ts$/);
  const imports = files.flatMap((path) => importsOf(textOf(path)).map((specifier) => ({ path, specifier })));
  const wrong = imports.flatMap(({ path, specifier }) => {
    const reason = objection(path, specifier);
    return reason === undefined ? [] : [`${path} imports "${specifier}": ${reason}`];
  });
  assert.deepEqual(wrong, []);
  assert.ok(files.length >= 40, `saw ${files.length} files`);
  assert.ok(imports.length >= 100, `saw ${imports.length} imports`);
});

test('every permission to import is used by the product', () => {
  const used = new Set(
    productFiles().flatMap((path) =>
      importsOf(textOf(path)).map((specifier) => {
        const target = specifier.startsWith('#') ? specifier.slice(1).split('/')[0] : packageOf(specifier);
        return `${path.split('/')[1]} imports ${target}`;
      }),
    ),
  );
  const permitted = Object.entries(ROOMS).flatMap(([name, { rooms, packages }]) =>
    [...rooms, ...packages].map((target) => `${name} imports ${target}`),
  );
  assert.deepEqual(
    permitted.filter((permission) => !used.has(permission)),
    [],
  );
});

test('no files import each other in a circle', () => {
  const paths = productFiles();
  const graph = new Map(paths.map((path) => [path, importsOf(textOf(path)).map((specifier) => resolved(path, specifier))]));
  assert.deepEqual(circles(graph), []);
  assert.deepEqual(circles(new Map(Object.entries({ a: ['b'], b: ['c', 'd'], c: ['a'], d: [] }))), [['a', 'b', 'c']]);
});

/** Path of an imported file; a specifier outside src resolves to itself. */
const resolved = (path: string, specifier: string): string =>
  specifier.startsWith('#') ? `src/${specifier.slice(1)}` : specifier.startsWith('.') ? join(dirname(path), specifier) : specifier;

/** Groups of files of which each imports, over others, each (strongly connected components by Tarjan's algorithm), sorted. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (node: string): void => {
    const index = order.size;
    order.set(node, index);
    low.set(node, index);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next)) continue;
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node) ?? index, low.get(next) ?? index));
    }
    if (low.get(node) !== index) return;
    const group = stack.splice(stack.indexOf(node)).sort();
    if (group.length > 1) found.push(group);
  };
  for (const node of graph.keys()) if (!order.has(node)) visit(node);
  return found;
}

test('the import rules object where they should', () => {
  const forbidden = [
    ['src/reconcile/apply.ts', '#kernel/maps.ts'],
    ['src/plan/plan.ts', '#reconcile/tables.ts'],
    ['src/plan/plan.ts', 'node:fs'],
    ['src/plan/plan.ts', '#plan/port-plan.ts'],
    ['src/agent/run.ts', '../kernel/maps.ts'],
    ['src/agent/run.ts', 'koffi'],
    ['src/cli/run.ts', '@kubernetes/client-node'],
    ['src/attic/file.ts', './other.ts'],
    ['src/agent/run.ts', '#support/fake-tables.ts'],
  ] as const;
  for (const [path, specifier] of forbidden) assert.notEqual(objection(path, specifier), undefined, `${path} ${specifier}`);
  assert.deepEqual(importsOf("import a, {\n  b,\n} from 'x';\nimport 'y';\nexport * from 'z';\nconst c = await import('w');\n"), [
    'x',
    'y',
    'z',
    'w',
  ]);
});

test('quiet rooms have no clock, randomness, process, I/O or classes', () => {
  const forbidden =
    /\b(?:Date\.now|new Date\(\)|performance\.|Math\.random|process\.|console\.|setTimeout|setInterval|setImmediate|fetch\(|await )|^(?:export )?(?:abstract )?class /m;
  const files = productFiles().filter((path) => QUIET_FILES.includes(path) || ROOMS[path.split('/')[1] ?? '']?.quiet);
  const wrong = files.flatMap((path) => {
    const [found] = forbidden.exec(textOf(path)) ?? [];
    return found === undefined ? [] : [`${path}: ${found}`];
  });
  assert.deepEqual(wrong, []);
  assert.ok(files.length >= 10, `saw ${files.length} files`);
});

test('the bundle holds only packages whose cost at start is known', { skip: isBuilt() ? false : 'not built' }, () => {
  const inputs = Object.keys(JSON.parse(textOf(BUNDLE_INPUTS)).inputs);
  const found = new Set(
    inputs.filter((path) => path.includes('node_modules/')).map((path) => packageOf(path.slice(path.lastIndexOf('node_modules/') + 13))),
  );
  const wrong = [...found].filter((name) => !BUNDLED_PACKAGES.includes(name));
  assert.deepEqual(wrong, []);
  assert.ok(inputs.includes('src/cli/main.ts'));
});
