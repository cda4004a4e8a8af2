import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { aWhile, portOf, service, slice, temporaryFolder, textOf, until, watched } from '#support/manifest-folder.ts';

test('a file that does not parse leaves its last good state in force, and says so once', async () => {
  const w = await watched({ 'a.yaml': [service('a')], 'b.yaml': [service('b')] });
  w.forget();
  w.write('a.yaml', service('a', 82), '{"kind": "Service",\n}');
  w.write('b.yaml', service('b', 81));
  await until('both files were read', () => w.problems.length > 0 && portOf(w, 'b') === 81);
  await aWhile();
  const stays = 'its last good version stays in force';
  assert.deepEqual(w.problems, [`parse: Cannot use D/a.yaml: line 4: Expected double-quoted property name; ${stays}`]);
  w.write('a.yaml', 'items:\n- kind: Service\n');
  await until('the next problem is reported', () => w.problems.length > 1);
  const noKind = 'a document has no "kind", so it is not a Kubernetes object, or only the beginning of one';
  assert.equal(w.problems[1], `parse: Cannot use D/a.yaml: ${noKind}; ${stays}`);
  assert.deepEqual(w.calls, ['set Service shop/b']);
  w.write('a.yaml', service('a', 82));
  await until('a is fine again', () => portOf(w, 'a') === 82);
  assert.deepEqual(w.notes, ['D/a.yaml can be read again']);
  assert.equal(w.problems.length, 2);
});

test('a file that never was good holds up nothing but the claim to be complete', async () => {
  const w = await watched({ 'a.yaml': ['hello'], 'b.yaml': [service('b')] });
  assert.deepEqual(w.calls, ['set Service shop/b', 'synced']);
  assert.equal(w.problems.length, 1);
  w.write('a.yaml', service('a'));
  await until('the state is complete', () => w.calls.includes('complete'));
  assert.deepEqual(w.calls.slice(2), ['set Service shop/a', 'complete']);
});

test('an object that never was good holds up the claim to be complete until it goes', async () => {
  const w = await watched({ 'a.yaml': [service('a', 70_000)], 'b.yaml': [service('b')] });
  assert.deepEqual(w.calls, ['set Service shop/b', 'synced']);
  rmSync(`${w.dir}/a.yaml`);
  await until('the state is complete', () => w.calls.includes('complete'));
});

test('an object that is not valid keeps its own last good version only', async () => {
  const w = await watched({ 'a.yaml': [service('a'), service('b'), service('c', 70000)] });
  const fault = (name: string): string =>
    `invalid_object: In D/a.yaml: Service shop/${name}: spec.ports[0].port is 70000, must be 1 to 65535`;
  assert.deepEqual(w.problems, [`${fault('c')}; it is left out`]);
  w.forget();
  w.write('a.yaml', service('a', 70000), service('b', 81), service('c', 70000));
  await until('b changed', () => portOf(w, 'b') === 81);
  assert.deepEqual(w.calls, ['set Service shop/b']);
  assert.deepEqual(w.problems, [`${fault('a')}; its last good version stays in force`]);
  w.write('a.yaml', service('b', 81));
  await until('a went', () => !w.objects.has('Service shop/a'));
});

test('unknown kinds share a line for each file and kind', async () => {
  const other = (kind: string, name: string): object => ({ apiVersion: 'v1', kind, metadata: { name } });
  const pods = ['p1', 'p2', 'p3'].map((name) => other('Pod', name));
  const w = await watched({ 'a.yaml': [...pods, other('Secret', 's')] });
  const why = 'is ignored: weir reads Services, EndpointSlices, Nodes and ServiceCIDRs';
  assert.deepEqual(w.problems, [
    `unknown_kind: In D/a.yaml: Pod default/p1 ${why}; so are 2 more of this kind`,
    `unknown_kind: In D/a.yaml: Secret default/s ${why}`,
  ]);
  w.forget();
  w.write('a.yaml', ...pods, other('Pod', 'p4'), service('a'));
  await until('a came', () => w.objects.has('Service shop/a'));
  assert.deepEqual(w.problems, []);
});

test('of duplicates the first by file name counts, and the other takes over when it goes', async () => {
  const w = await watched({ 'a.yaml': [service('x', 81), service('x', 82)], 'b.yaml': [service('x', 83)] });
  assert.deepEqual(w.problems, [
    'duplicate: In D/a.yaml: Service shop/x stands there twice: the first one counts',
    'duplicate: Service shop/x is in D/a.yaml and in D/b.yaml: weir uses the version in D/a.yaml',
  ]);
  assert.equal(portOf(w, 'x'), 81);
  w.forget();
  rmSync(join(w.dir, 'a.yaml'));
  await until('b took over', () => portOf(w, 'x') === 83);
  w.write('a.yaml', service('x', 83));
  await until('the duplicate is reported again', () => w.problems.length > 0);
  assert.deepEqual(w.calls, ['set Service shop/x']);
  rmSync(join(w.dir, 'a.yaml'));
  rmSync(join(w.dir, 'b.yaml'));
  await until('x went', () => w.objects.size === 0);
  assert.deepEqual(w.calls, ['set Service shop/x', 'remove Service shop/x']);
});

test('slices without a Service are kept and told', async () => {
  const w = await watched({ 'a.yaml': [service('a'), slice('a'), slice('b'), slice('c', {})] });
  const orphan = (name: string, rest: string): string => `no_service: EndpointSlice shop/${name}-1 ${rest}`;
  await until('both are reported', () => w.problems.length === 2);
  assert.deepEqual(w.problems, [
    orphan('b', 'belongs to Service shop/b, which does not exist'),
    orphan('c', 'has no label kubernetes.io/service-name, so it belongs to no Service'),
  ]);
  assert.ok(w.objects.has('EndpointSlice shop/b-1'));
  w.forget();
  w.write('b.yaml', service('b'));
  await until('b came', () => w.objects.has('Service shop/b'));
  w.write('a.yaml', slice('a'), slice('b'), slice('c', {}));
  await until('the loss of a is reported', () => w.problems.length > 0);
  assert.deepEqual(w.problems, [orphan('a', 'belongs to Service shop/a, which does not exist')]);
  rmSync(join(w.dir, 'b.yaml'));
  await until('the loss of b is reported', () => w.problems.length > 1);
  assert.equal(w.problems[1], orphan('b', 'belongs to Service shop/b, which does not exist'));
});

test('a file that became empty is believed when it stays so', async () => {
  const w = await watched({ 'a.yaml': [service('a'), service('b')], 'b.yaml': [service('c')], 'c.yaml': [] });
  assert.deepEqual([w.problems, w.calls.at(-1)], [[], 'synced']);
  await until('c is believed', () => w.calls.includes('complete'));
  assert.deepEqual(w.problems, ['empty_file: D/c.yaml is empty']);
  w.forget();
  w.write('a.yaml');
  w.write('b.yaml', '# nothing\n');
  await until('both are empty', () => w.objects.size === 0);
  const was = 'is empty, so what it held is gone:';
  assert.deepEqual(w.problems.sort(), [`empty_file: D/a.yaml ${was} 2 objects`, `empty_file: D/b.yaml ${was} 1 object`]);
});

test('a file that is empty for a moment changes nothing', async () => {
  const w = await watched({ 'a.yaml': [service('a')] }, { rescanMs: 2000 });
  w.forget();
  w.write('a.yaml');
  await aWhile();
  w.write('a.yaml', service('a', 81));
  await until('a changed', () => portOf(w, 'a') === 81);
  assert.deepEqual([w.calls, w.problems], [['set Service shop/a'], []]);
});

test('a file that is empty at the start, because another process is writing it, is waited for before the state is complete', async () => {
  const w = await watched({ 'a.yaml': [] }, { rescanMs: 2000 });
  await aWhile();
  assert.deepEqual([w.calls, w.problems], [['synced'], []]);
  w.write('a.yaml', service('a'));
  await until('the state is complete', () => w.calls.includes('complete'));
  assert.deepEqual([w.calls, w.problems], [['synced', 'set Service shop/a', 'complete'], []]);
});

test('what cannot be read leaves its last good state in force', async () => {
  const w = await watched({ 'a.yaml': [service('a')] });
  w.forget();
  rmSync(join(w.dir, 'a.yaml'));
  symlinkSync('/proc/self/mem', join(w.dir, 'a.yaml'));
  await until('the problem is reported', () => w.problems.length > 0);
  assert.deepEqual(w.problems, ['file_unreadable: Cannot read D/a.yaml: i/o error; its last good version stays in force']);
  assert.deepEqual(w.calls, []);
  rmSync(join(w.dir, 'a.yaml'));
  await until('a went', () => w.objects.size === 0);
});

test('folders, pipes and the like are not manifests, whatever their name', async () => {
  const dir = temporaryFolder();
  mkdirSync(join(dir, 'a.yaml'));
  const w = await watched({ 'b.yaml': [service('b')] }, { dir });
  assert.deepEqual([w.calls, w.problems], [['set Service shop/b', 'synced', 'complete'], []]);
});

test('a folder that vanishes leaves everything in force, and is read again when it is back', async () => {
  const w = await watched({ 'a.yaml': [service('a')], 'b.yaml': [service('b')], 'c.yaml': [service('c')] }, { rescanMs: 300 });
  w.forget();
  renameSync(w.dir, `${w.dir}.away`);
  await until('the loss is reported', () => w.problems.length > 0);
  const loss = 'folder_missing: Cannot read folder D: no such file or directory; its last contents stay in force';
  assert.deepEqual([w.problems, w.calls], [[loss], []]);
  mkdirSync(w.dir);
  w.write('a.yaml', service('a'));
  w.write('b.yaml', service('b', 81));
  await until('b changed', () => portOf(w, 'b') === 81);
  assert.deepEqual(w.calls, ['set Service shop/b']);
  await until('c went', () => !w.objects.has('Service shop/c'));
  rmSync(`${w.dir}.away`, { recursive: true });
  w.write('a.yaml', service('a', 81));
  await until('events work again', () => portOf(w, 'a') === 81);
  assert.equal(w.problems.length, 1);
});

test('a folder that is missing at the start is waited for', async () => {
  const dir = join(temporaryFolder(), 'later');
  const w = await watched({}, { dir, sync: false });
  await until('the problem is reported', () => w.problems.length > 0);
  await aWhile();
  assert.deepEqual(w.problems, ['folder_missing: Cannot read folder D: no such file or directory; waiting for it']);
  assert.deepEqual(w.calls, []);
  mkdirSync(`${dir}.new`);
  writeFileSync(join(`${dir}.new`, 'a.yaml'), textOf([service('a')]));
  renameSync(`${dir}.new`, dir);
  await until('synced', () => w.calls.includes('synced'));
  assert.deepEqual(w.calls, ['set Service shop/a', 'synced', 'complete']);
});

test('nothing is delivered after the stop', async () => {
  const w = await watched({ 'a.yaml': [service('a')] });
  w.forget();
  w.write('a.yaml', service('a', 81), 'broken');
  await w.stop();
  rmSync(join(w.dir, 'a.yaml'));
  rmdirSync(w.dir);
  await aWhile();
  assert.deepEqual([w.calls, w.problems, w.notes], [[], [], []]);
});
