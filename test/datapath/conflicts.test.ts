/** Services that want one address and port: real traffic goes to the older one, and to the other when that one goes. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ip, raise, weir } from './ground.ts';
import {
  CLIENT,
  clusterIP,
  FAMILIES,
  type Family,
  nodeAddress,
  nodePort,
  numbered,
  outerIP,
  type PodSpec,
  podAddress,
  slices,
} from './objects.ts';
import { answer, assertPaths, type Path, tcp, udp, until, untilAnsweredBy } from './paths.ts';

const [P1, P2]: readonly [PodSpec, PodSpec] = [
  { name: 'p1', node: 'n1' },
  { name: 'p2', node: 'n1' },
];
const [OLD, YOUNG, SHARED] = [1, 2, 3];
const BIRTHS = { old: '2026-01-01T00:00:00Z', young: '2026-02-01T00:00:00Z' };

const lab = await raise('c', { nodes: ['n1'], pods: [P1, P2, CLIENT] });

before(() => {
  for (const family of FAMILIES) ip(lab, 'wire', `route replace ${outerIP(SHARED, family)} via ${nodeAddress('n1', family)}`);
});

/** What a Service is beside its name, number and pod. */
interface Wants {
  readonly createdAt?: string;
  readonly spec?: object;
}

/** Service and slices, all of its own but what `spec` shares. */
function claimant(name: string, number: number, pod: PodSpec, { createdAt, spec = {} }: Wants): object[] {
  const service = numbered(name, number, { spec }) as { metadata: object };
  return [{ ...service, metadata: { ...service.metadata, creationTimestamp: createdAt } }, ...slices({ of: name, pods: [pod] })];
}

const old = (spec: object): object[] => claimant('old', OLD, P1, { createdAt: BIRTHS.old, spec });
const young = (spec: object): object[] => claimant('young', YOUNG, P2, { createdAt: BIRTHS.young, spec });

const apply = (...objects: readonly object[]): void => lab.writeManifest('claims.json', objects);

/** What the agent has said of who loses something, the time left out. */
const losses = (): string[] =>
  lab
    .agent('n1')
    .log.split('\n')
    .filter((line) => line.includes('Cannot give'))
    .map((line) => line.replace(/^\S+ ERROR /, ''));

/** Runs a step and returns what it made the agent say; so many lines are waited for, since they come later than the tables. */
async function newLosses(count: number, step: () => Promise<void>): Promise<string[]> {
  const known = losses().length;
  await step();
  await until(`the agent says who loses ${count} addresses`, () => losses().length >= known + count);
  return losses().slice(known).sort();
}

/** Every client's path to an address of one Service. */
const reached = (pod: string, address: (family: Family) => string, port = 80): Path[] =>
  FAMILIES.flatMap((family): Path[] => [
    ['t/p9', tcp(address(family), port), answer(podAddress(CLIENT, family), pod)],
    ['t/p9', udp(address(family), port), answer(podAddress(CLIENT, family), pod)],
    ['outside', tcp(address(family), port), answer(nodeAddress('n1', family), pod)],
  ]);

const inner = (pod: string, number: number): Path[] =>
  FAMILIES.map((family): Path => ['t/p9', tcp(clusterIP(number, family), 80), answer(podAddress(CLIENT, family), pod)]);

/** Names of the Service ports that the kernel holds at an address. */
async function holders(address: string): Promise<string[]> {
  const { frontends } = JSON.parse(await weir(lab, 'n1', 'dump', '-o', 'json')) as { frontends: { service: string; frontend: string }[] };
  return frontends.filter(({ frontend }) => frontend.startsWith(address)).map(({ service }) => service);
}

/** Service ports that lack something, with how much, as `weir dump` says. */
async function losers(): Promise<string[]> {
  const dump = JSON.parse(await weir(lab, 'n1', 'dump', '-o', 'json')) as {
    losers: { service: string; family: Family; lostFrontends: number }[];
  };
  return dump.losers.map(({ service, family, lostFrontends }) => `${service} ${family} ${lostFrontends}`).sort();
}

const externalIPs = FAMILIES.map((family) => outerIP(SHARED, family));
const shared = (family: Family): string => outerIP(SHARED, family);

test('the older Service keeps an external address, the younger one has all others and is reported once [conflict-older]', async () => {
  const said = await newLosses(4, async () => {
    apply(...young({ externalIPs }));
    await untilAnsweredBy(lab, 't/p9', tcp(shared(4), 80), 'p2');
    apply(...young({ externalIPs }), ...old({ externalIPs }));
    await untilAnsweredBy(lab, 't/p9', tcp(shared(4), 80), 'p1');
    await assertPaths(lab, [...reached('p1', shared), ...inner('p1', OLD), ...inner('p2', YOUNG)]);
  });
  const expected = FAMILIES.flatMap((family) =>
    ['TCP', 'UDP'].map((protocol) => {
      const address = family === 4 ? shared(4) : `[${shared(6)}]`;
      const port = protocol.toLowerCase();
      return `Cannot give ${address}:80/${protocol} to Service "t/young:${port}": Service "t/old:${port}" keeps it, because it is older`;
    }),
  );
  assert.deepEqual(said, expected.sort());
  assert.deepEqual(await holders(shared(4)), ['t/old:tcp', 't/old:udp']);
  assert.deepEqual(await losers(), ['t/young:tcp 4 1', 't/young:tcp 6 1', 't/young:udp 4 1', 't/young:udp 6 1']);
  assert.match(await weir(lab, 'n1', 'dump'), /t\/young:tcp +1 of IPv4 missing +another Service has what it wants/);
});

test('the younger Service takes over when the older one goes, or wants the address no more [conflict-older]', async () => {
  apply(...young({ externalIPs }));
  await untilAnsweredBy(lab, 't/p9', tcp(shared(4), 80), 'p2');
  await assertPaths(lab, reached('p2', shared));
  assert.deepEqual(await holders(shared(4)), ['t/young:tcp', 't/young:udp']);
  assert.deepEqual(await losers(), []);
  apply(...young({ externalIPs }), ...old({ externalIPs }));
  await untilAnsweredBy(lab, 't/p9', tcp(shared(4), 80), 'p1');
  apply(...young({ externalIPs }), ...old({}));
  await untilAnsweredBy(lab, 't/p9', tcp(shared(4), 80), 'p2');
  await assertPaths(lab, [...reached('p2', shared), ...inner('p1', OLD)]);
});

test('a NodePort belongs to the older Service, and then to the other [conflict-older]', async () => {
  const ports = (['TCP', 'UDP'] as const).map((protocol) => ({
    name: protocol.toLowerCase(),
    protocol,
    port: 80,
    nodePort: nodePort(SHARED),
  }));
  const byNode = (family: Family): string => nodeAddress('n1', family);
  const ofPod = (pod: string): Path[] => reached(pod, byNode, nodePort(SHARED)).filter(([from]) => from === 'outside');
  const said = await newLosses(4, async () => {
    apply(...young({ ports }), ...old({ ports }));
    await untilAnsweredBy(lab, 'outside', tcp(byNode(4), nodePort(SHARED)), 'p1');
    await assertPaths(lab, [...ofPod('p1'), ...inner('p2', YOUNG)]);
  });
  assert.deepEqual(
    said,
    ['NodePort4:30003/TCP', 'NodePort4:30003/UDP', 'NodePort6:30003/TCP', 'NodePort6:30003/UDP'].map((frontend) => {
      const port = frontend.endsWith('TCP') ? 'tcp' : 'udp';
      return `Cannot give ${frontend} to Service "t/young:${port}": Service "t/old:${port}" keeps it, because it is older`;
    }),
  );
  apply(...young({ ports }));
  await untilAnsweredBy(lab, 'outside', tcp(byNode(4), nodePort(SHARED)), 'p2');
  await assertPaths(lab, ofPod('p2'));
});

test("a ClusterIP stays its owner's, also where an older Service wants it as its external address [conflict-cluster-ip]", async () => {
  const grab = { externalIPs: FAMILIES.map((family) => clusterIP(YOUNG, family)) };
  apply(...old(grab));
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(YOUNG), 80), 'p1');
  const said = await newLosses(4, async () => {
    apply(...old(grab), ...young({}));
    await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(YOUNG), 80), 'p2');
    await assertPaths(lab, [...inner('p1', OLD), ...inner('p2', YOUNG)]);
  });
  assert.equal(said.length, 4, said.join('\n'));
  for (const line of said) assert.match(line, /to Service "t\/old:.*Service "t\/young:.* keeps it, because it is its ClusterIP/);
  apply(...old(grab));
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(YOUNG), 80), 'p1');
});

test('of Services without an age the first by name has the address, and the message says so [conflict-older]', async () => {
  const spec = { externalIPs };
  const said = await newLosses(4, async () => {
    apply(...claimant('b', OLD, P1, { spec }), ...claimant('a', YOUNG, P2, { spec }));
    await untilAnsweredBy(lab, 't/p9', tcp(shared(4), 80), 'p2');
    await assertPaths(lab, reached('p2', shared));
  });
  assert.equal(said.length, 4, said.join('\n'));
  for (const line of said)
    assert.match(line, /to Service "t\/b:.*Service "t\/a:.* keeps it, because their ages are equal and its name comes first/);
});
