/** Session affinity by client address, for sockets and for packets. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Target } from '#lab/probe.ts';
import { ip, raise, scaled } from './ground.ts';
import { balanced, CLIENT, clusterIP, FAMILIES, nodeAddress, nodePort, numbered, outerIP, type PodSpec, slices } from './objects.ts';
import { answeredBy, tcp, udp, until } from './paths.ts';

const PODS: readonly PodSpec[] = [1, 2, 3, 4, 5, 6].map((n) => ({ name: `p${n}`, node: n < 4 ? 'n1' : 'n2' }));
const STICKY = 1;

/** Seconds. Long enough for two questions on a slow machine. */
const TIMEOUT = Math.ceil(scaled(2000) / 1000);
/** A pod among six is met by all of these by chance less than once in 300 million runs. */
const QUESTIONS = 12;

type Path = readonly [from: string, target: Target];

const target = (protocol: 'tcp' | 'udp', address: string, port: number): Target => ({ tcp, udp })[protocol](address, port);

/** By sockets and by packets. */
const PATHS: readonly Path[] = FAMILIES.flatMap((family) =>
  (['tcp', 'udp'] as const).flatMap((protocol): Path[] => [
    ['t/p9', target(protocol, clusterIP(STICKY, family), 80)],
    ['n1', target(protocol, clusterIP(STICKY, family), 80)],
    ['outside', target(protocol, nodeAddress('n1', family), nodePort(STICKY))],
  ]),
);

const lab = await raise('y', { pods: [...PODS, CLIENT] });

before(() => {
  for (const family of FAMILIES) ip(lab, 'wire', `route replace ${outerIP(STICKY, family)} via ${nodeAddress('n1', family)}`);
});

const CLIENT_IP = { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } } };

function publish(affinity: object, pods: Parameters<typeof slices>[0]['pods'] = PODS): void {
  lab.writeManifest('sticky.json', [numbered('sticky', STICKY, balanced(STICKY, affinity)), ...slices({ of: 'sticky', pods })]);
}

/** Who answers, one question after the other. */
async function ask([from, to]: Path, questions = QUESTIONS): Promise<string[]> {
  const pods: string[] = [];
  for (let i = 0; i < questions; i++) pods.push(...answeredBy([await lab.dial(from, { ...to, timeoutMs: scaled(5000) })]));
  return [...new Set(pods)];
}

const askAll = (questions?: number): Promise<string[][]> => Promise.all(PATHS.map((path) => ask(path, questions)));

const allAreServed = async (): Promise<boolean> => {
  const seen = await Promise.all(PATHS.map(([from, to]) => lab.dial(from, { ...to, timeoutMs: scaled(500) })));
  return seen.every(({ outcome }) => outcome === 'answered');
};

/** The Service is there, and sticks. */
async function untilSticky(affinity: object = CLIENT_IP): Promise<void> {
  publish(affinity);
  await until('the Service is there', allAreServed);
  await until('it sticks', async () => (await askAll()).every((pods) => pods.length === 1));
}

test('new connections of one client go where its earlier ones went [affinity]', async () => {
  await untilSticky();
  const before = await askAll(1);
  assert.deepEqual(await askAll(), before);
});

test('whichever address of the Service is dialled, it is the same endpoint [affinity-scope]', async () => {
  await untilSticky();
  for (const family of FAMILIES)
    for (const protocol of ['tcp', 'udp'] as const) {
      const atNode = target(protocol, nodeAddress('n1', family), nodePort(STICKY));
      const atBalancer = target(protocol, outerIP(STICKY, family), 80);
      const atCluster = target(protocol, clusterIP(STICKY, family), 80);
      assert.deepEqual(await ask(['outside', atBalancer], 1), await ask(['outside', atNode], 1), `${protocol} ${family} from outside`);
      const [first, ...others] = await Promise.all([atCluster, atNode, atBalancer].map((to) => ask(['t/p9', to], 1)));
      for (const other of others) assert.deepEqual(other, first, `${protocol} ${family} from a pod`);
    }
});

test('it is switched off and on again while the Service lives [affinity-switch]', async () => {
  await untilSticky();
  publish({ sessionAffinity: 'None' });
  await until('all paths spread', async () => (await askAll()).every((pods) => pods.length > 1));
  await untilSticky();
});

test('an endpoint that drains or is gone gets no new connection [affinity-gone]', async () => {
  await untilSticky();
  const [[left = '']] = (await askAll(1)) as [string[]];
  const name = left.replace('t/', '');
  const draining = { ready: false, serving: true, terminating: true };
  publish(
    CLIENT_IP,
    PODS.map((pod) => (pod.name === name ? { ...pod, conditions: draining } : pod)),
  );
  await until('no client meets the draining one', async () => (await askAll(2)).every((pods) => !pods.includes(left)));
  let second: string[][] = [];
  // An old UDP flow of the same port goes on where it went
  await until('all stick to others', async () => {
    second = await askAll();
    return second.every((pods) => pods.length === 1 && !pods.includes(left));
  });
  const gone = new Set([left, ...(second[0] as string[])]);
  publish(
    CLIENT_IP,
    PODS.filter((pod) => !gone.has(`t/${pod.name}`)),
  );
  await until('no client meets removed ones', async () => (await askAll(2)).flat().every((pod) => !gone.has(pod)));
  // An old UDP flow of the same port would go on where it went
  await lab.exec('n1', ['conntrack', '-F']);
  assert.ok((await askAll()).every((pods) => pods.length === 1));
});

test('it ends some seconds after the last new connection, not after the first [affinity-timeout]', async () => {
  await untilSticky({ ...CLIENT_IP, sessionAffinityConfig: { clientIP: { timeoutSeconds: TIMEOUT } } });
  const first = await askAll(1);
  for (let i = 0; i < 3; i++) {
    await sleep((TIMEOUT * 1000) / 2);
    assert.deepEqual(await askAll(1), first);
  }
  await sleep(TIMEOUT * 1000 + 100);
  assert.notDeepEqual(await askAll(1), first);
});
