/** The life of an agent: traffic goes on while it is away, and changes are in force when it is back. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bpffsDir, manifestsDir, WEIR } from '#lab/paths.ts';
import type { Target } from '#lab/probe.ts';
import { hostPort } from '#lib/host-port.ts';
import { PACKET_PATHS } from '#reconcile/ports/datapath.ts';
import { conntrackEntries, raise, restartAgent, scaled, stateDir, weir } from './ground.ts';
import { AWAY, CLIENT, clusterIP, HERE, nodeAddress, nodePort, numbered, type PodSpec, podAddress, slices } from './objects.ts';
import { answer, assertPaths, type Path, tcp, udp, until, untilAnsweredBy } from './paths.ts';

const [WEB, SWAP, LATER] = [1, 2, 3];

const lab = await raise('l', {
  pods: [HERE, AWAY, CLIENT],
  objects: [numbered('web', WEB), ...slices({ of: 'web', pods: [HERE, AWAY] })],
});

before(async () => {
  serve('swap', SWAP, HERE);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(SWAP), 80), 'p1');
});

/** A Service in a file of its own, answered by one pod. */
function serve(name: string, number: number, pod: PodSpec): void {
  lab.writeManifest(`${name}.json`, [numbered(name, number), ...slices({ of: name, pods: [pod] })]);
}

const manifest = (name: string): string => join(manifestsDir(lab.topology.name), name);

/** Flows that packets translate, and flows that sockets do. */
const BY_PACKETS: readonly (readonly [string, Target])[] = [
  ['outside', tcp(nodeAddress('n1'), nodePort(WEB))],
  ['outside', tcp(nodeAddress('n1', 6), nodePort(WEB))],
  ['outside', udp(nodeAddress('n1'), nodePort(WEB))],
  ['outside', udp(nodeAddress('n1', 6), nodePort(WEB), { unconnected: true })],
];
const BY_SOCKETS: readonly (readonly [string, Target])[] = [
  ['t/p9', tcp(clusterIP(WEB), 80)],
  ['t/p9', tcp(clusterIP(WEB, 6), 80)],
  ['t/p9', udp(clusterIP(WEB, 6), 80)],
];
const UNCONNECTED: readonly (readonly [string, Target])[] = [['t/p9', udp(clusterIP(WEB), 80, { unconnected: true })]];

/** Long-lived flows; `end` fails for each that was broken, went unanswered once, or changed its pod. */
function holdFlows(flows: readonly (readonly [string, Target])[]): { end(): Promise<void> } {
  const held = flows.map(([from, target]) => lab.hold(from, { target, everyMs: 5 * scaled(1) }));
  return {
    async end() {
      const reports = await Promise.all(held.map((hold) => hold.stop()));
      for (const [i, { sent, answered, answeredBy, brokenBy }] of reports.entries()) {
        const [from, target] = flows[i] ?? assert.fail();
        const line = `${from} to ${hostPort(target.address, target.port)}/${target.protocol}: ${JSON.stringify(reports[i])}`;
        assert.ok(sent > 10 && answered === sent && brokenBy === undefined, line);
        assert.equal(Object.keys(answeredBy).length, 1, line);
      }
    },
  };
}

/** New connections all the time; `end` fails for each that was not served. */
function loadFlows(flows: readonly (readonly [string, Target])[]): { end(): Promise<void> } {
  const loads = flows.map(([from, target]) => lab.load(from, { target: { ...target, timeoutMs: scaled(5000) }, concurrency: 1 }));
  return {
    async end() {
      const reports = await Promise.all(loads.map((load) => load.stop()));
      for (const [i, { failures, answered }] of reports.entries()) {
        assert.deepEqual(failures, {}, `${JSON.stringify(flows[i])}: ${answered} answered`);
        assert.ok(answered > 10, `${JSON.stringify(flows[i])}: only ${answered} answered`);
      }
    },
  };
}

const ALL = [...BY_PACKETS, ...BY_SOCKETS, ...UNCONNECTED];
/** One of each kind. */
const NEW = [BY_PACKETS[0], BY_PACKETS[2], BY_SOCKETS[1], ...UNCONNECTED].filter((flow) => flow !== undefined);

async function throughAll(what: () => Promise<void>): Promise<void> {
  const flows = [holdFlows(ALL), loadFlows(NEW)];
  await sleep(scaled(200));
  await what();
  await sleep(scaled(200));
  for (const each of flows) await each.end();
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const)
  test(`flows and new connections go on through ${signal}, an absence and a return`, () =>
    throughAll(async () => {
      await lab.agent('n1').kill(signal);
      await sleep(scaled(200));
      await lab.agent('n1').start();
      assert.match(lab.agent('n1').log, /Adopted the tables of an earlier agent/);
    }));

test('flows and new connections go on through an upgrade to tables of another size, and back', async () => {
  const folders = async (): Promise<string> => (await lab.exec('n1', ['ls', bpffsDir(lab.topology.name, 'n1')])).stdout;
  const before = await folders();
  await throughAll(async () => {
    await restartAgent(lab, 'n1', '--map-size', 'backends=5000,slots=9000');
    assert.notEqual(await folders(), before);
    await restartAgent(lab, 'n1');
    assert.equal(await folders(), before);
  });
});

test('flows and new connections go on when the agent comes back with the other packet path, and again with the first', () =>
  throughAll(async () => {
    for (const path of PACKET_PATHS.toReversed()) {
      await restartAgent(lab, 'n1', '--packet-path', path);
      await sleep(scaled(200));
    }
  }));

test('an endpoint that changed while the agent was away is right when it is back, for new flows and for old datagrams', async () => {
  const talk = lab.hold('t/p9', { target: udp(clusterIP(SWAP), 80, { unconnected: true }), everyMs: 5 });
  await sleep(scaled(200));
  await lab.agent('n1').kill('SIGKILL');
  serve('swap', SWAP, AWAY);
  await sleep(scaled(200));
  await assertPaths(lab, [['t/p9', tcp(clusterIP(SWAP), 80), answer(podAddress(CLIENT), 'p1')]]);
  await lab.agent('n1').start();
  await assertPaths(lab, [
    ['t/p9', tcp(clusterIP(SWAP), 80), answer(podAddress(CLIENT), 'p2')],
    ['t/p9', udp(clusterIP(SWAP, 6), 80), answer(podAddress(CLIENT, 6), 'p2')],
    ['outside', tcp(nodeAddress('n1'), nodePort(SWAP)), answer(nodeAddress('n1'), 'p2')],
  ]);
  await sleep(scaled(200));
  const { answeredBy, sent, answered } = await talk.stop();
  assert.deepEqual([Object.keys(answeredBy), sent - answered], [['t/p1', 't/p2'], 0]);
});

test('a Service that came or went while the agent was away is there or gone when it is back', async () => {
  await lab.agent('n1').kill();
  lab.writeManifest('swap.json', []);
  serve('later', LATER, AWAY);
  await lab.agent('n1').start();
  const gone = (to: (address: string, port: number) => Target): Path[] => [
    ['t/p9', to(clusterIP(SWAP), 80), 'dropped'],
    ['t/p9', to(nodeAddress('n1'), nodePort(SWAP)), 'refused'],
    ['outside', to(nodeAddress('n1', 6), nodePort(SWAP)), 'refused'],
    ['t/p9', to(clusterIP(LATER), 80), answer(podAddress(CLIENT), 'p2')],
  ];
  await assertPaths(lab, [...gone(tcp), ...gone(udp)]);
  assert.doesNotMatch(await weir(lab, 'n1', 'dump'), /t\/swap/);
});

test('a manifest that is broken when the agent returns takes no Service away; mended, it is followed again', async () => {
  serve('swap', SWAP, HERE);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(SWAP), 80), 'p1');
  await lab.agent('n1').kill();
  writeFileSync(manifest('swap.json'), '{"apiVersion": "v1", "kind": "Li');
  serve('later', LATER, HERE);
  await lab.agent('n1').start();
  await assertPaths(lab, [
    ['t/p9', tcp(clusterIP(SWAP), 80), answer(podAddress(CLIENT), 'p1')],
    ['outside', udp(nodeAddress('n1'), nodePort(SWAP)), answer(nodeAddress('n1'), 'p1')],
    ['t/p9', tcp(clusterIP(LATER), 80), answer(podAddress(CLIENT), 'p1')],
  ]);
  assert.equal(lab.agent('n1').log.match(/WARN.*swap\.json/g)?.length, 1, lab.agent('n1').log);
  lab.writeManifest('swap.json', []);
  await until('the Service is gone', async () => !(await weir(lab, 'n1', 'dump')).includes('t/swap'));
});

test('a second agent in the same network namespace is refused, and the first goes on', async () => {
  const flags = ['--source', 'manifests', '--dir', manifestsDir(lab.topology.name), '--node-name', 'n1', ...stateDir(lab, 'n1')];
  const { code, stderr } = await lab.exec('n1', [WEIR, 'run', ...flags]);
  assert.deepEqual([code, /another weir agent runs in this network namespace/.test(stderr)], [4, true], stderr);
  const cleanup = await lab.exec('n1', [WEIR, 'cleanup', ...stateDir(lab, 'n1')]);
  assert.equal(cleanup.code, 4);
  const fromElsewhere = await lab.exec('n2', [WEIR, 'cleanup', ...stateDir(lab, 'n1')]);
  assert.match(fromElsewhere.stderr, /another weir agent/);
  await assertPaths(lab, [['t/p9', tcp(clusterIP(WEB), 80), answer(podAddress(CLIENT), 'p1', 'p2')]]);
});

test('dump shows what the kernel holds without an agent', async () => {
  await lab.agent('n1').kill();
  const { frontends } = JSON.parse(await weir(lab, 'n1', 'dump', '-o', 'json'));
  const [web] = frontends.filter((each: { frontend: string }) => each.frontend === `${clusterIP(WEB)}:80/TCP`);
  assert.deepEqual([web?.service, web?.localSource], ['t/web:tcp', [HERE, AWAY].map((pod) => `${podAddress(pod)}:8080`)]);
  await lab.agent('n1').start();
});

/** Original direction of every open TCP connection that n1 translates. */
async function openFlows(): Promise<string[]> {
  const entries = await conntrackEntries(lab, 'n1', '--mark', '0x2000/0x2000');
  return entries
    .filter((entry) => entry.includes('ESTABLISHED'))
    .map((entry) => entry.match(/src=\S+ dst=\S+ sport=\d+ dport=\d+/)?.[0] ?? entry);
}

test('cleanup ends no open flow; without flows it leaves nothing, and an agent can begin anew, although it cannot read everything', async () => {
  const flows = holdFlows([...BY_PACKETS, ...BY_SOCKETS]);
  await sleep(scaled(200));
  await lab.agent('n1').kill();
  const open = await openFlows();
  assert.match(await weir(lab, 'n1', 'cleanup'), /Kept the NAT chains/);
  await assertPaths(lab, [
    ['outside', tcp(nodeAddress('n1'), nodePort(WEB)), 'refused'],
    ['t/p9', udp(nodeAddress('n1'), nodePort(WEB)), 'refused'],
  ]);
  await sleep(scaled(200));
  writeFileSync(manifest('swap.json'), 'broken: {');
  await lab.agent('n1').start();
  await assertPaths(lab, [['t/p9', tcp(clusterIP(WEB), 80), answer(podAddress(CLIENT), 'p1', 'p2')]]);
  assert.match((await lab.exec('n1', ['nft', 'list', 'table', 'inet', 'weir'])).stdout, /chain refuse/);
  lab.writeManifest('swap.json', []);
  const later = await openFlows();
  assert.ok(open.length > 0);
  assert.deepEqual(
    open.filter((flow) => !later.includes(flow)),
    [],
  );
  await flows.end();

  await lab.agent('n1').kill();
  await lab.exec('n1', ['conntrack', '-F']);
  assert.match(await weir(lab, 'n1', 'cleanup'), /Removed table inet weir/);
  assert.equal((await lab.exec('n1', ['nft', 'list', 'tables'])).stdout, '');
  assert.equal(
    (await lab.exec('n1', ['sh', '-c', 'bpftool net show dev eth0; tc filter show dev eth0 ingress'])).stdout.match(/weir/),
    null,
  );
  assert.equal((await lab.exec('n1', ['bpftool', 'cgroup', 'show', lab.place('n1').cgroup])).stdout.match(/weir/), null);
  assert.equal(existsSync(bpffsDir(lab.topology.name, 'n1')), false);
  assert.match(await weir(lab, 'n1', 'cleanup'), /Nothing of weir was here/);
});
