/** An agent that is started again goes on from what the one before it wrote down, and is not fooled by it. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { journalDir } from '#lab/paths.ts';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { clusterIP, node, numbered, type PodSpec, parked, slices } from '../datapath/objects.ts';
import { until, untilAnsweredBy } from '../datapath/paths.ts';
import type { ApiObject } from './api-client.ts';
import { whyNoControlPlane } from './binaries.ts';
import { type Cluster, raiseCluster } from './ground.ts';

const [P1, P2]: [PodSpec, PodSpec] = [
  { name: 'p1', node: 'n1' },
  { name: 'p2', node: 'n1' },
];
const N1 = node('n1') as ApiObject;

const ground = skipIf(whyNoControlPlane() ?? whyNoDatapath());

let cluster: Cluster;

before(async () => {
  if (ground.skip) return;
  cluster = await raiseCluster('j', [N1, ...parked([P1, P2])]);
  await cluster.controlPlane.apply([N1, ...web(10, P1), ...web(11, P1), ...web(12, P1)]);
  await start();
  await untilWrittenDown();
});

after(() => cluster?.lab.down());

const slicesOf = (n: number, pod: PodSpec): ApiObject[] => slices({ of: `web-${n}`, pods: [pod] }) as ApiObject[];

/** Service number `n` and its slices, as the API server takes them. */
const web = (n: number, pod: PodSpec): ApiObject[] => [
  numbered(`web-${n}`, n, { spec: { ipFamilyPolicy: 'RequireDualStack' } }) as ApiObject,
  ...slicesOf(n, pod),
];

const target = (n: number) => ({ protocol: 'tcp', address: clusterIP(n, 4), port: 80 }) as const;

const untilAnswers = (n: number, { name }: PodSpec): Promise<void> => untilAnsweredBy(cluster.lab, 'n1', target(n), name);

const untilUnanswered = (n: number): Promise<void> =>
  until(`no endpoint answers for web-${n}`, async () => (await cluster.lab.dial('n1', target(n))).outcome !== 'answered');

async function start(): Promise<void> {
  await cluster.lab.agent('n1').start({ extraFlags: ['--source', 'api', '--kubeconfig', cluster.controlPlane.kubeconfig] });
}

const kill = (): Promise<void> => cluster.lab.agent('n1').kill('SIGKILL');

async function untilWrittenDown(): Promise<void> {
  const dir = journalDir(cluster.lab.topology.name, 'n1');
  await until(
    'what the API server said is written down',
    async () => existsSync(dir) && readdirSync(dir).some((name) => name.endsWith('.journal')),
  );
}

/** Requests for all objects of a kind that agents make while something is done. */
async function listsDuring(act: () => Promise<void>): Promise<string[]> {
  const { length } = cluster.controlPlane.agentRequests();
  await act();
  const requests = cluster.controlPlane.agentRequests().slice(length);
  assert.ok(requests.length > 0);
  return requests.filter(
    (request) => request.includes('sendInitialEvents') || request.includes('limit=500') || request.includes('limit=0'),
  );
}

test('what changed, came and went while no agent ran is in force without a list', ground, async () => {
  await kill();
  await cluster.controlPlane.apply([...slicesOf(10, P2), ...web(13, P1)]);
  await cluster.controlPlane.remove(web(12, P1));
  assert.deepEqual(await listsDuring(start), []);
  await untilAnswers(10, P2);
  await untilAnswers(11, P1);
  await untilAnswers(13, P1);
  await untilUnanswered(12);
  await cluster.controlPlane.apply(slicesOf(11, P2));
  await untilAnswers(11, P2);
});

test('an API server that restarts meanwhile may have forgotten revisions; everything is as it should be', ground, async () => {
  const { controlPlane } = cluster;
  await kill();
  await controlPlane.apply(slicesOf(10, P1));
  await controlPlane.stopApiServer();
  await controlPlane.startApiServer();
  await controlPlane.apply(slicesOf(11, P1));
  await start();
  await untilAnswers(10, P1);
  await untilAnswers(11, P1);
});

test('killed at any moment while things change, an agent leaves what the next one goes on from', ground, async () => {
  const { controlPlane } = cluster;
  const numbers = Array.from({ length: 10 }, (_, i) => 40 + i);
  await controlPlane.apply(numbers.flatMap((n) => web(n, P1)));
  // The API server of the test before may have forgotten revisions, and the agent may still be listing those kinds
  await until('the agent resumes without a list', async () => {
    await kill();
    return (await listsDuring(start)).length === 0;
  });
  for (let round = 0; round < 6; round++) {
    const pod = round % 2 === 0 ? P2 : P1;
    const changing = (async () => {
      for (const n of numbers) await controlPlane.apply(slicesOf(n, pod));
    })();
    await sleep(5 + 10 * round);
    await kill();
    await changing;
    assert.deepEqual(await listsDuring(start), [], `round ${round}`);
    for (const n of numbers) await untilAnswers(n, pod);
  }
});

test('a file that is damaged is said once and asked for anew', ground, async () => {
  const dir = journalDir(cluster.lab.topology.name, 'n1');
  await kill();
  for (const name of readdirSync(dir)) cpSync('/proc/self/status', `${dir}/${name}`);
  assert.equal((await listsDuring(start)).length, 4);
  assert.equal(cluster.lab.agent('n1').log.match(/is damaged from its beginning: listing everything from the API server/g)?.length, 1);
  await untilAnswers(10, P1);
  await untilWrittenDown();
});

test('an etcd that was restored from a backup counts, not the journal', ground, async () => {
  const { controlPlane, lab } = cluster;
  await controlPlane.changeStore((dir) => cpSync(dir, `${dir}.kept`, { recursive: true }));
  await controlPlane.apply([...web(14, P1), ...slicesOf(10, P2)]);
  await untilAnswers(14, P1);
  // More versions than a server makes that starts
  for (let i = 0; i < 150; i++) await controlPlane.apply(slicesOf(14, i % 2 === 0 ? P2 : P1));
  await untilAnswers(14, P1);
  await kill();
  await controlPlane.changeStore((dir) => {
    rmSync(dir, { recursive: true });
    cpSync(`${dir}.kept`, dir, { recursive: true });
  });
  // Versions of objects that have not changed since the backup are still right
  const lists = (await listsDuring(start)).join();
  for (const path of ['/api/v1/services', '/apis/discovery.k8s.io/v1/endpointslices']) assert.ok(lists.includes(`${path}?`), lists);
  await untilAnswers(10, P1);
  await untilUnanswered(14);
  assert.doesNotMatch(lab.agent('n1').log, /WARN .*doubt/);
  await untilWrittenDown();
});

test('another cluster at the same address begins with nothing of the one before', ground, async () => {
  const { controlPlane } = cluster;
  await kill();
  await controlPlane.changeStore((dir) => rmSync(dir, { recursive: true }));
  await controlPlane.apply([N1, ...web(20, P2)]);
  assert.equal((await listsDuring(start)).length, 4);
  await untilAnswers(20, P2);
  await untilUnanswered(10);
});
