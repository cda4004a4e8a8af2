import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { node, type PodSpec, parked, service, slice } from '../datapath/objects.ts';
import { untilAnsweredBy } from '../datapath/paths.ts';
import { dump, until } from '../scale/ground.ts';
import type { ApiObject } from './api-client.ts';
import { whyNoControlPlane } from './binaries.ts';
import { type Cluster, raiseCluster } from './ground.ts';

const SERVICES = 5000;
/** One in so many has an endpoint: the API server takes several milliseconds for each object, and those without refuse, which tells as much. */
const EVERY = 20;
const POD: PodSpec = { name: 'p1', node: 'n1' };
const N1 = node('n1') as ApiObject;

const ground = skipIf(whyNoControlPlane() ?? whyNoDatapath());

let cluster: Cluster;

before(async () => {
  if (ground.skip) return;
  cluster = await raiseCluster('m', [N1, ...parked([POD])]);
});

after(() => cluster?.lab.down());

const address = (i: number): string => `10.96.${1 + Math.floor(i / 250)}.${i % 250}`;

function objects(first: number, end: number): ApiObject[] {
  const numbers = Array.from({ length: end - first }, (_, i) => first + i);
  const ports = [{ name: 'tcp', protocol: 'TCP', port: 80 }] as const;
  return [
    ...numbers.map((i) => service({ name: `many-${i}`, clusterIPs: [address(i)], ports })),
    ...numbers.filter((i) => i % EVERY === 0).map((i) => slice({ of: `many-${i}`, pods: [POD] })),
  ] as ApiObject[];
}

test(`${SERVICES} Services of which half arrive while the agent starts are all served`, ground, async () => {
  const { lab, controlPlane } = cluster;
  await controlPlane.apply([N1, ...objects(0, SERVICES / 2)]);
  const arriving = controlPlane.apply(objects(SERVICES / 2, SERVICES));
  await lab.agent('n1').start({ extraFlags: ['--source', 'api', '--kubeconfig', controlPlane.kubeconfig] });
  await arriving;
  await until('all Services are in the tables', async () => {
    const { frontends } = await dump(lab);
    return new Set(frontends.map((frontend) => frontend.service)).size === SERVICES + 1;
  });
  for (let i = 0; i < SERVICES; i += EVERY) await untilAnsweredBy(lab, 'n1', { protocol: 'tcp', address: address(i), port: 80 }, POD.name);
  for (let i = 1; i < SERVICES; i += EVERY)
    assert.equal((await lab.dial('n1', { protocol: 'tcp', address: address(i), port: 80 })).outcome, 'refused', address(i));
});
