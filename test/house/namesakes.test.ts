import assert from 'node:assert/strict';
import { test } from 'node:test';
import { productFiles, textOf } from './tree.ts';

test('an exported type has a name of its own in the whole of src', () => {
  const places = new Map<string, string[]>();
  for (const path of productFiles())
    for (const [, name = ''] of textOf(path).matchAll(/^export (?:abstract )?(?:interface|type|class|enum) (\w+)\b(?! *\})/gm))
      places.set(name, [...(places.get(name) ?? []), path]);
  const namesakes = [...places].filter(([, paths]) => paths.length > 1).map(([name, paths]) => `${name}: ${paths.join(', ')}`);
  assert.deepEqual(namesakes, []);
  assert.ok(places.size >= 100, `saw ${places.size} types`);
});
