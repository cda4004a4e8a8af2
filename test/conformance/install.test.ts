import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Lab } from '#lab/lab.ts';
import { CHECKOUT } from '#lab/paths.ts';
import { skipIf } from '#support/kernel-ground.ts';
import type { ApiObject } from '../cluster/api-client.ts';
import { clusterIP, nodeAddress, type PodSpec, service, slice } from '../datapath/objects.ts';
import { kubectl, raiseCluster, removeCluster, removeOnInterruption, whyNoCluster } from './cluster.ts';

const NAME = `i${process.pid}`;
const POD: PodSpec = { name: 'p200', node: 'n2' };
const NODE_PORT = 30080;
const ports = [{ name: 'tcp', protocol: 'TCP', port: 80, nodePort: NODE_PORT }] as const;
const objects = [service({ name: 'web', clusterIPs: [clusterIP(80)], ports }), slice({ of: 'web', pods: [POD] })] as ApiObject[];

const ground = skipIf(whyNoCluster());

let lab: Lab;

before(async () => {
  if (ground.skip) return;
  removeOnInterruption(NAME);
  lab = await raiseCluster({ name: NAME, nodes: 2, proxy: 'weir', objects });
});

after(async () => {
  lab?.close();
  await removeCluster(NAME);
});

const throughClusterIP = { protocol: 'tcp', address: clusterIP(80), port: 80 } as const;
const throughNodePort = { protocol: 'tcp', address: nodeAddress('n1'), port: NODE_PORT } as const;

test('weir as its DaemonSet balances for nodes and for outsiders', ground, async () => {
  const seen = [await lab.dial('n1', throughClusterIP), await lab.dial('outside', throughNodePort)];
  assert.deepEqual(
    seen.map((each) => each.outcome),
    ['answered', 'answered'],
  );
});

test('a rolling update loses no new connection', ground, async () => {
  const loads = [
    lab.load('n1', { target: throughClusterIP, concurrency: 2 }),
    lab.load('outside', { target: throughNodePort, concurrency: 2 }),
  ];
  const podsBefore = await pods();
  await kubectl(lab, ['--namespace=kube-system', 'rollout', 'restart', 'daemonset/weir']);
  await kubectl(lab, ['--namespace=kube-system', 'rollout', 'status', '--timeout=120s', 'daemonset/weir']);
  const podsAfter = await pods();
  for (const load of loads) {
    load.stop();
    const { failures, answered } = await load.done;
    assert.deepEqual(failures, {});
    assert.ok(answered > 0);
  }
  assert.equal(podsAfter.length, 2);
  assert.deepEqual(
    podsAfter.filter((pod) => podsBefore.includes(pod)),
    [],
  );
});

const pods = async (): Promise<string[]> => {
  const names = await kubectl(lab, ['--namespace=kube-system', 'get', 'pods', '-l', 'app.kubernetes.io/name=weir', '-o', 'name']);
  return names.trim().split('\n');
};

test('nothing is left of a cluster that is removed', ground, async () => {
  lab.close();
  await removeCluster(NAME);
  const { stdout } = spawnSync(join(CHECKOUT, 'scripts/leftovers'), { encoding: 'utf8' });
  assert.deepEqual(
    stdout.split('\n').filter((line) => line.includes(NAME)),
    [],
  );
});
