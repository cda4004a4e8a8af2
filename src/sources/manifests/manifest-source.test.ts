import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { aWhile, portOf, service, slice, temporaryFolder, textOf, until, watched } from '#support/manifest-folder.ts';

test('everything in the folder is delivered, then synced and complete', async () => {
  const yaml = 'kind: Node\napiVersion: v1\nmetadata: {name: n1}\n';
  const list = { kind: 'List', apiVersion: 'v1', items: [service('b'), slice('b')] };
  const w = await watched({
    'a.json': [service('a')],
    'b.yaml': [yaml, list],
    'c.yml': [service('c')],
    '.d.yaml': [service('d')],
    'e.txt': [service('e')],
  });
  assert.deepEqual(w.calls, [
    'set Service shop/a',
    'set Node n1',
    'set Service shop/b',
    'set EndpointSlice shop/b-1',
    'set Service shop/c',
    'synced',
    'complete',
  ]);
  assert.deepEqual(w.problems, []);
});

test('an empty folder is not a complete state: another process may be about to fill it', async () => {
  const w = await watched();
  await aWhile();
  assert.deepEqual(w.calls, ['synced']);
  w.write('a.yaml', service('a'));
  await until('the state is complete', () => w.calls.includes('complete'));
  assert.deepEqual(w.calls, ['synced', 'set Service shop/a', 'complete']);
});

test('files that come, change and go are followed by events alone', async () => {
  const w = await watched({ 'a.yaml': [service('a')] }, { rescanMs: 3_600_000 });
  w.write('b.yaml', service('b'));
  await until('b came', () => w.objects.has('Service shop/b'));
  w.write('a.yaml', service('a', 81));
  await until('a changed', () => portOf(w, 'a') === 81);
  writeFileSync(join(w.dir, '.new'), textOf([service('a', 82)]));
  renameSync(join(w.dir, '.new'), join(w.dir, 'a.yaml'));
  await until('a was replaced', () => portOf(w, 'a') === 82);
  rmSync(join(w.dir, 'b.yaml'));
  await until('b went', () => !w.objects.has('Service shop/b'));
  assert.deepEqual(w.problems, []);
});

test('only what changed reaches the sink', async () => {
  const many = Array.from({ length: 50 }, (_, i) => service(`s${i}`));
  const w = await watched({ 'a.json': [{ kind: 'List', items: many }], 'b.yaml': many.map((_, i) => service(`t${i}`)) });
  w.forget();
  w.write('a.json', { kind: 'List', items: many.with(7, service('s7', 81)) });
  await until('s7 changed', () => portOf(w, 's7') === 81);
  w.write('b.yaml', ...many.map((_, i) => service(`t${i}`, i === 9 ? 81 : 80)));
  await until('t9 changed', () => portOf(w, 't9') === 81);
  utimesSync(join(w.dir, 'a.json'), 1, 1);
  w.write('b.yaml', ...many.map((_, i) => service(`t${i}`, i === 9 ? 81 : 80)).reverse());
  await aWhile();
  assert.deepEqual(w.calls, ['set Service shop/s7', 'set Service shop/t9']);
});

test('the files of a mounted ConfigMap change all at once', async () => {
  const dir = temporaryFolder();
  const fill = (version: string, ...names: string[]): void => {
    mkdirSync(join(dir, version));
    for (const name of names) writeFileSync(join(dir, version, `${name}.yaml`), textOf([service(name, Number(version.slice(2)))]));
    symlinkSync(version, join(dir, '..data_tmp'));
    renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  };
  fill('..81', 'a', 'b');
  for (const name of ['a', 'b']) symlinkSync(`..data/${name}.yaml`, join(dir, `${name}.yaml`));
  const w = await watched({}, { dir, rescanMs: 3_600_000 });
  assert.deepEqual([portOf(w, 'a'), portOf(w, 'b')], [81, 81]);
  fill('..82', 'a');
  rmSync(join(dir, '..81'), { recursive: true });
  await until('a changed', () => portOf(w, 'a') === 82);
  await until('b went', () => !w.objects.has('Service shop/b'));
  assert.deepEqual(w.problems, []);
});

test('changes behind a link, which no event tells, are found by looking', async () => {
  const elsewhere = join(temporaryFolder(), 'real.yaml');
  writeFileSync(elsewhere, textOf([service('a')]));
  const dir = temporaryFolder();
  symlinkSync(elsewhere, join(dir, 'a.yaml'));
  const w = await watched({}, { dir });
  writeFileSync(elsewhere, textOf([service('a', 81)]));
  await until('a changed', () => portOf(w, 'a') === 81);
});
