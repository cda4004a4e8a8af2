/** What a real API server refuses, and how the agent says it: waiting and mending help, so it goes on trying. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { manifestsDir } from '#lab/paths.ts';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { node, parked } from '../datapath/objects.ts';
import { until } from '../datapath/paths.ts';
import type { ApiObject } from './api-client.ts';
import { whyNoControlPlane } from './binaries.ts';
import { type Cluster, raiseCluster } from './ground.ts';

const N1 = node('n1') as ApiObject;

const ground = skipIf(whyNoControlPlane() ?? whyNoDatapath());

let cluster: Cluster;

before(async () => {
  if (ground.skip) return;
  cluster = await raiseCluster('b', [N1, ...parked([{ name: 'p1', node: 'n1' }])]);
});

after(() => cluster?.lab.down());

/** The kubeconfig, with its token and its authority as they are or others. */
function kubeconfig({ token, authority }: { token?: string; authority?: string } = {}): string {
  const text = readFileSync(cluster.controlPlane.kubeconfig, 'utf8');
  const withToken = token === undefined ? text : text.replace(/token: .*/, `token: ${token}`);
  return authority === undefined ? withToken : withToken.replace(/certificate-authority-data: .*/, `certificate-authority: ${authority}`);
}

/** Starts the agent with a bad kubeconfig, waits for what it says, mends the file and waits until it serves. */
async function mended(bad: string, says: RegExp): Promise<void> {
  const agent = cluster.lab.agent('n1');
  const file = join(manifestsDir(cluster.lab.topology.name), '..', 'kubeconfig');
  writeFileSync(file, bad);
  const started = agent.start({ extraFlags: ['--source', 'api', '--kubeconfig', file] });
  await until(`the agent says ${says}`, async () => says.test(agent.log));
  assert.equal(agent.log.match(new RegExp(says, 'gm'))?.length, 1, agent.log);
  assert.doesNotMatch(agent.log, /Ready: /);
  writeFileSync(`${file}.new`, kubeconfig());
  renameSync(`${file}.new`, file);
  await started;
  await agent.kill();
}

test('a token that the server does not know is said once; the right one is taken from the file without a restart', ground, () =>
  mended(kubeconfig({ token: 'unknown' }), /WARN .*answered 401 .*trying again$/m),
);

test('a server with an unknown certificate is reported, with the remedy', ground, async () => {
  const other = join(manifestsDir(cluster.lab.topology.name), '..', 'other.crt');
  const { stdout, code } = await cluster.lab.exec('n1', [
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-subj', '/CN=other'],
    ...['-keyout', '/dev/null'],
  ]);
  assert.equal(code, 0);
  writeFileSync(other, stdout);
  await mended(kubeconfig({ authority: other }), /WARN .*certificate.*(certificate-authority|signed).*trying again$/m);
});

test('a user without rights is reported with the missing right, for each resource', ground, async () => {
  const { controlPlane, lab } = cluster;
  await controlPlane.apply([N1]);
  const file = join(manifestsDir(lab.topology.name), '..', 'kubeconfig');
  // The API server's own role for kube-proxy is bound to that user: without it the same user may do nothing
  const binding = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'system:node-proxier' } };
  const bound = await controlPlane.read(binding as ApiObject);
  await controlPlane.remove([binding as ApiObject]);
  writeFileSync(file, readFileSync(controlPlane.proxyKubeconfig));
  const agent = lab.agent('n1');
  const started = agent.start({ extraFlags: ['--source', 'api', '--kubeconfig', file] });
  for (const resource of ['services', 'endpointslices', 'nodes', 'servicecidrs'])
    await until(`it asks for ${resource}`, async () =>
      new RegExp(`answered 403 .*Allow list and watch on ${resource} to the user that it names`).test(agent.log),
    );
  const { metadata, ...rest } = bound as ApiObject & { metadata: { name: string } };
  await controlPlane.apply([{ ...rest, metadata: { name: metadata.name } } as ApiObject]);
  await started;
  await agent.kill();
});

test('a Node that does not exist yet is said; NodePorts come with it', ground, async () => {
  const { controlPlane, lab } = cluster;
  await controlPlane.remove([N1]);
  const agent = lab.agent('n1');
  await agent.start({ extraFlags: ['--source', 'api', '--kubeconfig', controlPlane.kubeconfig] });
  assert.match(agent.log, /WARN +The source has no Node n1: no NodePort is served until it has/);
  const nodePorts = async (): Promise<string> => (await lab.exec('n1', ['nft', 'list', 'set', 'inet', 'weir', 'node_addresses4'])).stdout;
  assert.doesNotMatch(await nodePorts(), /elements/);
  await controlPlane.apply([N1]);
  await until('the address of the Node serves NodePorts', async () => /elements/.test(await nodePorts()));
});
