/**
 * Rules of other software in netfilter: they see flows of Services as they see any others, because netfilter translates them. The same rules
 * beside kube-proxy's have the same effects.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { onlyNetfilter } from '#support/packet-path.ts';
import { conntrackEntries, inside, ip, netns, raise, routeServicesBy, scaled } from './ground.ts';
import { AWAY, CLIENT, clusterIP, HERE, nodeAddress, nodePort, numbered, type PodSpec, podAddress, slices } from './objects.ts';
import { answer, assertPaths, type Path, tcp, udp, until } from './paths.ts';

const HOST_AWAY: PodSpec = { name: 'h2', node: 'n2', hostNetwork: true };
const [FAR, HOSTED, LOCAL] = [1, 2, 3];
const OUTSIDE = '203.0.113.2';

const lab = await raise('or', {
  pods: [HERE, AWAY, CLIENT, HOST_AWAY],
  objects: [
    ...[numbered('far', FAR), ...slices({ of: 'far', pods: [AWAY] })],
    ...[numbered('hosted', HOSTED), ...slices({ of: 'hosted', pods: [HOST_AWAY] })],
    ...[numbered('local', LOCAL, { spec: { type: 'NodePort', externalTrafficPolicy: 'Local' } }), ...slices({ of: 'local', pods: [HERE] })],
  ],
  agentFlags: ['--socket-scope', 'host'],
});

const FROM_OUTSIDE: Path = ['outside', tcp(nodeAddress('n1'), nodePort(FAR)), answer(nodeAddress('n1'), 'p2')];

before(() => {
  for (const family of [4, 6] as const) routeServicesBy(lab, nodeAddress('n1', family));
});
afterEach(async () => {
  await lab.exec('n1', ['nft', 'delete table inet other']);
  await lab.exec('n1', ['conntrack', '-F']);
});

/** Rules in a table of their own on n1, which goes after the test. */
async function rules(text: string): Promise<void> {
  const { code, stderr } = await lab.exec('n1', ['nft', `table inet other { ${text}\n}`]);
  assert.equal(code, 0, stderr);
}

for (const [where, chain] of [
  ['raw prerouting', 'type filter hook prerouting priority raw'],
  ['forward', 'type filter hook forward priority filter'],
] as const)
  test(`a client that the firewall drops in ${where} leaves no conntrack entry [denied-no-entry]`, onlyNetfilter, async () => {
    await rules(`chain deny { ${chain}; ip saddr ${OUTSIDE} counter drop; }`);
    await assertPaths(lab, [
      ['outside', FROM_OUTSIDE[1], 'dropped'],
      ['outside', udp(nodeAddress('n1'), nodePort(FAR)), 'dropped'],
    ]);
    assert.deepEqual(await conntrackEntries(lab, 'n1', '--orig-src', OUTSIDE), []);
  });

/** Sends two questions on one socket, the second after the first answer. */
async function askTwice(address: string, port: number): Promise<number> {
  const { createSocket } = await import('node:dgram');
  const { EventEmitter } = await import('node:events');
  const socket = createSocket('udp4').bind(9200);
  for (let i = 0; i < 2; i++) {
    socket.send('{}', port, address);
    await EventEmitter.once(socket, 'message', { signal: AbortSignal.timeout(5000) });
  }
  socket.close();
  return 2;
}

test('two questions and answers of UDP on one socket make an entry that is not assured [udp-not-assured]', onlyNetfilter, async () => {
  assert.equal(await inside(lab, 'outside', askTwice, nodeAddress('n1'), nodePort(FAR)), 2);
  const [entry = '', ...others] = await conntrackEntries(lab, 'n1', '-p', 'udp', '--orig-port-src', '9200');
  assert.deepEqual(others, []);
  assert.doesNotMatch(entry, /ASSURED|UNREPLIED/);
});

test("the network plugin's masquerade has its turn after the translation [other-masquerade]", onlyNetfilter, async () => {
  const dialled: Path = ['t/p9', tcp(clusterIP(HOSTED), 80), answer(podAddress(CLIENT), 'h2')];
  await assertPaths(lab, [dialled]);
  await rules('chain plugin { type nat hook postrouting priority srcnat; ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade; }');
  await assertPaths(lab, [[...dialled.slice(0, 2), answer(nodeAddress('n1'), 'h2')] as unknown as Path]);
});

test('the source is the address that the route to the endpoint uses [snat-by-route]', onlyNetfilter, async (t) => {
  ip(lab, 'n1', 'address add 172.31.5.1/24 dev eth0');
  ip(lab, 'n2', 'address add 172.31.5.2/24 dev eth0');
  t.after(() => {
    ip(lab, 'n1', 'address delete 172.31.5.1/24 dev eth0');
    ip(lab, 'n2', 'address delete 172.31.5.2/24 dev eth0');
    ip(lab, 'n1', `route delete ${podAddress(AWAY)}/32`);
  });
  ip(lab, 'n1', `route replace ${podAddress(AWAY)}/32 via 172.31.5.2`);
  await assertPaths(lab, [['outside', FROM_OUTSIDE[1], answer('172.31.5.1', 'p2')]]);
});

test('a TCP flow with SNAT keeps its source port if that is free [snat-keeps-port]', async () => {
  await assertPaths(lab, [['outside', { ...FROM_OUTSIDE[1], localPort: 41_234 }, FROM_OUTSIDE[2]]]);
  const [entry = ''] = await conntrackEntries(lab, 'n1', '-p', 'tcp', '--orig-port-src', '41234');
  assert.match(entry, new RegExp(`src=${podAddress(AWAY)} dst=${nodeAddress('n1')} sport=8080 dport=41234 `));
});

test('no UDP flow gets a source port that may be a NodePort [snat-udp-ports]', onlyNetfilter, async () => {
  const { failures } = await lab.load('outside', { target: udp(nodeAddress('n1'), nodePort(FAR)), concurrency: 4, requests: 200 }).done;
  assert.deepEqual(failures, {});
  const entries = await conntrackEntries(lab, 'n1', '-p', 'udp', '--orig-port-dst', `${nodePort(FAR)}`);
  const ports = entries.map((entry) => Number([...entry.matchAll(/dport=(\d+)/g)][1]?.[1]));
  assert.ok(ports.length >= 100, `${ports.length} entries`);
  assert.deepEqual(
    ports.filter((port) => port < 32_768),
    [],
  );
});

test(
  'conntrack reports a flow of a Service from its first packet on, and counts its bytes [conntrack-events]',
  onlyNetfilter,
  async (t) => {
    await lab.exec('n1', ['sh', '-c', 'echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct']);
    const events = spawn('ip', ['netns', 'exec', netns(lab, 'n1'), 'conntrack', '-E', '-p', 'tcp', '--orig-port-dst', `${nodePort(FAR)}`]);
    t.after(() => events.kill());
    let text = '';
    events.stdout.on('data', (some) => {
      text += some;
    });
    await until('the command listens', async () => {
      await assertPaths(lab, [FROM_OUTSIDE]);
      return /\[NEW\]/.test(text);
    });
    assert.match(text, new RegExp(`\\[NEW\\] .* SYN_SENT src=${OUTSIDE} .*dport=${nodePort(FAR)} .*src=${podAddress(AWAY)} `));
    assert.match((await conntrackEntries(lab, 'n1', '-p', 'tcp', '--orig-port-dst', `${nodePort(FAR)}`)).join('\n'), /bytes=[1-9]/);
  },
);

for (const [what, text] of [
  ['restores the mark of the flow', 'chain pre { type filter hook prerouting priority mangle; meta mark set ct mark; }'],
  ['marks every packet with all bits', 'chain pre { type filter hook prerouting priority raw; meta mark set 0xffffffff; }'],
  ['stores a mark of its own when the flow begins', 'chain pre { type filter hook prerouting priority mangle; ct mark set 0x4b2000ff; }'],
] as const)
  test(`a rule that ${what} takes no Service away [other-marks]`, async () => {
    await rules(text);
    await assertPaths(lab, [FROM_OUTSIDE, FROM_OUTSIDE, ['t/p9', tcp(clusterIP(FAR), 80), answer(podAddress(CLIENT), 'p2')]]);
    await assertPaths(lab, [['t/p9', tcp(clusterIP(FAR), 81), 'refused']]);
  });

test('a conntrack zone of other software holds the flows of Services, too [other-zones]', onlyNetfilter, async () => {
  await rules(`
    chain pre { type filter hook prerouting priority raw; ct zone set 7; }
    chain out { type filter hook output priority raw; ct zone set 7; }`);
  await assertPaths(lab, [FROM_OUTSIDE, ['t/p9', tcp(clusterIP(FAR), 80), answer(podAddress(CLIENT), 'p2')]]);
  assert.match((await conntrackEntries(lab, 'n1', '-p', 'tcp', '--orig-port-dst', `${nodePort(FAR)}`)).join('\n'), /zone=7/);
});

test('a packet that a rule keeps from conntrack is not translated [not-tracked]', onlyNetfilter, async () => {
  await rules(`chain pre { type filter hook prerouting priority raw; ip saddr ${OUTSIDE} notrack; }`);
  await assertPaths(lab, [['outside', FROM_OUTSIDE[1], 'refused']]);
});

test('a client uses one source port for a NodePort without SNAT and for its pod itself; both flows keep their addresses [one-source-port]', async () => {
  const more = { localPort: 9300 };
  const targets = [tcp(nodeAddress('n1'), nodePort(LOCAL), more), tcp(podAddress(HERE), 8080, more)];
  const open = async (): Promise<string[]> =>
    (await conntrackEntries(lab, 'n1', '-p', 'tcp', '--orig-port-src', '9300')).filter((entry) => entry.includes('ESTABLISHED'));
  for (const order of [targets, targets.toReversed()]) {
    const held = order.map((target) => lab.hold('outside', { target, everyMs: 20 }));
    await until('both are under way', async () => (await open()).length === 2);
    await sleep(scaled(200));
    for (const { sent, answered, brokenBy, answeredBy } of await Promise.all(held.map((each) => each.stop()))) {
      assert.deepEqual([answered, brokenBy, Object.keys(answeredBy)], [sent, undefined, ['t/p1']]);
    }
    const entries = await conntrackEntries(lab, 'n1', '-p', 'tcp', '--orig-port-src', '9300');
    for (const entry of entries) assert.match(entry, new RegExp(`src=${podAddress(HERE)} dst=${OUTSIDE} `));
    await lab.exec('n1', ['conntrack', '-F']);
  }
});
