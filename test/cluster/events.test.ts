/** Events as a real API server takes and shows them, of an agent that has the rights of kube-proxy and no others. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { clusterIP, node, nodeAddress, numbered, outerIP, type PodSpec, parked, slices } from '../datapath/objects.ts';
import { until, untilAnsweredBy } from '../datapath/paths.ts';
import type { ApiObject } from './api-client.ts';
import { whyNoControlPlane } from './binaries.ts';
import { type Cluster, raiseCluster } from './ground.ts';

/** An Event of core/v1, which is how kubectl reads Events of events.k8s.io. */
interface SeenEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly action: string;
  readonly reportingComponent: string;
  readonly reportingInstance: string;
  readonly involvedObject: { readonly kind: string; readonly namespace: string; readonly name: string };
}

const [P1, P2]: [PodSpec, PodSpec] = [
  { name: 'p1', node: 'n1' },
  { name: 'p2', node: 'n1' },
];
const N1 = node('n1') as ApiObject;
const CHECK_PORT = 32_000;

const ground = skipIf(whyNoControlPlane() ?? whyNoDatapath());

let cluster: Cluster;

before(async () => {
  if (ground.skip) return;
  cluster = await raiseCluster('e', [N1, ...parked([P1, P2])]);
  await cluster.controlPlane.apply([N1]);
  await start();
});

after(() => cluster?.lab.down());

const start = (...flags: string[]): Promise<unknown> =>
  cluster.lab.agent('n1').start({ extraFlags: ['--source', 'api', '--kubeconfig', cluster.controlPlane.proxyKubeconfig, ...flags] });

const web = (n: number, pods: readonly PodSpec[], spec: object = {}): ApiObject[] =>
  [numbered(`web-${n}`, n, { spec: { ipFamilyPolicy: 'RequireDualStack', ...spec } }), ...slices({ of: `web-${n}`, pods })] as ApiObject[];

/** What kubectl shows that describes an object: it looks for the uid, too (client-go, GetFieldSelector). */
async function described(kind: string, namespace: string, name: string, uid: string): Promise<SeenEvent[]> {
  const fields = { kind, namespace, name, uid };
  const selected = Object.entries(fields).map(([field, value]) => [`involvedObject.${field}`, value]);
  return cluster.controlPlane.list('/api/v1/events', Object.fromEntries(selected));
}

/** Waits for an Event of that reason at a Service. */
async function eventOf(name: string, reason: string): Promise<SeenEvent> {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { namespace: 't', name } };
  const { uid } = (await cluster.controlPlane.read(service)).metadata as { uid?: string };
  let seen: SeenEvent | undefined;
  await until(`an Event ${reason} of ${name}`, async () => {
    seen = (await described('Service', 't', name, uid ?? 'none')).find((event) => event.reason === reason);
    return seen !== undefined;
  });
  return seen as SeenEvent;
}

test('a Node shows that weir has started on it', ground, async () => {
  let seen: SeenEvent[] = [];
  await until('an Event', async () => {
    seen = await described('Node', '', 'n1', 'n1');
    return seen.some(({ reason }) => reason === 'Starting');
  });
  const event = seen.find(({ reason }) => reason === 'Starting');
  assert.deepEqual(
    [event?.type, event?.message, event?.action, event?.reportingComponent, event?.reportingInstance],
    ['Normal', 'Starting weir', 'StartWeir', 'weir', 'n1'],
  );
});

test('the younger of two Services that want one address shows what it lacks and who has it', ground, async () => {
  const { controlPlane, lab } = cluster;
  const externalIPs = [outerIP(7)];
  await controlPlane.apply(web(20, [P1], { externalIPs }));
  await untilAnsweredBy(lab, 'n1', { protocol: 'tcp', address: outerIP(7), port: 80 }, 'p1');
  await new Promise((resolve) => setTimeout(resolve, 1100)); // creationTimestamp counts seconds
  await controlPlane.apply(web(21, [P2], { externalIPs }));
  const { type, message } = await eventOf('web-21', 'AddressConflict');
  assert.equal(type, 'Warning');
  assert.match(message, /^Cannot give 198\.51\.100\.7:80\/\w+ to Service "t\/web-21:\w+": Service "t\/web-20:\w+" keeps it/);
});

test('a health check node port that is taken is shown at its Service', ground, async () => {
  const { controlPlane, lab } = cluster;
  const server = `require('net').createServer(() => process.exit()).listen(${CHECK_PORT}, () => console.log('taken'))`;
  const taken = lab.exec('n1', ['timeout', '60', process.execPath, '-e', server]);
  await until('the port is taken', async () => (await lab.exec('n1', ['ss', '-Hltn', 'sport', '=', `:${CHECK_PORT}`])).stdout !== '');
  await controlPlane.apply(web(22, [P1], { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: CHECK_PORT }));
  const { message } = await eventOf('web-22', 'FailedToStartServiceHealthcheck');
  assert.match(message, /^Node n1: Cannot open spec\.healthCheckNodePort 32000 of Service t\/web-22 at /);
  await lab.dial('n1', { protocol: 'tcp', address: nodeAddress('n1'), port: CHECK_PORT });
  await taken;
});

test('a Service that does not fit is shown at it, with the table that is full', ground, async () => {
  const { controlPlane, lab } = cluster;
  await lab.agent('n1').kill();
  await start('--map-size', 'backends=20');
  await controlPlane.apply([23, 24, 25, 26].flatMap((n) => web(n, [P1, P2])));
  let full: SeenEvent[] = [];
  await until('an Event', async () => {
    full = await controlPlane.list('/api/v1/namespaces/t/events', { reason: 'TableFull' });
    return full.length > 0;
  });
  for (const { involvedObject } of full) {
    const { message } = await eventOf(involvedObject.name, 'TableFull');
    assert.match(message, new RegExp(`^Node n1: Cannot program Service "t/${involvedObject.name}:.*backends.* 20 `));
  }
  assert.notEqual((await lab.dial('n1', { protocol: 'tcp', address: clusterIP(20), port: 80 })).outcome, 'timeout');
});
