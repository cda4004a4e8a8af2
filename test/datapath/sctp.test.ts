/** SCTP packets to Service addresses, carried out by table inet weir; and what no Service takes. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Target } from '#lab/probe.ts';
import { conntrackEntries, ip, raise, restartAgent, routeServicesBy, scaled, weir } from './ground.ts';
import {
  AWAY,
  balanced,
  CLIENT,
  clusterIP,
  FAMILIES,
  type Family,
  HERE,
  node,
  nodeAddress,
  nodePort,
  numbered,
  outerIP,
  type PodSpec,
  parked,
  podAddress,
  service,
  slices,
} from './objects.ts';
import { answer, answeredBy, assertPaths, type Path, tcp as to, until } from './paths.ts';
import { buildRawPrograms, rawProgram, sctpDials, startRaw } from './sctp.ts';

const OUTSIDE = { 4: '203.0.113.2', 6: '2001:db8:1::2' } as const;
const SERVER_PORT = 9899;

/** Services, and their numbers for an endpoint on n1 and on n2. */
const PLAIN = { here: 1, away: 2 };
const EXTERNAL_LOCAL = { here: 5, away: 6 };
const INTERNAL_LOCAL = { here: 7, away: 8 };
const [RANGED, CLOSED, EMPTY, STICKY, SPREAD, CHANGING, TCP] = [9, 10, 15, 16, 17, 18, 20];

const PORTS = [{ name: 'sctp', protocol: 'SCTP', port: SERVER_PORT }] as const;

const signals = (number: number, pods: readonly PodSpec[], { spec = {}, status }: { spec?: object; status?: object } = {}): object[] => [
  service({
    name: `s${number}`,
    clusterIPs: FAMILIES.map((family) => clusterIP(number, family)),
    ports: [{ name: 'sctp', protocol: 'SCTP', port: 80, nodePort: nodePort(number) }],
    spec: { ...balanced(number).spec, ...spec },
    status: { ...balanced(number).status, ...status },
  }),
  ...slices({ of: `s${number}`, pods, ports: PORTS }),
];

const objects = (): object[] => [
  ...[node('n1'), node('n2'), ...parked([HERE, AWAY, CLIENT])],
  ...[...signals(PLAIN.here, [HERE]), ...signals(PLAIN.away, [AWAY])],
  ...[EXTERNAL_LOCAL.here, EXTERNAL_LOCAL.away].flatMap((number, i) =>
    signals(number, [i === 0 ? HERE : AWAY], { spec: { externalTrafficPolicy: 'Local' } }),
  ),
  ...[INTERNAL_LOCAL.here, INTERNAL_LOCAL.away].flatMap((number, i) =>
    signals(number, [i === 0 ? HERE : AWAY], { spec: { internalTrafficPolicy: 'Local' } }),
  ),
  ...signals(RANGED, [AWAY], { spec: { loadBalancerSourceRanges: [' 203.0.113.0/25', '2001:db8:1::/64'] } }),
  ...signals(CLOSED, [AWAY], { spec: { loadBalancerSourceRanges: ['198.18.0.0/24', '2001:db8:bad::/64'] } }),
  ...signals(EMPTY, []),
  ...signals(STICKY, [HERE, AWAY], {
    spec: { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 2 } } },
  }),
  ...signals(SPREAD, [HERE, AWAY]),
  ...[numbered('tcp', TCP), ...slices({ of: 'tcp', pods: [AWAY] })],
];

const lab = await raise('x', { pods: [HERE, AWAY, CLIENT], objects: objects(), agentFlags: ['--socket-scope', 'host'] });
const dials = sctpDials(lab);
let servers: ChildProcess[] = [];

before(async () => {
  buildRawPrograms();
  servers = await Promise.all(
    [HERE, AWAY].map(({ name }) => startRaw(lab, `t/${name}`, 'speaker', 'serve', `t/${name}`, `${SERVER_PORT}`)),
  );
  for (const family of FAMILIES) {
    routeServicesBy(lab, nodeAddress('n1', family));
    for (const number of [PLAIN.away, EXTERNAL_LOCAL.away, RANGED, CLOSED])
      ip(lab, 'wire', `route replace ${outerIP(number, family)} via ${nodeAddress('n1', family)}`);
  }
});

after(() => {
  for (const server of servers) server.kill();
});

const check = (paths: (family: Family) => readonly Path[]): Promise<void> => assertPaths(dials, FAMILIES.flatMap(paths));

test("SCTP: pods reach a ClusterIP under their own address, outsiders and the node under the node's, themselves too [sctp]", () =>
  check((family) => [
    ['t/p9', to(clusterIP(PLAIN.here, family), 80), answer(podAddress(CLIENT, family), 'p1')],
    ['t/p9', to(clusterIP(PLAIN.away, family), 80), answer(podAddress(CLIENT, family), 'p2')],
    ['outside', to(clusterIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
    ['outside', to(clusterIP(PLAIN.away, family), 80), answer(nodeAddress('n1', family), 'p2')],
    ['n1', to(clusterIP(PLAIN.away, family), 80), answer(nodeAddress('n1', family), 'p2')],
    ['t/p1', to(clusterIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
    ['t/p2', to(clusterIP(PLAIN.away, family), 80), answer(nodeAddress('n2', family), 'p2')],
  ]));

test("SCTP: NodePort and outer addresses show every client under the node's address [sctp]", () =>
  check((family) => [
    ['outside', to(nodeAddress('n1', family), nodePort(PLAIN.here)), answer(nodeAddress('n1', family), 'p1')],
    ['outside', to(nodeAddress('n1', family), nodePort(PLAIN.away)), answer(nodeAddress('n1', family), 'p2')],
    ['outside', to(outerIP(PLAIN.away, family), 80), answer(nodeAddress('n1', family), 'p2')],
    ['t/p9', to(nodeAddress('n1', family), nodePort(PLAIN.away)), answer(nodeAddress('n1', family), 'p2')],
    ['t/p9', to(outerIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
    ['t/p9', to(nodeAddress('n2', family), nodePort(PLAIN.here)), answer(nodeAddress('n2', family), 'p1')],
    ['n1', to(nodeAddress('n1', family), nodePort(PLAIN.away)), answer(nodeAddress('n1', family), 'p2')],
    ['n1', to(outerIP(PLAIN.here, family), 80), answer(nodeAddress('n1', family), 'p1')],
  ]));

test('SCTP: externalTrafficPolicy Local keeps outsiders here and their address; pods and the node go anywhere [sctp]', () =>
  check((family) => [
    ['outside', to(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.here)), answer(OUTSIDE[family], 'p1')],
    ['outside', to(outerIP(EXTERNAL_LOCAL.here, family), 80), answer(OUTSIDE[family], 'p1')],
    ['outside', to(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.away)), 'dropped'],
    ['outside', to(outerIP(EXTERNAL_LOCAL.away, family), 80), 'dropped'],
    ['t/p9', to(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.away)), answer(podAddress(CLIENT, family), 'p2')],
    ['t/p9', to(outerIP(EXTERNAL_LOCAL.away, family), 80), answer(podAddress(CLIENT, family), 'p2')],
    ['n1', to(nodeAddress('n1', family), nodePort(EXTERNAL_LOCAL.away)), answer(nodeAddress('n1', family), 'p2')],
  ]));

test('SCTP: internalTrafficPolicy Local holds for the ClusterIP and for nothing else [sctp]', () =>
  check((family) => [
    ['t/p9', to(clusterIP(INTERNAL_LOCAL.here, family), 80), answer(podAddress(CLIENT, family), 'p1')],
    ['t/p9', to(clusterIP(INTERNAL_LOCAL.away, family), 80), 'dropped'],
    ['n1', to(clusterIP(INTERNAL_LOCAL.away, family), 80), 'dropped'],
    ['outside', to(nodeAddress('n1', family), nodePort(INTERNAL_LOCAL.away)), answer(nodeAddress('n1', family), 'p2')],
  ]));

test('SCTP: source ranges close the LoadBalancer address to others, pods and the node included, and nothing else [sctp]', () =>
  check((family) => [
    ['outside', to(outerIP(RANGED, family), 80), answer(nodeAddress('n1', family), 'p2')],
    ['outside', to(outerIP(CLOSED, family), 80), 'dropped'],
    ['t/p9', to(outerIP(RANGED, family), 80), 'dropped'],
    ['n1', to(outerIP(RANGED, family), 80), 'dropped'],
    ['outside', to(nodeAddress('n1', family), nodePort(CLOSED)), answer(nodeAddress('n1', family), 'p2')],
    ['t/p9', to(clusterIP(CLOSED, family), 80), answer(podAddress(CLIENT, family), 'p2')],
  ]));

test('SCTP: a Service without endpoints and a port that a ClusterIP lacks are refused; an unowned address is dropped [sctp]', () =>
  check((family) =>
    ['t/p9', 'outside', 'n1'].flatMap((from): Path[] => [
      [from, to(clusterIP(EMPTY, family), 80), 'refused'],
      [from, to(nodeAddress('n1', family), nodePort(EMPTY)), 'refused'],
      [from, to(clusterIP(PLAIN.here, family), 81), 'refused'],
      [from, to(clusterIP(99, family), 80), 'dropped'],
    ]),
  ));

test('SCTP: a Service with two endpoints spreads; with session affinity a client stays, until it was away for too long [sctp]', async () => {
  for (const family of FAMILIES) {
    const ask = async (number: number) => {
      const seen = [];
      for (let i = 0; i < 12; i++) seen.push(await dials.dial('outside', to(nodeAddress('n1', family), nodePort(number))));
      return new Set(answeredBy(seen)).size;
    };
    assert.equal(await ask(SPREAD), 2);
    assert.equal(await ask(STICKY), 1);
    await sleep(2500);
    const forgotten = await lab.exec('n1', ['nft', 'list', 'table', 'inet', 'weir']);
    assert.doesNotMatch(forgotten.stdout, /expires/);
  }
});

test('SCTP: changed endpoints are followed, and a Service that goes leaves nothing behind [sctp]', async () => {
  const target = to(clusterIP(CHANGING), 80);
  const asks = async (): Promise<string> => {
    const seen = await dials.dial('t/p9', { ...target, timeoutMs: 300 });
    return seen.outcome === 'answered' ? seen.answeredBy : seen.outcome;
  };
  const spec = { sessionAffinity: 'ClientIP' };
  lab.writeManifest('changing.json', signals(CHANGING, [HERE], { spec }));
  await until('p1 answers', async () => (await asks()) === 't/p1');
  lab.writeManifest('changing.json', signals(CHANGING, [AWAY], { spec }));
  await until('p2 answers instead of p1', async () => (await asks()) === 't/p2');
  lab.writeManifest('changing.json', signals(CHANGING, []));
  await until('no endpoint answers', async () => (await asks()) === 'refused');
  lab.writeManifest('changing.json', []);
  await until('the address has no owner', async () => (await asks()) === 'timeout');
  const { stdout } = await lab.exec('n1', ['nft', 'list', 'table', 'inet', 'weir']);
  assert.doesNotMatch(stdout, /s18\b/);
});

test('ICMP to a live ClusterIP is refused, to an unowned address dropped [other-protocols]', async () => {
  for (const family of FAMILIES) {
    const ping = async (from: string, address: string) =>
      (await lab.exec(from, [rawProgram('speaker'), 'ping', address, `${scaled(400)}`])).stdout;
    for (const from of ['t/p9', 'outside', 'n1']) {
      assert.match(await ping(from, clusterIP(PLAIN.here, family)), /refused/, from);
      assert.match(await ping(from, clusterIP(99, family)), /timeout/, from);
    }
  }
});

test('SCTP: flows are in the conntrack table with the mark of translated ones, Services in the dump [sctp]', async () => {
  await assertPaths(dials, [['t/p9', to(clusterIP(PLAIN.away), 80, { localPort: 19_999 }), answer(podAddress(CLIENT), 'p2')]]);
  const [entry] = await conntrackEntries(lab, 'n1', '-p', 'sctp', '-m', '0x2000/0x2000', '--sport', '19999');
  assert.match(`${entry}`, new RegExp(`src=${podAddress(AWAY)}`));
  const dump = await weir(lab, 'n1', 'dump');
  assert.match(dump, /80\/SCTP/);
});

test('a packet that conntrack calls invalid brings no reset, from the client or from a node that changed its address [ct-invalid]', async () => {
  const strayAnswer = async (from: string, target: Target, family: Family): Promise<string> => {
    const stray = await startRaw(lab, 't/p2', 'stray', podAddress(AWAY, family), '8080', `${scaled(1000)}`);
    const said = new Promise<string>((resolve) => stray.stdout?.on('data', (text) => resolve(`${text}`.trim())));
    const client = lab.hold(from, { target, everyMs: 100 });
    const outcome = await said;
    await client.stop();
    return outcome;
  };
  const assertAnswers = async (expected: string): Promise<void> => {
    for (const family of FAMILIES) {
      assert.equal(await strayAnswer('t/p9', to(clusterIP(TCP, family), 80), family), expected);
      assert.equal(await strayAnswer('outside', to(nodeAddress('n1', family), nodePort(TCP)), family), expected);
    }
  };
  const allowOn = (name: string) => lab.exec(name, ['nft', 'flush chain inet weir forward; flush chain inet weir resets']);
  // The server's node knows the flow, too, and would not let the packet out.
  await allowOn('n2');
  await assertAnswers('no reset');
  await allowOn('n1');
  await assertAnswers('reset');
});

test('no test has loaded sctp.ko [sctp-module]', () => {
  if (existsSync('/proc/modules')) assert.doesNotMatch(readFileSync('/proc/modules', 'utf8'), /^sctp /m);
});

test('SCTP: the table comes back with its Services when another process removes it, and with a new agent [sctp]', async () => {
  const path: Path = ['t/p9', to(clusterIP(PLAIN.away), 80), answer(podAddress(CLIENT), 'p2')];
  await lab.exec('n1', ['nft', 'flush', 'ruleset']);
  await until('the table is back', async () => (await lab.exec('n1', ['nft', 'list', 'chain', 'inet', 'weir', 'refuse'])).code === 0);
  await assertPaths(dials, [path]);
  await restartAgent(lab, 'n1', '--cluster-cidr', '');
  await assertPaths(dials, [
    path,
    ['outside', to(clusterIP(PLAIN.here), 80), answer(OUTSIDE[4], 'p1')],
    ['t/p1', to(clusterIP(PLAIN.here), 80), answer(nodeAddress('n1'), 'p1')],
    ['t/p9', to(nodeAddress('n1'), nodePort(EXTERNAL_LOCAL.away)), 'dropped'],
  ]);
});

test('SCTP: a flow is translated as long as it lives, also when the agent is stopped and its traces are removed [sctp]', async () => {
  await lab.exec('n1', ['sh', '-c', 'echo 600 >/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_cookie_wait']);
  const old: Path = ['t/p9', to(clusterIP(PLAIN.away), 80, { localPort: 19_998 }), answer(podAddress(CLIENT), 'p2')];
  await assertPaths(dials, [old]);
  await lab.agent('n1').kill();
  assert.match(await weir(lab, 'n1', 'cleanup'), /Kept the NAT chains of table inet weir/);
  await assertPaths(dials, [old, ['t/p9', to(clusterIP(PLAIN.away), 80), 'dropped']]);
});
