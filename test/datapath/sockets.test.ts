/** Sockets that dial Service addresses, of pods and of the node's own processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dialer } from '#lab/dialer.ts';
import type { Target } from '#lab/probe.ts';
import { inside, outcomes, raise, weir } from './ground.ts';
import {
  AWAY,
  balanced,
  CLIENT,
  clusterIP,
  FAMILIES,
  type Family,
  HERE,
  nodeAddress,
  nodePort,
  numbered,
  outerIP,
  type PodSpec,
  podAddress,
  slice,
  slices,
} from './objects.ts';
import { answer, assertPaths, type Path, tcp, udp } from './paths.ts';

const HOST: PodSpec = { name: 'h2', node: 'n2', hostNetwork: true };
const PROTOCOLS = [tcp, udp] as const;
const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;

/** Numbers of the Services. */
const [WEB, NEAR, ONLY4, ONLY6, EMPTY, LOCAL, HOSTED, UNOWNED] = [1, 2, 4, 6, 7, 8, 9, 99];

const lab = await raise('s', {
  pods: [HERE, AWAY, CLIENT, HOST],
  objects: [
    ...[numbered('web', WEB, balanced(WEB, { externalIPs: FAMILIES.map((family) => outerIP(100, family)) }))],
    ...slices({ of: 'web', pods: [AWAY] }),
    ...[numbered('near', NEAR), ...slices({ of: 'near', pods: [HERE] })],
    ...[numbered('only4', ONLY4, { families: [4] }), slice({ of: 'only4', pods: [AWAY] })],
    ...[numbered('only6', ONLY6, { families: [6] }), slice({ of: 'only6', pods: [AWAY], family: 6 })],
    ...[numbered('empty', EMPTY, balanced(EMPTY)), ...slices({ of: 'empty', pods: [] })],
    ...[numbered('local', LOCAL, { spec: { type: 'NodePort', internalTrafficPolicy: 'Local' } }), ...slices({ of: 'local', pods: [AWAY] })],
    ...[numbered('hosted', HOSTED), ...slices({ of: 'hosted', pods: [HOST] })],
  ],
});

/** Paths for each family and protocol. */
const each = (
  paths: (family: Family, target: (address: string, port: number, more?: Partial<Target>) => Target) => readonly Path[],
): Path[] => FAMILIES.flatMap((family) => PROTOCOLS.flatMap((target) => paths(family, target)));

test('a pod reaches a ClusterIP on its own node and on another, under its own address, and sees the Service as its peer', () =>
  assertPaths(
    lab,
    each((family, target) => [
      ['t/p9', target(clusterIP(NEAR, family), 80), answer(podAddress(CLIENT, family), 'p1')],
      ['t/p9', target(clusterIP(WEB, family), 80), answer(podAddress(CLIENT, family), 'p2')],
      ['t/p9', target(clusterIP(HOSTED, family), 80), answer(podAddress(CLIENT, family), 'h2')],
    ]),
  ));

test('a pod reaches itself through its Service', () =>
  assertPaths(
    lab,
    each((family, target) => [['t/p1', target(clusterIP(NEAR, family), 80), answer(podAddress(HERE, family), 'p1')]]),
  ));

test("a node's own process reaches a ClusterIP", () =>
  assertPaths(
    lab,
    each((family, target) => [
      ['n1', target(clusterIP(NEAR, family), 80), answer(nodeAddress('n1', family), 'p1')],
      ['n1', target(clusterIP(WEB, family), 80), answer(nodeAddress('n1', family), 'p2')],
      ['n2', target(clusterIP(HOSTED, family), 80), answer(nodeAddress('n2', family), 'h2')],
    ]),
  ));

test('NodePort, LoadBalancer and external addresses answer pods and the node, from the socket on', () =>
  assertPaths(
    lab,
    each((family, target) =>
      [target(nodeAddress('n1', family), nodePort(WEB)), target(outerIP(WEB, family), 80), target(outerIP(100, family), 80)].flatMap(
        (to): Path[] => [
          ['t/p9', to, answer(podAddress(CLIENT, family), 'p2')],
          ['n1', to, answer(nodeAddress('n1', family), 'p2')],
        ],
      ),
    ),
  ));

test('a NodePort of another node is reached, too: that node translates', () =>
  assertPaths(
    lab,
    each((family, target) => [['t/p9', target(nodeAddress('n2', family), nodePort(WEB)), answer(nodeAddress('n2', family), 'p2')]]),
  ));

test('NodePorts answer the node itself on its loopback address, and leave the loopback of pods alone', () =>
  assertPaths(
    lab,
    each((family, target) => [
      ['n1', target(LOOPBACK[family], nodePort(WEB)), answer(nodeAddress('n1', family), 'p2')],
      ['t/p9', target(LOOPBACK[family], nodePort(WEB)), 'refused'],
    ]),
  ));

test('an IPv6 socket dials IPv4 Services by mapped addresses', () => {
  const mapped = (address: string): string => `::ffff:${address}`;
  return assertPaths(lab, [
    ...PROTOCOLS.flatMap((target): Path[] => [
      ['t/p9', target(mapped(clusterIP(WEB)), 80), answer(podAddress(CLIENT), 'p2')],
      ['n1', target(mapped(clusterIP(WEB)), 80), answer(nodeAddress('n1'), 'p2')],
      ['n1', target(mapped('127.0.0.1'), nodePort(WEB)), answer(nodeAddress('n1'), 'p2')],
      ['t/p9', target(mapped(nodeAddress('n1')), nodePort(WEB)), answer(podAddress(CLIENT), 'p2')],
      ['t/p9', target(mapped(clusterIP(EMPTY)), 80), 'refused'],
    ]),
    ['t/p9', udp(mapped(clusterIP(WEB)), 80, { unconnected: true }), answer(podAddress(CLIENT), 'p2')],
    ['t/p9', udp(mapped(clusterIP(EMPTY)), 80, { unconnected: true }), 'dropped'],
  ]);
});

test('an unconnected datagram reaches every kind of address, and its reply comes from there', () =>
  assertPaths(
    lab,
    FAMILIES.flatMap((family): Path[] => {
      const to = (address: string, port: number): Target => udp(address, port, { unconnected: true });
      return [
        ['t/p9', to(clusterIP(WEB, family), 80), answer(podAddress(CLIENT, family), 'p2')],
        ['t/p9', to(nodeAddress('n1', family), nodePort(WEB)), answer(podAddress(CLIENT, family), 'p2')],
        ['t/p9', to(outerIP(WEB, family), 80), answer(podAddress(CLIENT, family), 'p2')],
        ['n1', to(outerIP(100, family), 80), answer(nodeAddress('n1', family), 'p2')],
        ['n1', to(LOOPBACK[family], nodePort(WEB)), answer(nodeAddress('n1', family), 'p2')],
        ['t/p1', to(clusterIP(NEAR, family), 80), answer(podAddress(HERE, family), 'p1')],
      ];
    }),
  ));

test('a single-stack Service answers in its family, and the other family of its NodePort has no owner', () =>
  assertPaths(
    lab,
    PROTOCOLS.flatMap((target): Path[] => [
      ['t/p9', target(clusterIP(ONLY4), 80), answer(podAddress(CLIENT), 'p2')],
      ['t/p9', target(clusterIP(ONLY6, 6), 80), answer(podAddress(CLIENT, 6), 'p2')],
      ['n1', target(nodeAddress('n1'), nodePort(ONLY4)), answer(nodeAddress('n1'), 'p2')],
      ['n1', target(nodeAddress('n1', 6), nodePort(ONLY4)), 'refused'],
      ['n1', target(nodeAddress('n1', 6), nodePort(ONLY6)), answer(nodeAddress('n1', 6), 'p2')],
      ['n1', target(nodeAddress('n1'), nodePort(ONLY6)), 'refused'],
    ]),
  ));

test('TCP and UDP on one port go to the targets of their own', async () => {
  const targets = await Promise.all(PROTOCOLS.map((target) => inside(lab, 't/p9', askForLocal, target(clusterIP(WEB), 80))));
  assert.deepEqual(targets, [`${podAddress(AWAY)}:8080`, `${podAddress(AWAY)}:8081`]);
});

/** The server's own address and port. */
async function askForLocal({ protocol, address, port }: Target): Promise<string> {
  const { connect } = await import('node:net');
  const { createSocket } = await import('node:dgram');
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  if (protocol === 'tcp') connect(port, address).once('data', resolve);
  else createSocket('udp4').once('message', resolve).send('x', port, address);
  return JSON.parse(`${await promise}`).local;
}

// An unconnected socket sees no ICMP error (udp(7)); netfilter fails the call of a process of the node.
test('a Service without endpoints refuses at once, at every kind of address [udp-refusal]', () =>
  assertPaths(
    lab,
    each((family, target) =>
      ['t/p9', 'n1'].flatMap((from): Path[] => [
        [from, target(clusterIP(EMPTY, family), 80), 'refused'],
        [from, target(nodeAddress('n1', family), nodePort(EMPTY)), 'refused'],
        [from, target(outerIP(EMPTY, family), 80), 'refused'],
        ['n1', target(LOOPBACK[family], nodePort(EMPTY)), 'refused'],
        [from, udp(clusterIP(EMPTY, family), 80, { unconnected: true }), 'dropped'],
        [from, udp(outerIP(EMPTY, family), 80, { unconnected: true }), 'dropped'],
      ]),
    ),
  ));

test('a port that a live ClusterIP lacks is refused at once [udp-refusal]', () =>
  assertPaths(
    lab,
    each((family, target) => [
      ['t/p9', target(clusterIP(WEB, family), 81), 'refused'],
      ['n1', target(clusterIP(WEB, family), 81), 'refused'],
      ['t/p9', udp(clusterIP(WEB, family), 81, { unconnected: true }), 'dropped'],
      ['n1', udp(clusterIP(WEB, family), 81, { unconnected: true }), 'dropped'],
    ]),
  ));

test('connecting a datagram socket sends nothing and is never refused: resolvers do it to sort addresses [udp-refusal]', async () => {
  const refused = async () => (await outcomes(lab, 'n1')).packet_refused_unknown_port ?? 0;
  const before = await refused();
  for (const from of ['t/p9', 'n1'])
    for (const family of FAMILIES) {
      const own = from === 'n1' ? nodeAddress('n1', family) : podAddress(CLIENT, family);
      const places = [clusterIP(WEB, family), clusterIP(EMPTY, family), clusterIP(LOCAL, family), outerIP(EMPTY, family)];
      const sources = await inside(lab, from, connectOnly, family, places, [53, 80, 65535]);
      assert.deepEqual(new Set(sources), new Set([own]), `${from} by IPv${family}`);
    }
  assert.equal(await refused(), before, 'nothing is sent');
});

/** The source address that the kernel chooses for each address and port (RFC 6724, 5), or the code of an error. */
async function connectOnly(family: Family, addresses: readonly string[], ports: readonly number[]): Promise<string[]> {
  const { createSocket } = await import('node:dgram');
  const sourceFor = (address: string, port: number) =>
    new Promise<string>((resolve) => {
      const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
      socket.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
      socket.connect(port, address, () => resolve(socket.address().address));
    });
  return Promise.all(addresses.flatMap((address) => ports.map((port) => sourceFor(address, port))));
}

test('unowned addresses in the range of Services are dropped, and so is traffic without an endpoint that policy Local allows', () =>
  assertPaths(
    lab,
    each((family, target) => [
      ['t/p9', target(clusterIP(UNOWNED, family), 80), 'dropped'],
      ['n1', target(clusterIP(UNOWNED, family), 80), 'dropped'],
      ['t/p9', target(clusterIP(LOCAL, family), 80), 'dropped'],
      ['n1', target(clusterIP(LOCAL, family), 80), 'dropped'],
      ['n2', target(clusterIP(LOCAL, family), 80), answer(nodeAddress('n2', family), 'p2')],
      ['t/p9', target(nodeAddress('n1', family), nodePort(LOCAL)), answer(podAddress(CLIENT, family), 'p2')],
    ]),
  ));

test("sockets outside the node's cgroup are left alone: their packets are served where they pass", async () => {
  const stranger = (name: string): Dialer => new Dialer({ ...lab.place(name), cgroup: lab.place('outside').cgroup });
  const [pod, host] = [stranger('t/p9'), stranger('n1')];
  const before = await outcomes(lab, 'n1');
  try {
    const dials = { dial: (from: string, target: Target) => (from === 'pod' ? pod : host).dial(target) };
    await assertPaths(dials, [
      ['pod', tcp(clusterIP(WEB), 80), answer(podAddress(CLIENT), 'p2')],
      ['host', tcp(nodeAddress('n1'), nodePort(WEB)), 'refused'],
      ['host', tcp(clusterIP(WEB), 80), 'refused'],
    ]);
  } finally {
    for (const dialer of [pod, host]) dialer.close();
  }
  const after = await outcomes(lab, 'n1');
  assert.equal(after.socket_translated, before.socket_translated);
  assert.equal(after.packet_pod_unseen_by_sockets, (before.packet_pod_unseen_by_sockets ?? 0) + 1);
});

test('what happened is counted', async () => {
  const counts = await outcomes(lab, 'n1');
  for (const name of ['socket_translated', 'socket_refused_no_endpoint', 'socket_refused_unknown_port', 'socket_no_local_endpoint'])
    assert.ok((counts[name] ?? 0) > 0, `${name} is ${counts[name]}`);
  assert.equal(counts.socket_refused_broken_table, 0);
  assert.match(await weir(lab, 'n1', 'dump'), /t\/web:udp +198\.51\.100\.1:80\/udp/i);
});
