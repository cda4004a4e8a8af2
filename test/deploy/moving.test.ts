/** From kube-proxy to weir and back, on a node that serves all the while: what docs/install.md says to do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CHECKOUT } from '#lab/paths.ts';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import type { ApiObject } from '../cluster/api-client.ts';
import { whyNoControlPlane } from '../cluster/binaries.ts';
import { type Cluster, raiseCluster } from '../cluster/ground.ts';
import { weir } from '../datapath/ground.ts';
import { clusterIP, node, nodeAddress, numbered, slices } from '../datapath/objects.ts';
import { tcp, until } from '../datapath/paths.ts';

const KUBE_PROXY = join(CHECKOUT, '.cache/cluster/bin/kube-proxy');

const whyNoKubeProxy = (): string | undefined =>
  existsSync(KUBE_PROXY) ? undefined : 'no kube-proxy: run test/cluster/build, the first time takes minutes';

const ground = skipIf(whyNoControlPlane() ?? whyNoKubeProxy() ?? whyNoDatapath());

const P1 = { name: 'p1', node: 'n1' } as const;
const OBJECTS = [
  { ...node('n1'), spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24', 'fd00:244:0:1::/64'] } },
  numbered('web', 10, { spec: { ipFamilyPolicy: 'RequireDualStack' } }),
  ...slices({ of: 'web', pods: [P1] }),
] as ApiObject[];
const BY_NODE = tcp(nodeAddress('n1'), 30_010);

let cluster: Cluster;

before(async () => {
  if (ground.skip) return;
  cluster = await raiseCluster('v', OBJECTS);
  await cluster.controlPlane.apply(OBJECTS);
});

after(() => cluster?.lab.down());

/** Starts kube-proxy on n1 and waits until it serves; returns what ends it. */
async function startKubeProxy(): Promise<() => Promise<unknown>> {
  const { lab, controlPlane } = cluster;
  const flags = [
    '--proxy-mode=nftables',
    '--hostname-override=n1',
    '--cluster-cidr=10.244.0.0/16,fd00:244::/48',
    '--conntrack-max-per-core=0',
  ];
  const child = lab.spawn('n1', [KUBE_PROXY, '--kubeconfig', controlPlane.proxyKubeconfig, ...flags], { stdio: 'ignore' });
  await until('kube-proxy serves', async () => {
    const { stdout } = await lab.exec('n1', ['nft', 'list', 'table', 'ip', 'kube-proxy']);
    return stdout.includes('10.244.1.1') && stdout.includes('30010');
  });
  return async () => {
    child.kill();
    await once(child, 'exit');
  };
}

test('no connection fails or breaks on the way from kube-proxy to weir and back', ground, async () => {
  const { lab, controlPlane } = cluster;
  const source = ['--source', 'api', '--kubeconfig', controlPlane.proxyKubeconfig];
  const stopKubeProxy = await startKubeProxy();
  const held = lab.hold('outside', { target: BY_NODE, everyMs: 20 });
  const loads = [
    lab.load('outside', { target: BY_NODE, concurrency: 2 }),
    lab.load('n1', { target: tcp(clusterIP(10), 80), concurrency: 2 }),
  ];

  await lab.agent('n1').start({ extraFlags: source });
  await stopKubeProxy();
  const cleaned = await lab.exec('n1', [KUBE_PROXY, '--cleanup']);
  assert.equal(cleaned.code, 0, cleaned.stderr);
  assert.equal((await lab.exec('n1', ['nft', 'list', 'tables'])).stdout.includes('kube-proxy'), false);
  const heldByWeir = lab.hold('outside', { target: BY_NODE, everyMs: 20 });
  assert.equal((await lab.dial('outside', BY_NODE)).outcome, 'answered');

  const stopAgain = await startKubeProxy();
  await lab.agent('n1').kill();
  assert.match(await weir(lab, 'n1', 'cleanup'), /table inet weir/);
  assert.equal((await lab.dial('outside', BY_NODE)).outcome, 'answered');

  for (const load of loads) {
    const { answered, requests, failures } = await load.stop();
    assert.deepEqual([failures, requests - answered], [{}, 0]);
    assert.ok(answered > 100, `${answered}`);
  }
  for (const hold of [held, heldByWeir]) {
    const { brokenBy, sent, answered } = await hold.stop();
    assert.equal(brokenBy, undefined);
    assert.ok(sent - answered <= 1 && answered > 10, `${answered} of ${sent}`);
  }
  await stopAgain();
});
