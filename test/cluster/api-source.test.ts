import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WEIR } from '#lab/paths.ts';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { stateDir } from '../datapath/ground.ts';
import {
  clusterIP,
  FAMILIES,
  type Family,
  node,
  nodeAddress,
  nodePort,
  numbered,
  type PodSpec,
  parked,
  slices,
} from '../datapath/objects.ts';
import { until, untilAnsweredBy } from '../datapath/paths.ts';
import type { ApiObject } from './api-client.ts';
import { whyNoControlPlane } from './binaries.ts';
import { type Cluster, raiseCluster } from './ground.ts';

const [P1, P2, CLIENT]: [PodSpec, PodSpec, PodSpec] = [
  { name: 'p1', node: 'n1' },
  { name: 'p2', node: 'n1' },
  { name: 'p9', node: 'n1' },
];
const N1 = node('n1') as ApiObject;

const ground = skipIf(whyNoControlPlane() ?? whyNoDatapath());

let cluster: Cluster;
let source: string[];

before(async () => {
  if (ground.skip) return;
  cluster = await raiseCluster('s', [N1, ...parked([P1, P2, CLIENT])]);
  source = ['--source', 'api', '--kubeconfig', cluster.controlPlane.kubeconfig];
  await cluster.controlPlane.apply([N1]);
  await cluster.lab.agent('n1').start({ extraFlags: source });
});

after(() => cluster?.lab.down());

/** Service number `n` and its slices, as the API server takes them. */
const web = (n: number, pods: readonly PodSpec[]): ApiObject[] =>
  [numbered(`web-${n}`, n, { spec: { ipFamilyPolicy: 'RequireDualStack' } }), ...slices({ of: `web-${n}`, pods })] as ApiObject[];

const target = (n: number, family: Family = 4) => ({ protocol: 'tcp', address: clusterIP(n, family), port: 80 }) as const;

async function untilWebAnswers(n: number, { name }: PodSpec): Promise<void> {
  const { lab } = cluster;
  for (const family of FAMILIES) {
    for (const from of ['n1', 't/p9']) await untilAnsweredBy(lab, from, target(n, family), name);
    await untilAnsweredBy(lab, 'outside', { protocol: 'tcp', address: nodeAddress('n1', family), port: nodePort(n) }, name);
  }
}

test('a Service made through the API answers pods, the node and the outside; so does its next endpoint', ground, async () => {
  await cluster.controlPlane.apply(web(10, [P1]));
  await untilWebAnswers(10, P1);
  await cluster.controlPlane.apply(slices({ of: 'web-10', pods: [P2] }) as ApiObject[]);
  await untilWebAnswers(10, P2);
});

test('the Service of the API server itself leads to it', ground, async () => {
  const curl = `fetch('https://10.96.0.1/livez').catch((error) => console.log(error.cause.code))`;
  const { stdout } = await cluster.lab.exec('t/p9', [process.execPath, '-e', curl]);
  assert.match(stdout, /SELF_SIGNED|UNABLE_TO_VERIFY/, 'a TLS server answered');
});

test('Services answer while the API server is dead; when it lives again, changes arrive', ground, async () => {
  const { lab, controlPlane } = cluster;
  await controlPlane.apply(web(11, [P1]));
  await untilWebAnswers(11, P1);
  await controlPlane.stopApiServer();
  await untilWebAnswers(11, P1);
  assert.equal((await lab.dial('n1', target(12))).outcome, 'timeout');
  await controlPlane.startApiServer();
  await controlPlane.apply([...web(11, [P2]), ...web(12, [P2])]);
  await untilWebAnswers(11, P2);
  await untilWebAnswers(12, P2);
});

test('an agent that starts while the API server is dead leaves the kernel as it is, and follows when it lives again', ground, async () => {
  const { lab, controlPlane } = cluster;
  await controlPlane.apply(web(13, [P1]));
  await untilWebAnswers(13, P1);
  await controlPlane.stopApiServer();
  await lab.agent('n1').kill();
  const started = lab.agent('n1').start({ extraFlags: source });
  await untilWebAnswers(13, P1);
  await controlPlane.startApiServer();
  await started;
  await controlPlane.apply(web(13, [P2]));
  await untilWebAnswers(13, P2);
});

test('watches that are cut in the middle go on', ground, async () => {
  const { lab, controlPlane } = cluster;
  await controlPlane.apply(web(14, [P1]));
  await untilWebAnswers(14, P1);
  const { stdout } = await lab.exec('n1', ['ss', '-HK', 'dport', '=', ':6443']);
  assert.match(stdout, /:6443/, 'there were connections to cut');
  await controlPlane.apply(web(14, [P2]));
  await untilWebAnswers(14, P2);
});

test('a Service that is removed does not answer any more', ground, async () => {
  const { lab, controlPlane } = cluster;
  await controlPlane.apply(web(15, [P1]));
  await untilWebAnswers(15, P1);
  await controlPlane.remove(web(15, []));
  await until('no endpoint answers', async () => (await lab.dial('n1', target(15))).outcome !== 'answered');
});

test('a second agent on a node is refused, the first one goes on', ground, async () => {
  const { lab, controlPlane } = cluster;
  const second = await lab.exec('n1', [
    'timeout',
    '60',
    WEIR,
    'run',
    ...source,
    '--node-name',
    'n1',
    ...stateDir(lab, 'n1'),
    '--cgroup-root',
    lab.place('n1').cgroup,
  ]);
  assert.equal(second.code, 4);
  assert.match(second.stderr, /another weir agent runs/);
  await controlPlane.apply(web(16, [P1]));
  await untilWebAnswers(16, P1);
});
