import assert from 'node:assert/strict';
import { test } from 'node:test';
import { productFiles, textOf, trackedFiles } from './tree.ts';

/** Files that a document names in backquotes with a folder: sources only, without patterns such as `src/*.ts`. */
const namedFiles = (path: string): string[] =>
  [...textOf(path).matchAll(/`([\w./-]+\/[\w.-]+\.(?:ts|h|c|md|json|yaml))`/g)].map(([, name = '']) => name);

/** Paths without a top folder lie in src, in bpf or in one room. */
const exists = (name: string, files: readonly string[]): boolean => files.some((file) => file === name || file.endsWith(`/${name}`));

test('files that the documents for contributors name exist', () => {
  const files = trackedFiles();
  const named = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'].flatMap((path) => namedFiles(path).map((name) => ({ path, name })));
  assert.deepEqual(
    named.filter(({ name }) => !exists(name, files)),
    [],
  );
  assert.ok(named.length >= 50, `saw ${named.length} files`);
});

test('docs/metrics.md has every counter of the agent', () => {
  const counted = productFiles().flatMap((path) => [...textOf(path).matchAll(/increment\('(\w+)'/g)].map(([, name = '']) => name));
  // Exported under the name of kube-proxy's metric
  const missing = counted.filter(
    (name) => name !== 'deleted_conntrack_entries_of' && !textOf('docs/metrics.md').includes(`weir_${name}_total`),
  );
  assert.deepEqual(missing, []);
  assert.ok(counted.length >= 5, `saw ${counted.length} counters`);
});
