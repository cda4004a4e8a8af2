/** UDP sockets that talk to Services: which backend they keep, and which address they see answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Seen, Target } from '#lab/probe.ts';
import { hostPort } from '#lib/host-port.ts';
import { inside, raise, scaled } from './ground.ts';
import { CLIENT, clusterIP, FAMILIES, nodePort, numbered, type PodSpec, podAddress, SERVERS, slice, slices } from './objects.ts';
import { answeredBy, udp, until } from './paths.ts';

const [P1, P2] = SERVERS;

/** Numbers of the Services; there are eight of the last kind. */
const [SPREAD, TWIN_A, TWIN_B, ALONE, FIRST_OF_MANY] = [1, 2, 3, 4, 11];
const MANY = 8;

/** Each of these Services has one endpoint, on a port of its own. */
const many = (): object[] =>
  Array.from({ length: MANY }, (_, i) => {
    const [name, ports] = [`many${i}`, [{ name: 'udp', protocol: 'UDP', port: 9000 + i } as const]];
    return [numbered(name, FIRST_OF_MANY + i), ...slices({ of: name, pods: [SERVERS[i % SERVERS.length] as PodSpec], ports })];
  }).flat();

const lab = await raise('u', {
  pods: [...SERVERS, CLIENT],
  objects: [
    ...[numbered('spread', SPREAD), ...slices({ of: 'spread', pods: SERVERS })],
    ...[numbered('twina', TWIN_A), ...slices({ of: 'twina', pods: [P2] })],
    ...[numbered('twinb', TWIN_B), ...slices({ of: 'twinb', pods: [P2] })],
    ...[numbered('alone', ALONE)],
    ...many(),
  ],
});

const patient = (target: Target): Target => ({ ...target, timeoutMs: scaled(5000) });
const ask = (targets: readonly Target[], from = 't/p9'): Promise<readonly Seen[]> => lab.exchange(from, targets.map(patient));
const peers = (seen: readonly Seen[]): string[] => seen.map((one) => (one.outcome === 'answered' ? one.peer : JSON.stringify(one)));
const written = ({ address, port }: Target): string => hostPort(address, port);

test('an unconnected socket keeps its backend, and other sockets find others', async () => {
  for (const family of FAMILIES) {
    const target = udp(clusterIP(SPREAD, family), 80);
    const sockets = await Promise.all(Array.from({ length: 16 }, () => ask(Array(12).fill(target))));
    const pods = sockets.map((seen) => new Set(answeredBy(seen)));
    assert.deepEqual(
      pods.map((met) => met.size),
      pods.map(() => 1),
    );
    assert.ok(new Set(pods.flatMap((met) => [...met])).size > 1, 'all sockets met the same pod');
  }
});

test('connected sockets and connections spread over all endpoints', async () => {
  for (const protocol of ['tcp', 'udp'] as const) {
    const { failures, answeredBy } = await lab.load('t/p9', {
      target: { ...udp(clusterIP(SPREAD), 80), protocol },
      concurrency: 4,
      requests: 120,
    }).done;
    assert.deepEqual(failures, {});
    assert.equal(Object.keys(answeredBy).length, SERVERS.length);
  }
});

test('one socket that talks to more Services than it has places for sees each answer under its own address', async () => {
  for (const family of FAMILIES) {
    const targets = Array.from({ length: MANY }, (_, i) => udp(clusterIP(FIRST_OF_MANY + i, family), 80));
    const rounds = [...targets, ...targets, ...targets.toReversed(), ...targets];
    const seen = await ask(rounds);
    assert.deepEqual(peers(seen), rounds.map(written));
    assert.deepEqual(
      answeredBy(seen).slice(0, MANY),
      targets.map((_, i) => `t/p${(i % SERVERS.length) + 1}`),
    );
  }
});

test('one socket that talks to two Services of one endpoint in turn sees each answer under the address that it asked', async () => {
  const targets = [TWIN_A, TWIN_B, TWIN_A, TWIN_A, TWIN_B, TWIN_A].map((n) => udp(clusterIP(n), 80));
  assert.deepEqual(peers(await ask(targets)), targets.map(written));
  const byNodePort = [udp(clusterIP(TWIN_A), 80), udp('192.0.2.11', nodePort(TWIN_A)), udp(clusterIP(TWIN_A), 80)];
  assert.deepEqual(peers(await ask(byNodePort)), byNodePort.map(written));
});

test('answers from a server that is not a Service keep their address', async () => {
  const targets = [udp(clusterIP(TWIN_A), 80), udp(podAddress(P1), 8081), udp(clusterIP(TWIN_A), 80)];
  assert.deepEqual(peers(await ask(targets)), targets.map(written));
  const [port] = await inside(lab, 't/p9', hearStranger, clusterIP(TWIN_A), podAddress(CLIENT));
  assert.equal(port, 'own');
});

/** A datagram from another socket of this pod comes to one that talks with a Service. */
async function hearStranger(service: string, own: string): Promise<string[]> {
  const { createSocket } = await import('node:dgram');
  const [socket, stranger] = [createSocket('udp4'), createSocket('udp4')];
  const next = () =>
    new Promise<{ text: string; from: string }>((resolve) => {
      socket.once('message', (message, { address, port }) => resolve({ text: `${message}`, from: `${address}:${port}` }));
    });
  const first = next();
  socket.send('x', 80, service);
  if ((await first).from !== `${service}:80`) return ['no answer of the Service'];
  const second = next();
  stranger.send('y', socket.address().port, own);
  const { from } = await second;
  return [from === `${own}:${stranger.address().port}` ? 'own' : from];
}

test('a connected socket that connects anew sees its new peer', async () => {
  const services = [clusterIP(TWIN_A), clusterIP(FIRST_OF_MANY), clusterIP(TWIN_B), podAddress(P2)];
  const ports = [80, 80, 80, 8081];
  const seen = await inside(lab, 't/p9', reconnect, services, ports);
  assert.deepEqual(
    seen,
    services.map((address, i) => ({
      pod: ['t/p2', 't/p1', 't/p2', 't/p2'][i],
      peer: `${address}:${ports[i]}`,
      from: `${address}:${ports[i]}`,
    })),
  );
});

/** One socket that is connected to one address after the other: who answers, and who the socket says it is connected to. */
async function reconnect(addresses: readonly string[], ports: readonly number[]) {
  const { createSocket } = await import('node:dgram');
  const { once } = process.getBuiltinModule('node:events');
  const socket = createSocket('udp4');
  const seen: { pod: string; peer: string; from: string }[] = [];
  for (const [i, address] of addresses.entries()) {
    if (i > 0) socket.disconnect();
    socket.connect(ports[i] ?? 0, address);
    await once(socket, 'connect');
    socket.send('x');
    const [message, from] = await once(socket, 'message');
    const peer = socket.remoteAddress();
    seen.push({ pod: JSON.parse(`${message}`).pod, peer: `${peer.address}:${peer.port}`, from: `${from.address}:${from.port}` });
  }
  return seen;
}

test('an unconnected socket stays with an endpoint that drains, moves when it goes, and goes unanswered after the last [udp-endpoint-gone]', async () => {
  const alone = (...pods: Parameters<typeof slice>[0]['pods']): void => lab.writeManifest('alone.json', [slice({ of: 'alone', pods })]);
  const target = udp(clusterIP(ALONE), 80, { timeoutMs: scaled(5000) });
  const become = (what: string): Promise<void> =>
    until(`the Service is ${what}`, async () => {
      const seen = await lab.dial('t/p9', target);
      return (seen.outcome === 'answered' ? seen.answeredBy : seen.outcome) === what;
    });
  alone(P1);
  await become('t/p1');
  const talk = lab.hold('t/p9', { target: { ...target, unconnected: true }, everyMs: 5 });
  const asked = lab.hold('t/p9', { target: { ...target, unconnected: true }, everyMs: 5 });
  await sleep(scaled(200));
  alone({ ...P1, conditions: { ready: false, serving: true, terminating: true } }, P2);
  await become('t/p2');
  await sleep(scaled(200));
  assert.deepEqual(Object.keys((await asked.stop()).answeredBy), ['t/p1'], 'it drains');
  alone(P2);
  await sleep(scaled(400));
  alone();
  await become('refused');
  const { answeredBy, answered, sent, brokenBy } = await talk.stop();
  assert.deepEqual([Object.keys(answeredBy), brokenBy], [['t/p1', 't/p2'], undefined]);
  assert.ok(answered < sent, 'the last datagrams have no answer');
});
