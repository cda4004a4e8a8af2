import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, unwatchFile, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConfig } from './config-file.ts';

test('a change between reading and watching is reported once', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-'));
  const path = join(dir, 'kube-proxy.conf');
  t.after(() => {
    unwatchFile(path);
    rmSync(dir, { recursive: true });
  });
  writeFileSync(path, 'kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n');
  const [same, changed] = [readConfig(path), readConfig(path)];
  let calls = 0;
  same.watch(() => calls++);
  assert.equal(calls, 0);
  writeFileSync(path, 'kind: KubeProxyConfiguration\n');
  changed.watch(() => calls++);
  assert.equal(calls, 1);
});
