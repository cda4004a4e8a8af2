/** ICMP errors of translated flows: they reach the socket that they are about, and speak of the address that it dialled. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { LabPod } from '#lab/topology.ts';
import { podDevice } from '#lab/wiring.ts';
import { inside, ip, outcomes, raise, routeServicesBy, scaled, UNLIMITED_ICMP } from './ground.ts';
import {
  AWAY,
  CLIENT,
  clusterIP,
  FAMILIES,
  type Family,
  HERE,
  nodeAddress,
  nodePort,
  numbered,
  type PodSpec,
  podAddress,
  slices,
} from './objects.ts';
import { assertPaths, type Path, udp, until } from './paths.ts';

const OUTSIDE = { 4: '203.0.113.2', 6: '2001:db8:1::2' } as const;

/** Numbers of the Services: endpoints here and away, the same with externalTrafficPolicy Local, and some without a listener. */
const [NEAR, FAR, KEPT, DEAF_NEAR, DEAF_FAR, DEAF_KEPT] = [1, 2, 3, 4, 5, 6];
const LOCAL = { spec: { type: 'NodePort', externalTrafficPolicy: 'Local' } };
const NOBODY_LISTENS = [{ name: 'udp', protocol: 'UDP', port: 9999 }] as const;

/** Smaller than any device's, and not too small for IPv6. */
const SMALL_MTU = 1300;
/** A TCP request, and a datagram of several fragments. */
const [REQUEST, DATAGRAM] = [1_000_000, 5000];

const lab = await raise('i', {
  pods: [HERE, AWAY, CLIENT],
  objects: [
    ...[numbered('near', NEAR), ...slices({ of: 'near', pods: [HERE] })],
    ...[numbered('far', FAR), ...slices({ of: 'far', pods: [AWAY] })],
    ...[numbered('kept', KEPT, LOCAL), ...slices({ of: 'kept', pods: [HERE] })],
    ...[numbered('deafnear', DEAF_NEAR), numbered('deaffar', DEAF_FAR), numbered('deafkept', DEAF_KEPT, LOCAL)],
  ],
  // Pods' packets are translated, sockets of the nodes are.
  agentFlags: ['--socket-scope', 'host'],
});

before(async () => {
  for (const family of FAMILIES) routeServicesBy(lab, nodeAddress('n1', family));
  await Promise.all(['t/p1', 't/p2'].map((pod) => lab.exec(pod, ['sh', '-c', UNLIMITED_ICMP])));
});

/** Who dials what: by packets with a new source, by packets without, and by a socket of the node. */
const dials = (
  family: Family,
  near: number,
  far: number,
  kept: number,
): readonly (readonly [from: string, address: string, port: number])[] => [
  ['outside', nodeAddress('n1', family), nodePort(near)],
  ['outside', nodeAddress('n1', family), nodePort(far)],
  ['outside', nodeAddress('n1', family), nodePort(kept)],
  ['outside', clusterIP(far, family), 80],
  ['t/p9', clusterIP(near, family), 80],
  ['t/p9', clusterIP(far, family), 80],
  ['t/p9', nodeAddress('n1', family), nodePort(far)],
  ['n1', clusterIP(far, family), 80],
];

test('a pod refuses a port without a listener, and the client sees the Service refuse [icmp-errors]', async () => {
  lab.writeManifest('deaf.json', [
    ...slices({ of: 'deafnear', pods: [HERE], ports: NOBODY_LISTENS }),
    ...slices({ of: 'deaffar', pods: [AWAY], ports: NOBODY_LISTENS }),
    ...slices({ of: 'deafkept', pods: [HERE], ports: NOBODY_LISTENS }),
  ]);
  const deaf = FAMILIES.flatMap((family) => dials(family, DEAF_NEAR, DEAF_FAR, DEAF_KEPT));
  await until('packets to these Services are translated', async () => {
    const before = await translated();
    await Promise.all(deaf.map(([from, address, port]) => lab.dial(from, udp(address, port))));
    return (await translated()) >= before + deaf.length;
  });
  const before = await refused();
  await assertPaths(
    lab,
    deaf.map(([from, address, port]): Path => [from, udp(address, port), 'refused']),
  );
  assert.deepEqual(await refused(), before, 'weir itself refused');
});

const sum = (counts: Readonly<Record<string, number>>, pattern: RegExp): number =>
  Object.entries(counts).reduce((all, [name, count]) => (pattern.test(name) ? all + count : all), 0);
const translated = async (): Promise<number> => sum(await outcomes(lab, 'n1'), /translated/);
const refused = async (): Promise<number> => sum(await outcomes(lab, 'n1'), /refused/);

/** A link that is smaller than those before it: where its router is, and the routes that lead over it. */
interface SmallLink {
  readonly at: string;
  /** Destination and device. */
  readonly routes: readonly (readonly [destination: string, device: string])[];
}

const built = ({ name }: PodSpec): LabPod =>
  lab.topology.pods.find((pod) => pod.name === `t/${name}`) ?? assert.fail(`pod ${name} was not built`);

const both = (address: (family: Family) => string, name: string): SmallLink['routes'] =>
  FAMILIES.map((family) => [address(family), name] as const);

/** Runs with a smaller link, of which no host knows before. */
async function behind({ at, routes }: SmallLink, run: () => Promise<void>): Promise<void> {
  const places = ['outside', 't/p1', 't/p2', 't/p9', 'n1', 'n2'];
  await Promise.all(places.map((place) => lab.exec(place, ['sh', '-c', 'ip route flush cache; ip -6 route flush cache'])));
  for (const [destination, name] of routes) ip(lab, at, `route replace ${destination} dev ${name} mtu lock ${SMALL_MTU}`);
  try {
    await run();
  } finally {
    for (const [destination, name] of routes) ip(lab, at, `route replace ${destination} dev ${name}`);
  }
}

/** Large requests and datagrams pass, there and back. */
async function assertMuch(paths: ReturnType<typeof dials>): Promise<void> {
  for (const [from, address, port] of paths) {
    const seen = await inside(lab, from, askMuch, address, port, REQUEST, DATAGRAM, scaled(20_000));
    assert.deepEqual(seen, { request: REQUEST, datagram: DATAGRAM }, `${from} to ${address} port ${port}`);
  }
}

/** Asks the echo server at an address by TCP and by UDP: how much of the text came back. Repeats datagrams until then. */
async function askMuch(address: string, port: number, request: number, datagram: number, patienceMs: number) {
  const { connect } = await import('node:net');
  const { createSocket } = await import('node:dgram');
  const { createInterface } = await import('node:readline');
  const echoOf = (line: string): number => JSON.parse(line).echo?.length ?? 0;
  const patient = (answer: Promise<number>) => Promise.race([answer, new Promise<number>((resolve) => setTimeout(resolve, patienceMs, 0))]);

  const byTcp = new Promise<number>((resolve) => {
    const socket = connect(port, address, () => socket.write(`${'x'.repeat(request)}\n`));
    socket.on('error', () => resolve(-1));
    createInterface({ input: socket }).on('line', (line) => echoOf(line) > 0 && resolve(echoOf(line)));
  });
  const byUdp = new Promise<number>((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const say = () => socket.send('x'.repeat(datagram), () => {});
    socket.on('message', (message) => resolve(echoOf(`${message}`)));
    // A connected IPv6 socket also reports a smaller path MTU as an error (net/ipv6/udp.c, __udp6_lib_err).
    socket.on('error', (error) => (error as NodeJS.ErrnoException).code !== 'EMSGSIZE' && resolve(-1));
    socket.connect(port, address, () => {
      say();
      setInterval(say, 200);
    });
  });
  return { request: await patient(byTcp), datagram: await patient(byUdp) };
}

/** Path MTU that a host knows towards an address; undefined if none. */
const knownMtu = async (at: string, address: string): Promise<number | undefined> => {
  const { stdout } = await lab.exec(at, ['ip', 'route', 'get', address]);
  const [, mtu] = stdout.match(/ mtu (\d+)/) ?? [];
  return mtu === undefined ? undefined : Number(mtu);
};

for (const family of FAMILIES) {
  test(`IPv${family}: large requests pass where all links are alike [fragments]`, () => assertMuch(dials(family, NEAR, FAR, KEPT)));

  test(`IPv${family}: the client learns of a small link behind another node, as one towards the Service [icmp-errors]`, async () => {
    const link = { at: 'n2', routes: both((of) => podAddress(AWAY, of), podDevice(lab.topology, built(AWAY))) };
    await behind(link, () => assertMuch(dials(family, FAR, FAR, FAR)));
    await behind(link, async () => {
      await assertMuch([['outside', nodeAddress('n1', family), nodePort(FAR)]]);
      assert.equal(await knownMtu('outside', nodeAddress('n1', family)), SMALL_MTU);
      await assertMuch([['t/p9', clusterIP(FAR, family), 80]]);
      assert.equal(await knownMtu('t/p9', clusterIP(FAR, family)), SMALL_MTU);
    });
  });

  test(`IPv${family}: so is a small link of the node that translates [icmp-errors]`, async () => {
    const link = { at: 'n1', routes: both((of) => podAddress(HERE, of), podDevice(lab.topology, built(HERE))) };
    await behind(link, async () => {
      await assertMuch(dials(family, NEAR, NEAR, KEPT).filter(([from]) => from !== 'n1'));
      assert.equal(await knownMtu('outside', nodeAddress('n1', family)), SMALL_MTU);
      assert.equal(await knownMtu('t/p9', clusterIP(NEAR, family)), SMALL_MTU);
    });
  });

  test(`IPv${family}: the answering pod learns of a small link on the way back to the client [icmp-errors]`, async () => {
    const link = { at: 'wire', routes: both((of) => OUTSIDE[of], 'outside') };
    await behind(link, async () => {
      await assertMuch(dials(family, NEAR, FAR, KEPT).filter(([from]) => from === 'outside'));
      assert.equal(await knownMtu('t/p2', nodeAddress('n1', family)), SMALL_MTU);
      assert.equal(await knownMtu('t/p1', OUTSIDE[family]), SMALL_MTU);
    });
  });
}
