/** Source ports of a node: how many connections it can have with one backend, and the report when there is no port left. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { STRANGER_ADDRESSES } from '#lab/topology.ts';
import { PACKET_PATH } from '#support/packet-path.ts';
import { outcomes, raise, scaled } from './ground.ts';
import { AWAY, nodeAddress, nodePort, numbered, podAddress, slices } from './objects.ts';
import { assertPaths, tcp, until } from './paths.ts';

const [FAR, KEPT] = [1, 2];
const [STRANGER = ''] = STRANGER_ADDRESSES;

/** Ports that the kernel gives to clients whose own port is not below 1024, and ports below 512 (nf_nat_l4proto_unique_tuple). */
const ALL_PORTS = [1024, 65_535] as const;
const LOW_PORTS = 511;
/** What one client has by default for connections to one address and port (net.ipv4.ip_local_port_range). */
const LOCAL_PORTS = [32_768, 60_999] as const;

const lab = await raise('y', {
  pods: [AWAY],
  objects: [
    ...[numbered('far', FAR), ...slices({ of: 'far', pods: [AWAY] })],
    numbered('kept', KEPT, { spec: { type: 'NodePort', externalTrafficPolicy: 'Local' } }),
    ...slices({ of: 'kept', pods: [AWAY] }),
  ],
});
afterEach(() => lab.exec('n1', ['conntrack', '-F']));

const dialled = tcp(nodeAddress('n1'), nodePort(FAR), { timeoutMs: scaled(5000) });

/** Open connections of n1 with the backend under all these source ports, from a client that there is not. */
async function occupy([first, last]: readonly [number, number]): Promise<void> {
  const [own, backend] = [nodeAddress('n1'), podAddress(AWAY)];
  const entries = Array.from(
    { length: last - first + 1 },
    (_, i) =>
      `-A -p tcp --state ESTABLISHED -t 600 -s 192.0.2.99 --sport ${first + i} -d ${own} --dport ${dialled.port} ` +
      `--src-nat ${own}:${first + i} --dst-nat ${backend}:8080\n`,
  );
  const { code, stderr } = await lab.exec('n1', ['sh', '-c', 'cat | conntrack -R -'], entries.join(''));
  assert.equal(code, 0, stderr);
}

/** Whether the connection tracking table of a node is large enough for all ports of one address. */
async function hasRoom(): Promise<boolean> {
  const { stdout } = await lab.exec('n1', ['sysctl', '-n', 'net.netfilter.nf_conntrack_max']);
  return Number(stdout) > ALL_PORTS[1] + 1000;
}

test('one backend may have more connections by a node than a client has ports [snat-ports]', async () => {
  await occupy(LOCAL_PORTS);
  const { failures, answered } = await lab.load('outside', { target: dialled, concurrency: 8, requests: 200 }).done;
  assert.deepEqual([failures, answered], [{}, 200]);
});

/** The programs know which flow found no port. */
async function isLogged(): Promise<boolean> {
  const line = new RegExp(`WARN .* source ports .* service=t/far:tcp source=${nodeAddress('n1')} backend=${podAddress(AWAY)} port=8080`);
  return (await outcomes(lab, 'n1')).packet_drop_no_source_port !== 0 && line.test(lab.agent('n1').log);
}

/** The kernel drops the packet when it inserts the entry, and counts that. */
async function hasFailedInsertions(): Promise<boolean> {
  return /insert_failed=[1-9]/.test((await lab.exec('n1', ['conntrack', '-S'])).stdout);
}

test('without a source port a client is dropped, others stay, and it is said what ran out [snat-ports]', async (context) => {
  if (!(await hasRoom())) return context.skip('net.netfilter.nf_conntrack_max has less room than an address has ports');
  const held = lab.hold('outside', { target: dialled, everyMs: 50 });
  await until('a connection stands', async () => (await outcomes(lab, 'n1')).packet_translated_snat !== 0);
  await occupy(ALL_PORTS);
  await assertPaths(lab, [
    ['outside', dialled, 'dropped'],
    ['outside', tcp(nodeAddress('n2'), nodePort(KEPT)), { by: ['t/p2'], client: '203.0.113.2' }],
    ['outside', tcp(nodeAddress('n2'), nodePort(FAR)), { by: ['t/p2'], client: nodeAddress('n2') }],
  ]);
  await until('it is reported', PACKET_PATH === 'kfuncs' ? isLogged : hasFailedInsertions);
  const { brokenBy, sent, answered } = await held.stop();
  assert.deepEqual([brokenBy, answered], [undefined, sent]);
});

test('finished connections give their source ports to the next clients [snat-ports]', async () => {
  const ports = Array.from({ length: LOW_PORTS }, (_, i) => i + 1);
  const dial = (localPort: number, more: { localAddress?: string } = {}) => lab.dial('outside', { ...dialled, localPort, ...more });
  for (const seen of await Promise.all(ports.map((port) => dial(port)))) assert.equal(seen.outcome, 'answered');
  await until('they are over', async () => !(await lab.exec('n1', ['conntrack', '-L', '-p', 'tcp', '--state', 'ESTABLISHED'])).stdout);
  for (const port of ports.slice(0, 100)) {
    const seen = await dial(port, { localAddress: STRANGER });
    assert.equal(seen.outcome, 'answered', `the client at port ${port}`);
  }
  if (PACKET_PATH === 'kfuncs') assert.ok(((await outcomes(lab, 'n1')).packet_tuple_reused ?? 0) >= 100);
});
