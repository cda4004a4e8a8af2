import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findCgroupRoot } from '#kernel/node/mounts.ts';
import { labDir, placeCgroup } from '#lab/paths.ts';
import { labExists, removeLab } from '#lab/removal.ts';
import { skipIf } from '#support/kernel-ground.ts';
import { node } from '../datapath/objects.ts';
import { until } from '../datapath/paths.ts';
import type { ApiObject } from './api-client.ts';
import { binary, whyNoControlPlane } from './binaries.ts';
import { type Cluster, raiseCluster } from './ground.ts';

const ADDRESSES = 'jsonpath={.items[*].endpoints[*].addresses[*]}';

const N1 = node('n1') as ApiObject;

const service = (name: string, spec: object): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 't' },
  spec: { ipFamilyPolicy: 'RequireDualStack', ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 }], ...spec },
});

const slice = (name: string, addresses: readonly string[]) => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name, namespace: 't', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType: 'IPv4',
  endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
});

const readyPod = (name: string, app: string, ips: readonly string[]): ApiObject =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 't', labels: { app } },
    spec: { nodeName: 'n1', containers: [{ name: 'server', image: 'none' }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      podIP: ips[0],
      podIPs: ips.map((ip) => ({ ip })),
    },
  }) as ApiObject;

const ground = skipIf(whyNoControlPlane('kube-controller-manager', 'kubectl'));

let cluster: Cluster;

before(async () => {
  if (ground.skip) return;
  cluster = await raiseCluster('k', [N1], { controllerManager: true });
});

after(() => cluster?.lab.down());

/** What kubectl says on the node, which reaches the API server over the wire. */
async function kubectl(...argv: string[]): Promise<string> {
  const { lab, controlPlane } = cluster;
  const { code, stdout, stderr } = await lab.exec('n1', [binary('kubectl'), '--kubeconfig', controlPlane.kubeconfig, ...argv]);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

test('a Node has the status that was applied', ground, async () => {
  await cluster.controlPlane.apply([N1]);
  const { status } = await cluster.controlPlane.read(N1);
  assert.deepEqual(status, { ...status, ...N1.status });
  assert.equal(await kubectl('get', 'nodes', '-o', 'name'), 'node/n1');
});

test('a Service gets ClusterIPs of both families, its slice is as it was written, then as it was replaced', ground, async () => {
  const { controlPlane } = cluster;
  const web = service('web', {});
  await controlPlane.apply([web, slice('web-1', ['10.244.1.1'])]);
  const { spec } = await controlPlane.read(web);
  const [v4, v6] = (spec as { clusterIPs: string[] }).clusterIPs;
  assert.match(`${v4} ${v6}`, /^10\.96\.\d+\.\d+ fd00:96::[0-9a-f]+$/);
  assert.deepEqual((await controlPlane.read(slice('web-1', []))).endpoints, slice('web-1', ['10.244.1.1']).endpoints);
  await controlPlane.apply([slice('web-1', ['10.244.1.2', '10.244.1.3'])]);
  assert.deepEqual((await controlPlane.read(slice('web-1', []))).endpoints, slice('web-1', ['10.244.1.2', '10.244.1.3']).endpoints);
});

test('removed objects are gone, and a refusal of the API server is an error with the reason', ground, async () => {
  const { controlPlane } = cluster;
  const gone = service('gone', {});
  await controlPlane.apply([gone]);
  await controlPlane.remove([gone]);
  await assert.rejects(controlPlane.read(gone), /Cannot read Service t\/gone: the API server answers 404/);
  await assert.rejects(
    controlPlane.apply([service('bad', { clusterIP: '192.0.2.1' })]),
    /Cannot apply Service t\/bad: .* 422: .*does not match the current range/s,
  );
});

test('the controller manager makes slices of ready pods', ground, async () => {
  await cluster.controlPlane.apply([
    service('shop', { selector: { app: 'shop' } }),
    readyPod('p1', 'shop', ['10.244.1.1', 'fd00:244:0:1::1']),
  ]);
  const slicesOfShop = ['get', 'endpointslices', '-n', 't', '-l', 'kubernetes.io/service-name=shop', '-o', ADDRESSES];
  await until('both addresses of the pod are in slices', async () => {
    const addresses = await kubectl(...slicesOfShop);
    return addresses.includes('10.244.1.1') && addresses.includes('fd00:244:0:1::1');
  });
});

test('an API server that was killed and started again has its objects', ground, async () => {
  const { controlPlane } = cluster;
  const kept = service('kept', {});
  await controlPlane.apply([kept]);
  const before = await controlPlane.read(kept);
  await controlPlane.stopApiServer();
  await assert.rejects(controlPlane.read(kept));
  await controlPlane.startApiServer();
  assert.deepEqual(await controlPlane.read(kept), before);
});

test('down leaves no process, cgroup or file, and the lab stands', ground, async () => {
  const { lab, controlPlane } = cluster;
  const { cgroup, dir } = traces(lab.topology.name);
  assert.equal(processes(lab.topology.name), 4);
  await controlPlane.down();
  assert.deepEqual([existsSync(cgroup), existsSync(dir)], [false, false]);
  assert.equal((await lab.exec('n1', ['true'])).code, 0);
});

for (const [signal, left] of [
  ['SIGINT', false],
  ['SIGKILL', true],
] as const) {
  test(`a process that ${signal} ends leaves ${left ? 'a lab without a process of the control plane' : 'nothing'}`, ground, async () => {
    const script = `import { raiseCluster } from './ground.ts'; await raiseCluster('i', [${JSON.stringify(N1)}]); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit', cwd: import.meta.dirname });
    const name = `i${child.pid}`;
    try {
      await until('etcd, the API server and the gate run', () => processes(name) === 3);
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
      assert.equal(labExists(name), left);
      if (left) await until('no process of the control plane is left', () => processes(name) === 0);
    } finally {
      child.kill('SIGKILL');
      await removeLab(name);
    }
  });
}

const traces = (lab: string) => ({
  cgroup: placeCgroup(findCgroupRoot() ?? assert.fail(), lab, '_control-plane'),
  dir: join(labDir(lab), 'control-plane'),
});

/** How many processes of the control plane there are, 0 if there is none. */
function processes(lab: string): number {
  const file = join(traces(lab).cgroup, 'cgroup.procs');
  return existsSync(file) ? (readFileSync(file, 'utf8').match(/\d+/g) ?? []).length : 0;
}
