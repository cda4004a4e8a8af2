/** Agents of lab nodes that follow `weir kpng-server`: traffic is answered as with the folder as source. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { labDir, manifestsDir, WEIR } from '#lab/paths.ts';
import { createAuthority } from '#support/certificates.ts';
import { raise, restartAgent, weir } from '../datapath/ground.ts';
import {
  AWAY,
  balanced,
  CLIENT,
  clusterIP,
  HERE,
  nodeAddress,
  nodePort,
  numbered,
  outerIP,
  type PodSpec,
  podAddress,
  slices,
} from '../datapath/objects.ts';
import { answer, assertPaths, type Path, tcp, udp, until, untilAnsweredBy } from '../datapath/paths.ts';

const [WEB, LOCAL, DRAINING, EMPTY, SWAP] = [1, 2, 3, 4, 5];
const DRAINS = { ready: false, serving: true, terminating: true };

const authority = createAuthority();

let server: ChildProcess | undefined;

const lab = await raise('q', {
  pods: [HERE, AWAY, CLIENT],
  objects: [
    ...[numbered('web', WEB, balanced(WEB, { loadBalancerSourceRanges: ['203.0.113.0/24', '2001:db8:1::/64'] }))],
    ...slices({ of: 'web', pods: [HERE, AWAY] }),
    numbered('local', LOCAL, { spec: { externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' } }),
    ...slices({ of: 'local', pods: [AWAY] }),
    numbered('draining', DRAINING),
    ...slices({ of: 'draining', pods: [{ ...AWAY, conditions: DRAINS }] }),
    numbered('empty', EMPTY),
  ],
});

before(async () => {
  swapTo(HERE);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(SWAP), 80), 'p1');
});

after(() => endServer('SIGKILL'));

function swapTo(pod: PodSpec): void {
  lab.writeManifest('swap.json', [numbered('swap', SWAP), ...slices({ of: 'swap', pods: [pod] })]);
}

const socket = (): string => `unix://${join(labDir(lab.topology.name), 'kpng.sock')}`;

/** Starts the server outside of all nodes, and waits until it has read the folder. */
async function startServer(...flags: readonly string[]): Promise<void> {
  const listen = flags.includes('--listen') ? [] : ['--listen', socket()];
  const argv = ['--pdeathsig', 'KILL', '--', WEIR, 'kpng-server', '--dir', manifestsDir(lab.topology.name), ...listen, ...flags];
  server = lab.spawn('outside', ['setpriv', ...argv], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  server.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  await until('the server is ready', () => /Ready: /.test(said) || assert.equal(server?.exitCode, null, said) !== undefined);
}

async function endServer(signal: NodeJS.Signals): Promise<void> {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
  const end = once(server, 'exit');
  server.kill(signal);
  await end;
}

/** The tables of a node, without the counters. */
async function tablesOf(name: string): Promise<unknown> {
  const { outcomes, ...tables } = JSON.parse(await weir(lab, name, 'dump', '-o', 'json'));
  return tables;
}

const PATHS: readonly Path[] = [
  ['t/p9', tcp(clusterIP(WEB), 80), answer(podAddress(CLIENT), 'p1', 'p2')],
  ['t/p9', udp(clusterIP(WEB, 6), 80), answer(podAddress(CLIENT, 6), 'p1', 'p2')],
  ['outside', tcp(nodeAddress('n1'), nodePort(WEB)), answer(nodeAddress('n1'), 'p1', 'p2')],
  ['outside', tcp(outerIP(WEB), 80), answer(nodeAddress('n1'), 'p1', 'p2')],
  ['t/p9', tcp(clusterIP(LOCAL), 80), 'dropped'],
  ['outside', tcp(nodeAddress('n1'), nodePort(LOCAL)), 'dropped'],
  ['outside', tcp(nodeAddress('n2'), nodePort(LOCAL)), answer('203.0.113.2', 'p2')],
  ['t/p9', tcp(clusterIP(DRAINING), 80), answer(podAddress(CLIENT), 'p2')],
  ['t/p9', tcp(clusterIP(EMPTY), 80), 'refused'],
  ['t/p9', tcp(clusterIP(77), 80), 'dropped'],
];

test('agents that follow the server have the same tables and answers as from the folder', async () => {
  const names = ['n1', 'n2'];
  const fromFolder = await Promise.all(names.map(tablesOf));
  await assertPaths(lab, PATHS);
  await startServer();
  for (const name of names) {
    await restartAgent(lab, name, '--source', `kpng=${socket()}`);
    assert.match(lab.agent(name).log, /Following a KPNG server/);
    assert.match(lab.agent(name).log, /Adopted the tables of an earlier agent/);
    assert.doesNotMatch(lab.agent(name).log, /Wrote tables/);
  }
  assert.deepEqual(await Promise.all(names.map(tablesOf)), fromFolder);
  await assertPaths(lab, PATHS);
});

test('a change of the folder reaches all nodes', async () => {
  swapTo(AWAY);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(SWAP), 80), 'p2');
  await untilAnsweredBy(lab, 'n2', tcp(clusterIP(SWAP), 80), 'p2');
});

test('nodes keep their state while the server is down, and follow it again after its restart', async () => {
  await endServer('SIGKILL');
  swapTo(HERE);
  await until('the agent reports the lost server', () => /WARN.*Cannot follow KPNG server/.test(lab.agent('n1').log));
  await assertPaths(lab, [...PATHS, ['t/p9', tcp(clusterIP(SWAP), 80), answer(podAddress(CLIENT), 'p2')]]);
  await startServer();
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(SWAP), 80), 'p1');
  assert.match(lab.agent('n1').log, /INFO.*The KPNG server answers again/);
  await assertPaths(lab, PATHS);
  assert.doesNotMatch(lab.agent('n1').log, /ERROR/);
});

test('over TCP an agent follows with mutual TLS, and only with the certificate of its node', async () => {
  await endServer('SIGTERM');
  const address = '203.0.113.2:12090';
  const files = (flag: string, name: string, subject: string, names: string): string[] => {
    const pair = authority.issue(subject, names);
    const path = (kind: string): string => join(labDir(lab.topology.name), `${name}.${kind}`);
    writeFileSync(path('crt'), pair.cert);
    writeFileSync(path('key'), pair.key);
    writeFileSync(path('ca'), authority.ca);
    return ['crt', 'key', 'ca'].flatMap((kind) => [`--${flag}tls-${kind}`, path(kind)]);
  };
  await startServer('--listen', address, ...files('listen-', 'server', '/CN=kpng', 'IP:203.0.113.2'), '--verify-node-names');
  const wrong = await lab.exec('n1', [
    WEIR,
    'doctor',
    '--source',
    `kpng=${address}`,
    '--node-name',
    'n1',
    ...files('', 'n2', '/CN=system:node:n2', 'DNS:n2'),
  ]);
  assert.match(wrong.stdout, /MISSING.*KPNG server.*the certificate names system:node:n2, n2, must name node n1/);
  const right = files('', 'n1', '/O=system:nodes/CN=system:node:n1', 'DNS:elsewhere');
  await restartAgent(lab, 'n1', '--source', `kpng=${address}`, ...right);
  swapTo(AWAY);
  await untilAnsweredBy(lab, 't/p9', tcp(clusterIP(SWAP), 80), 'p2');
  await assertPaths(lab, PATHS);
  const fine = await lab.exec('n1', [WEIR, 'doctor', '--source', `kpng=${address}`, '--node-name', 'n1', ...right]);
  assert.match(fine.stdout, /fine.*KPNG server.*with weir's extensions: nothing is lost/);
});
