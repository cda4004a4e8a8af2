/** Connected UDP sockets whose endpoint goes: they are ended, so that their owners dial again; all others go on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { canEndSockets } from '#kernel/bpf/stale-sockets.ts';
import type { HoldReport, Target } from '#lab/probe.ts';
import { hostPort } from '#lib/host-port.ts';
import { inside, raise, scaled } from './ground.ts';
import { CLIENT, clusterIP, FAMILIES, nodeAddress, nodePort, numbered, type PodSpec, podAddress, SERVERS, slices } from './objects.ts';
import { udp, until, untilAnsweredBy } from './paths.ts';

const [P1, P2] = SERVERS;
/** Sockets of a pod and of a process of the node. */
const CLIENTS = ['t/p9', 'n1'];
const [CYCLE, STEADY, REDIAL, AWAY, SIZES, FIRST] = [1, 2, 3, 4, 5, 6];

/** What the owner of an ended socket meets: the second, if it sends before it has heard of the first. */
const ABORTED = ['ECONNABORTED', 'EDESTADDRREQ'];

const kernel = { skip: canEndSockets() ? false : 'the kernel has no bpf_sock_destroy (Linux 6.5)' };

const lab = await raise('k', {
  pods: [P1, P2, CLIENT],
  objects: [numbered('steady', STEADY), ...slices({ of: 'steady', pods: [P1] })],
});

const become = (name: string, n: number, pods?: Parameters<typeof slices>[0]['pods']): void =>
  lab.writeManifest(`${name}.json`, pods === undefined ? [] : [numbered(name, n), ...slices({ of: name, pods })]);

const hold = (target: Target) =>
  CLIENTS.map((from) => ({ name: `${from} to ${hostPort(target.address, target.port)}`, held: lab.hold(from, { target, everyMs: 10 }) }));
const toService = (n: number) => FAMILIES.flatMap((family) => hold(udp(clusterIP(n, family), 80)));

type Held = ReturnType<typeof hold>;

/** Waits until so many UDP sockets of a place are connected to pods. */
const connected = (place: string, count: number): Promise<void> =>
  until(`${count} sockets are connected at ${place}`, async () => {
    const { stdout } = await lab.exec(place, ['ss', '-Hun', 'state', 'established']);
    return stdout.split('\n').filter((line) => line.includes(':8081')).length === count;
  });
const allConnected = (held: Held): Promise<unknown> =>
  Promise.all(CLIENTS.map((from) => connected(from, held.filter(({ name }) => name.startsWith(`${from} `)).length)));

/** What became of each socket: its pod while it lives, else the error. */
const outcomesOf = async (held: Held, end: (one: Held[number]['held']) => Promise<HoldReport>): Promise<string[]> =>
  Promise.all(
    held.map(async ({ name, held: one }) => {
      const { answeredBy, brokenBy } = await end(one);
      return `${name}: ${Object.keys(answeredBy)} ${ABORTED.includes(brokenBy ?? '') ? 'aborted' : (brokenBy ?? 'lives')}`;
    }),
  );
const all = (held: Held, outcome: string): string[] => held.map(({ name }) => `${name}: ${outcome}`);
const ended = (held: Held): Promise<string[]> => outcomesOf(held, ({ done }) => done);
const stopped = (held: Held): Promise<string[]> => outcomesOf(held, (one) => one.stop());

const served = (n: number, pod: PodSpec): Promise<unknown> =>
  Promise.all(FAMILIES.map((family) => untilAnsweredBy(lab, 't/p9', udp(clusterIP(n, family), 80), pod.name)));

test(
  'connected sockets to an endpoint that is gone are ended, in pods and on the node, and no others [udp-sockets-ended]',
  kernel,
  async () => {
    become('cycle', CYCLE, [P1]);
    await served(CYCLE, P1);
    const going = [...toService(CYCLE), ...FAMILIES.flatMap((family) => hold(udp(nodeAddress('n1', family), nodePort(CYCLE))))];
    const loopback = [{ name: 'n1 to loopback', held: lab.hold('n1', { target: udp('127.0.0.1', nodePort(CYCLE)), everyMs: 10 }) }];
    const mapped = hold(udp(`::ffff:${clusterIP(CYCLE)}`, 80));
    const others = [...toService(STEADY), ...hold(udp(podAddress(P1), 8081)), ...hold(udp(podAddress(P1, 6), 8081))];
    const gone = [...going, ...loopback, ...mapped];
    await allConnected([...gone, ...others]);
    await sleep(scaled(100));
    become('cycle', CYCLE, [P2]);
    assert.deepEqual(await ended(gone), all(gone, 't/p1 aborted'));
    await sleep(scaled(100));
    assert.deepEqual(await stopped(others), all(others, 't/p1 lives'));
    assert.match(lab.agent('n1').log, new RegExp(`ended=endpoint_gone:${gone.length}\\b`));
  },
);

test('an endpoint more, one that drains, and a Service less that is not theirs, end no socket', kernel, async () => {
  become('cycle', CYCLE, [P2]);
  await served(CYCLE, P2);
  const held = toService(CYCLE);
  await allConnected(held);
  become('cycle', CYCLE, [P1, { ...P2, conditions: { ready: false, serving: true, terminating: true } }]);
  become('away', AWAY, [P1]);
  await served(AWAY, P1);
  const looks = lookCount();
  become('away', AWAY);
  await until('sockets were looked at', () => lookCount() > looks);
  await sleep(scaled(200));
  assert.deepEqual(await stopped(held), all(held, 't/p2 lives'));
});

const lookCount = (): number => [...lab.agent('n1').log.matchAll(/Looked for stale UDP sockets ended=none/g)].length;

test('an application that dials again after ECONNABORTED is answered by the new endpoint [udp-sockets-ended]', kernel, async () => {
  become('redial', REDIAL, [P1]);
  await served(REDIAL, P1);
  const asking = inside(lab, 't/p9', askAndRedial, clusterIP(REDIAL));
  await connected('t/p9', 1);
  await sleep(scaled(200));
  become('redial', REDIAL, [P2]);
  assert.deepEqual(await asking, ['t/p1', 'ECONNABORTED', 't/p2']);
});

/** Asks every 10 ms over one connected socket, and over a new one after an error, until another endpoint answers. Returns the events in order. */
async function askAndRedial(address: string): Promise<string[]> {
  const { createSocket } = await import('node:dgram');
  const story: string[] = [];
  const tell = (what: string) => story.at(-1) !== what && story.push(what);
  const end = Date.now() + 10_000;
  while (story.length < 3 && Date.now() < end) {
    const socket = createSocket('udp4');
    const broken = new Promise((resolve) => socket.on('error', (error) => resolve(tell((error as NodeJS.ErrnoException).code ?? ''))));
    socket.on('message', (message) => tell(JSON.parse(`${message}`).pod));
    socket.connect(80, address);
    const timer = setInterval(() => socket.send('x', () => {}), 10);
    const over = setInterval(() => (story.length >= 3 || Date.now() > end) && socket.emit('error', new Error()), 20);
    await broken;
    clearInterval(timer);
    clearInterval(over);
    socket.close();
  }
  return story.slice(0, 3);
}

test("a pod's socket that was refused reaches the first endpoint without connecting again [udp-first-endpoint] [udp-refusal]", async () => {
  become('first', FIRST, []);
  await until('the Service refuses', async () => (await lab.dial('t/p9', udp(clusterIP(FIRST), 80))).outcome === 'refused');
  const asking = FAMILIES.map((family) => inside(lab, 't/p9', askUntilAnswered, family, clusterIP(FIRST, family)));
  await sleep(scaled(300));
  become('first', FIRST, [P2]);
  assert.deepEqual(await Promise.all(asking), [
    ['ECONNREFUSED', 't/p2'],
    ['ECONNREFUSED', 't/p2'],
  ]);
});

/** Asks every 10 ms over one connected socket until it is answered. Returns the different events in order. */
async function askUntilAnswered(family: number, address: string): Promise<string[]> {
  const { createSocket } = await import('node:dgram');
  const story: string[] = [];
  const tell = (what: string) => story.at(-1) !== what && story.push(what);
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
  const answered = new Promise((resolve) => socket.on('message', (message) => resolve(tell(JSON.parse(`${message}`).pod))));
  const refused = (error: Error | null): unknown => error && tell((error as NodeJS.ErrnoException).code ?? '');
  socket.on('error', refused);
  socket.connect(80, address, () => setInterval(() => socket.send('x', refused), 10));
  await answered;
  return story;
}

test(
  'a restart ends sockets whose Service went meanwhile, and with other table sizes no living one [restart-keeps] [udp-service-gone]',
  kernel,
  async () => {
    become('away', AWAY, [P1]);
    become('sizes', SIZES, [P2]);
    await Promise.all([served(AWAY, P1), served(SIZES, P2)]);
    const [gone, living] = [toService(AWAY), [...toService(STEADY), ...toService(SIZES)]];
    await allConnected([...gone, ...living]);
    await sleep(scaled(100));
    await lab.agent('n1').kill();
    become('away', AWAY);
    await lab.agent('n1').start({ extraFlags: ['--map-size', 'backends=5000'] });
    assert.deepEqual(await ended(gone), all(gone, 't/p1 aborted'));
    await sleep(scaled(200));
    const outcomes = await stopped(living);
    assert.deepEqual(
      outcomes.filter((outcome) => !outcome.endsWith(' lives')),
      [],
    );
    await lab.agent('n1').kill();
    assert.match(lab.agent('n1').log, /ended_udp_sockets\.service_gone=4\b/);
    await lab.agent('n1').start();
  },
);
