import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textOf } from './tree.ts';

/** Places that name weir's version; `weir --version` takes it from package.json. */
const PLACES: Readonly<Record<string, RegExp>> = {
  'package.json': /^ {2}"version": "(.*)"/m,
  'package-lock.json': /^ {2}"version": "(.*)"/m,
  'deploy/image/Containerfile': /image\.version="(.*)"/,
  'deploy/kustomize/base/kustomization.yaml': /newTag: (.*)/,
  'deploy/helm/weir/Chart.yaml': /^appVersion: (.*)/m,
};

test('weir has the same version everywhere', () => {
  const found = Object.entries(PLACES).map(([path, pattern]) => [path, pattern.exec(textOf(path))?.[1]]);
  assert.deepEqual(new Set(found.map(([, version]) => version)).size, 1, JSON.stringify(found));
  assert.match(found[0]?.[1] ?? '', /^\d+\.\d+\.\d+$/);
});
