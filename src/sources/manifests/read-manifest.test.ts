import assert from 'node:assert/strict';
import { test } from 'node:test';
import { service, textOf } from '#support/manifest-folder.ts';
import { type Manifest, NO_MANIFEST, readManifest } from './read-manifest.ts';

async function read(text: string, before: Manifest): Promise<Manifest> {
  const manifest = await readManifest('/d/a.yaml', Buffer.from(text), before);
  assert.ok(typeof manifest !== 'string', String(manifest));
  return manifest;
}

test('parts of a file that are as before are not read again', async () => {
  const before = await read(textOf([service('a'), service('b')]), NO_MANIFEST);
  const after = await read(textOf([service('a'), service('b', 81)]), before);
  const kept = [...after.decoded].filter(([digest, decoded]) => before.decoded.get(digest) === decoded);
  assert.deepEqual([kept.length, after.decoded.size], [1, 2]);
});

test('an object that is as before stays the same JavaScript object, also where everything was read again', async () => {
  const list = (port: number): string => textOf([{ kind: 'List', items: [service('a'), service('b', port)] }]);
  const before = await read(list(80), NO_MANIFEST);
  const after = await read(list(81), before);
  assert.equal(after.objects.get('Service shop/a'), before.objects.get('Service shop/a'));
  assert.notDeepEqual(after.objects.get('Service shop/b'), before.objects.get('Service shop/b'));
});

test('anchors may be shared across the items of a list', async () => {
  const item = (name: string, spec: string): string => `- {apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: ${spec}}\n`;
  const spec = '&spec {clusterIP: 10.96.0.1, ports: [{port: 80}]}';
  const { objects } = await read(
    `kind: List\nitems:\n${item('a', spec)}${item('b', '*spec')}${item('c', '{<<: *spec, clusterIP: 10.96.0.2}')}`,
    NO_MANIFEST,
  );
  assert.deepEqual([...objects.keys()], ['Service default/a', 'Service default/b', 'Service default/c']);
});
