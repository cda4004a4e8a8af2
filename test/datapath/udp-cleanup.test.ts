/** UDP flows of packets whose endpoint or Service goes: clients that keep their port and never stop are answered by who is there now. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from '#lab/dialer.ts';
import type { HoldReport } from '#lab/probe.ts';
import { conntrackEntries, raise, scaled } from './ground.ts';
import {
  CLIENT,
  clusterIP,
  FAMILIES,
  type Family,
  nodeAddress,
  nodePort,
  numbered,
  type PodSpec,
  podAddress,
  SERVERS,
  service,
  slices,
} from './objects.ts';
import { tcp, udp, until, untilAnsweredBy } from './paths.ts';

const [P1, P2, P3] = SERVERS;
/** Pods answer on this port too. */
const OTHER_PORT = [{ name: 'udp', protocol: 'UDP', port: 8082 } as const];

/** Numbers of the Services: each test has its own. */
const [CYCLE, LAST, GONE, VIEW, PORT, POLICY, AWAY, STEADY, FOREIGN, TCP, ALONE, DRAIN, STIR] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];

const lab = await raise('c', {
  pods: [P1, P2, P3, CLIENT],
  objects: [
    ...[service({ name: 'other', clusterIPs: ['None'], ports: [] }), ...slices({ of: 'other', pods: [P1, P2, P3], ports: OTHER_PORT })],
    ...[numbered('steady', STEADY), ...slices({ of: 'steady', pods: [P1] })],
  ],
  agentFlags: ['--socket-scope', 'host'],
});

/** Gives a Service these endpoints; without `pods` there is no Service. */
const become = (
  name: string,
  n: number,
  pods?: Parameters<typeof slices>[0]['pods'],
  { spec = {}, ports = undefined as typeof OTHER_PORT | undefined } = {},
): void =>
  lab.writeManifest(
    `${name}.json`,
    pods === undefined ? [] : [numbered(name, n, { spec }), ...slices({ of: name, pods, ...(ports && { ports }) })],
  );

interface Talk {
  readonly from: string;
  readonly family: Family;
  readonly port: number;
  readonly held: Running<HoldReport>;
}

let nextPort = 20_000;

const talkFrom = (from: string, address: string, port: number, family: Family): Talk => {
  const localPort = nextPort++;
  const target = udp(address, port, { localPort, unconnected: true });
  return { from, family, port: localPort, held: lab.hold(from, { target, everyMs: 10 }) };
};
const toNodePort = (n: number): Talk[] => FAMILIES.map((family) => talkFrom('outside', nodeAddress('n1', family), nodePort(n), family));
const toClusterIP = (n: number): Talk[] => FAMILIES.map((family) => talkFrom('t/p9', clusterIP(n, family), 80, family));
const talkTo = (n: number): Talk[] => [...toNodePort(n), ...toClusterIP(n)];

const idOf = (family: Family): string[] => (family === 6 ? ['-f', 'ipv6'] : []);

/** The translated entries of a client's flow. */
const entriesOf = ({ family, port }: Talk): Promise<string[]> =>
  conntrackEntries(lab, 'n1', '-p', 'udp', '--orig-port-src', `${port}`, '--mark', '0x2000/0x2000', '-o', 'id', ...idOf(family));

const goTo = (talks: readonly Talk[], pod: PodSpec, port = 8081): Promise<void> =>
  until(`all are answered by ${pod.name}`, async () => {
    const found = await Promise.all(talks.map(entriesOf));
    return found.every(([entry = '', ...more], i) => {
      const family = talks[i]?.family ?? 4;
      return more.length === 0 && entry.includes(`src=${podAddress(pod, family)} `) && entry.includes(`sport=${port} `);
    });
  });

const goNowhere = (talks: readonly Talk[]): Promise<void> =>
  until('no entry is left', async () => (await Promise.all(talks.map(entriesOf))).every((entries) => entries.length === 0));

/** Pods that answered each client, in no order. */
const endOf = (talks: readonly Talk[]): Promise<string[][]> =>
  Promise.all(talks.map(async ({ held }) => Object.keys((await held.stop()).answeredBy).sort()));

const each = (talks: readonly Talk[], ...pods: PodSpec[]): string[][] => talks.map(() => pods.map(({ name }) => `t/${name}`));

/** How many entries the agent of n1 has said that it deleted for a reason. */
function deleted(reason: string): number {
  const lines = lab.agent('n1').log.matchAll(/deleted=(\S+)/g);
  return [...lines]
    .flatMap(([, tally = '']) => [...tally.matchAll(new RegExp(`${reason}:(\\d+)`, 'g'))])
    .reduce((sum, [, n]) => sum + Number(n), 0);
}

/* What upstream asks of a list of entries (TestCleanStaleEntries, TestServiceWithoutEndpoints), asked of clients that go on sending. */

test('flows to an endpoint that is gone go to another one [udp-endpoint-gone] [udp-node-port]', async () => {
  become('cycle', CYCLE, [P1]);
  const before = deleted('endpoint_gone');
  const talks = talkTo(CYCLE);
  await goTo(talks, P1);
  become('cycle', CYCLE, [P2]);
  await goTo(talks, P2);
  await sleep(scaled(100));
  assert.deepEqual(await endOf(talks), each(talks, P1, P2));
  assert.equal(deleted('endpoint_gone') - before, talks.length);
});

test('flows to the last endpoint end, and go to the first that comes [udp-last-endpoint] [udp-first-endpoint]', async () => {
  become('last', LAST, [P1]);
  const before = deleted('no_endpoint');
  const talks = talkTo(LAST);
  await goTo(talks, P1);
  become('last', LAST, []);
  await goNowhere(talks);
  assert.equal(deleted('no_endpoint') - before, talks.length);
  become('last', LAST, [P2]);
  await goTo(talks, P2);
  await sleep(scaled(100));
  assert.deepEqual(await endOf(talks), each(talks, P1, P2));
});

test('flows to a Service that is deleted end, and go to one that takes its address [udp-service-gone]', async () => {
  become('gone', GONE, [P1]);
  const before = deleted('service_gone');
  const talks = talkTo(GONE);
  await goTo(talks, P1);
  become('gone', GONE);
  await goNowhere(talks);
  assert.equal(deleted('service_gone') - before, talks.length);
  become('again', GONE, [P2]);
  await goTo(talks, P2);
  await endOf(talks);
});

test('flows follow the view of policy Local alone [udp-local-view]', async () => {
  const spec = { internalTrafficPolicy: 'Local' };
  become('view', VIEW, [P1, P2], { spec });
  const talks = toClusterIP(VIEW);
  await goTo(talks, P1);
  become('view', VIEW, [P2], { spec });
  await goNowhere(talks);
  become('view', VIEW, [P2, P3], { spec });
  await goTo(talks, P3);
  await endOf(talks);
});

test('flows follow an endpoint that changes its port alone [udp-exact-tuple]', async () => {
  become('port', PORT, [P1]);
  const talks = talkTo(PORT);
  await goTo(talks, P1);
  become('port', PORT, [P1], { ports: OTHER_PORT });
  await goTo(talks, P1, 8082);
  await endOf(talks);
});

test('a change of policy ends no flow to an endpoint that still serves [policy-switch-flows]', async () => {
  const alone = (internalTrafficPolicy: string): void =>
    lab.writeManifest('alone.json', [
      service({
        name: 'alone',
        clusterIPs: FAMILIES.map((family) => clusterIP(ALONE, family)),
        ports: [{ name: 'udp', protocol: 'UDP', port: 80 }],
        spec: { internalTrafficPolicy },
      }),
      ...slices({ of: 'alone', pods: [P2, ...(internalTrafficPolicy === 'Local' ? [P1] : [])] }),
    ]);
  become('policy', POLICY, [P2]);
  alone('Cluster');
  const talks = [...talkTo(POLICY), ...toClusterIP(ALONE)];
  await goTo(talks, P2);
  const before = await Promise.all(talks.map(idsOf));
  become('policy', POLICY, [P2, P1], { spec: { externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' } });
  alone('Local');
  for (const n of [POLICY, ALONE]) await untilAnsweredBy(lab, 't/p9', udp(clusterIP(n), 80), 'p1');
  await lookAtEntries();
  assert.deepEqual(await Promise.all(talks.map(idsOf)), before);
  await endOf(talks);
});

test('flows to an endpoint that drains go on, and move when it serves no more [udp-endpoint-gone]', async () => {
  const conditions = { ready: false, serving: true, terminating: true };
  become('drain', DRAIN, [P1]);
  const talks = talkTo(DRAIN);
  await goTo(talks, P1);
  const before = await Promise.all(talks.map(idsOf));
  become('drain', DRAIN, [{ ...P1, conditions }, P2]);
  await untilAnsweredBy(lab, 't/p9', udp(clusterIP(DRAIN), 80), 'p2');
  await lookAtEntries();
  assert.deepEqual(await Promise.all(talks.map(idsOf)), before);
  become('drain', DRAIN, [P2]);
  await goTo(talks, P2);
  await endOf(talks);
});

const idsOf = async (talk: Talk): Promise<string[]> => (await entriesOf(talk)).map((line) => /id=\d+/.exec(line)?.[0] ?? '');

const lookCount = (): number => [...lab.agent('n1').log.matchAll(/Looked for stale conntrack entries/g)].length;

/** Makes the agent look at all entries: a Service comes and goes. */
async function lookAtEntries(): Promise<void> {
  become('stir', STIR, [P1]);
  await untilAnsweredBy(lab, 't/p9', udp(clusterIP(STIR), 80), 'p1');
  const looks = lookCount();
  become('stir', STIR);
  await until('entries were looked at twice', () => lookCount() > looks + 1);
}

test('only stale entries of Services are deleted, whichever program made them [udp-nothing-else]', async () => {
  become('foreign', FOREIGN, [P1]);
  await untilAnsweredBy(lab, 't/p9', udp(clusterIP(FOREIGN), 80), 'p1');
  const insert = (port: number, destination: string, dport: number, backend: string, ...more: string[]) =>
    lab.exec('n1', [
      ...['conntrack', '-I', '-p', 'udp', '-s', '203.0.113.77', '-d', destination, '--sport', `${port}`, '--dport', `${dport}`],
      ...['--timeout', '60', '--dst-nat', backend, ...more],
    ]);
  const here = nodeAddress('n1');
  await insert(1, clusterIP(FOREIGN), 80, '10.244.1.77:8081');
  await insert(2, clusterIP(FOREIGN), 80, `${podAddress(P1)}:8081`);
  await insert(3, here, nodePort(FOREIGN), '10.244.1.77:8081');
  await insert(4, '192.0.2.99', nodePort(FOREIGN), '10.244.1.77:8081');
  await insert(5, '192.0.2.99', nodePort(FOREIGN), '10.244.1.77:8081', '--mark', '0x2000');
  await insert(6, clusterIP(FOREIGN), 81, '10.244.1.77:8081');
  const looks = lookCount();
  become('foreign', FOREIGN, [P1, P2]);
  become('foreign', FOREIGN, [P1]);
  become('cycle', CYCLE, [P3]);
  await until('entries were looked at', () => lookCount() > looks);
  await sleep(scaled(100));
  const left = await conntrackEntries(lab, 'n1', '-p', 'udp', '--orig-src', '203.0.113.77');
  assert.deepEqual(left.map((line) => Number(/sport=(\d+)/.exec(line)?.[1])).sort(), [2, 4, 5, 6]);
});

test('TCP connections to an endpoint that is gone go on [tcp-left-alone]', async () => {
  become('tcp', TCP, [P1]);
  await untilAnsweredBy(lab, 'outside', tcp(nodeAddress('n1'), nodePort(TCP)), 'p1');
  const held = lab.hold('outside', { target: tcp(nodeAddress('n1'), nodePort(TCP)), everyMs: 10 });
  const talks = toNodePort(TCP);
  await goTo(talks, P1);
  become('tcp', TCP, [P2]);
  await goTo(talks, P2);
  await sleep(scaled(100));
  const { answeredBy, brokenBy } = await held.stop();
  assert.deepEqual([Object.keys(answeredBy), brokenBy], [['t/p1'], undefined]);
  await endOf(talks);
});

test('a restart deletes what went meanwhile and nothing else [restart-keeps] [udp-service-gone]', async () => {
  become('away', AWAY, [P1]);
  const [stale, steady] = [talkTo(AWAY), talkTo(STEADY)];
  await goTo([...stale, ...steady], P1);
  const held = lab.hold('outside', { target: tcp(nodeAddress('n1'), nodePort(STEADY)), everyMs: 10 });
  const before = await Promise.all(steady.map(idsOf));
  await lab.agent('n1').kill();
  become('away', AWAY);
  await lab.agent('n1').start();
  await goNowhere(stale);
  assert.equal(deleted('service_gone'), stale.length);
  assert.deepEqual(await Promise.all(steady.map(idsOf)), before);
  assert.equal((await held.stop()).brokenBy, undefined);
  await endOf([...stale, ...steady]);
  await lab.agent('n1').kill();
  assert.match(lab.agent('n1').log, /deleted_conntrack_entries\.service_gone=4 /);
  assert.match(lab.agent('n1').log, /deleted_conntrack_entries_of\.IPv6=2\b/);
  await lab.agent('n1').start();
});
