/** Sockets in network namespaces that are not a pod's, or not only: their packets decide, as with any proxy of packets. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { before, test } from 'node:test';
import { Dialer } from '#lab/dialer.ts';
import { WEIR } from '#lab/paths.ts';
import { ip, netns, outcomes, raise, restartAgent, stateDir } from './ground.ts';
import {
  AWAY,
  CLIENT,
  clusterIP,
  FAMILIES,
  type Family,
  HERE,
  nodeAddress,
  numbered,
  type PodSpec,
  podAddress,
  slices,
} from './objects.ts';
import { answer, assertPaths, type Dials, type Path, tcp, udp, until, untilAnsweredBy } from './paths.ts';

const [WEB, NEAR] = [1, 2];
const PROTOCOLS = [tcp, udp] as const;

/** Pods of n1 that a test changes: one with a second network, one with a cluster inside, one that opts out. */
const [SECOND, NEST, APART]: PodSpec[] = ['p5', 'p6', 'p7'].map((name) => ({ name, node: 'n1' })) as [PodSpec, PodSpec, PodSpec];

const lab = await raise('o', {
  pods: [HERE, AWAY, CLIENT, SECOND, NEST, APART],
  objects: [
    ...[numbered('web', WEB), ...slices({ of: 'web', pods: [AWAY] })],
    ...[numbered('near', NEAR), ...slices({ of: 'near', pods: [HERE] })],
  ],
  agentFlags: ['--cluster-cidr', '10.244.0.0/16,fd00:244::/32'],
});

/** A namespace of the lab under its place's or its own name. */
const namespaceOf = (place: string): string => lab.topology.pods.find(({ name }) => name === place)?.netns ?? netns(lab, place);

/** Runs a shell script in a namespace of the lab. */
function inNamespace(namespace: string, script: string): void {
  const { status, stderr } = spawnSync('ip', ['netns', 'exec', namespace, 'sh', '-ec', script], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** Dials by processes of n1 in a namespace that the lab does not know. */
async function fromNamespace(name: string, run: (dials: Dials) => Promise<void>): Promise<void> {
  const dialer = new Dialer({ name, netns: netns(lab, name), cgroup: lab.place('n1').cgroup });
  try {
    await run({ dial: (_, target) => dialer.dial(target) });
  } finally {
    dialer.close();
  }
}

const eachFamilyAndProtocol = (paths: (family: Family, target: typeof tcp) => readonly Path[]): Path[] =>
  FAMILIES.flatMap((family) => PROTOCOLS.flatMap((target) => paths(family, target)));

const unconnected = { unconnected: true } as const;

before(() => {
  for (const node of ['n1', 'n2']) inNamespace(namespaceOf(node), 'sysctl -qw net.ipv4.conf.all.rp_filter=0');
});

test('[foreign-container] a container of another engine is an outsider to its sockets, too', async () => {
  ip(lab, '', `netns add ${netns(lab, 'engine')}`);
  inNamespace(
    namespaceOf('n1'),
    `ip link add engine0 type bridge; ip addr add 172.17.0.1/24 dev engine0; ip addr add fd17::1/64 dev engine0 nodad
     ip link add engine1 type veth peer name eth0 netns ${netns(lab, 'engine')}; ip link set engine1 master engine0 up; ip link set engine0 up
     echo 0 >/proc/sys/net/ipv4/conf/engine0/rp_filter; echo 1 >/proc/sys/net/ipv4/conf/engine0/forwarding
     echo 1 >/proc/sys/net/ipv6/conf/engine0/forwarding`,
  );
  inNamespace(
    netns(lab, 'engine'),
    `ip link set lo up; ip addr add 172.17.0.2/24 dev eth0; ip addr add fd17::2/64 dev eth0 nodad; ip link set eth0 up
     ip route add default via 172.17.0.1; ip route add default via fd17::1`,
  );
  await fromNamespace('engine', async (dials) => {
    await untilAnsweredBy(dials, 'engine', tcp(clusterIP(WEB, 6), 80), 'p2');
    await assertPaths(dials, [
      ...eachFamilyAndProtocol((family, target) => [
        ['engine', target(clusterIP(WEB, family), 80), answer(nodeAddress('n1', family), 'p2')],
        ['engine', target(clusterIP(WEB, family), 81), 'refused'],
      ]),
      ...FAMILIES.map((family): Path => ['engine', udp(clusterIP(WEB, family), 80, unconnected), answer(nodeAddress('n1', family), 'p2')]),
    ]);
  });
});

test('[second-network] a pod with a second network and its default route reaches Services by the device of their route', async () => {
  const pod = namespaceOf('t/p5');
  ip(lab, '', `netns add ${netns(lab, 'lan')}`);
  inNamespace(
    pod,
    `ip link add net1 type veth peer name eth0 netns ${netns(lab, 'lan')}; ip addr add 192.168.77.2/24 dev net1; ip addr add fd77::2/64 dev net1 nodad`,
  );
  inNamespace(netns(lab, 'lan'), 'ip addr add 192.168.77.1/24 dev eth0; ip addr add fd77::1/64 dev eth0 nodad; ip link set eth0 up');
  inNamespace(
    pod,
    `ip link set net1 up; ip route add 10.96.0.0/16 via 169.254.1.1 dev eth0 onlink src ${podAddress(SECOND)}
     ip route replace default via 192.168.77.1 dev net1
     ip -6 route add fd00:96::/112 via fe80::1 dev eth0 src ${podAddress(SECOND, 6)}; ip -6 route del default; ip -6 route add default via fd77::1 dev net1`,
  );
  await assertPaths(lab, [
    ...eachFamilyAndProtocol((family, target) => [
      ['t/p5', target(clusterIP(WEB, family), 80), answer(podAddress(SECOND, family), 'p2')],
      ['t/p5', target(clusterIP(NEAR, family), 80), answer(podAddress(SECOND, family), 'p1')],
    ]),
    ...FAMILIES.map((family): Path => ['t/p5', udp(clusterIP(WEB, family), 80, unconnected), answer(podAddress(SECOND, family), 'p2')]),
    ['t/p5', tcp(`::ffff:${clusterIP(WEB)}`, 80), answer(podAddress(SECOND), 'p2')],
  ]);
});

/** Rules of a cluster inside a pod: its own Service has the address of one outside. */
const innerRules = (hook: 'output' | 'prerouting'): string =>
  FAMILIES.map(
    (family) => `table ip${family === 4 ? '' : '6'} inner-${hook} {
      chain services {
        type nat hook ${hook} priority ${hook === 'output' ? '-100' : 'dstnat'};
        ip${family === 4 ? '' : '6'} daddr ${clusterIP(WEB, family)} tcp dport 80 dnat to ${bracketed(podAddress(NEST, family), family)}:8080
        ip${family === 4 ? '' : '6'} daddr ${clusterIP(WEB, family)} udp dport 80 dnat to ${bracketed(podAddress(NEST, family), family)}:8081
      }
    }`,
  ).join('\n');

const bracketed = (address: string, family: Family): string => (family === 4 ? address : `[${address}]`);

const addRules = (namespace: string, rules: string): void => inNamespace(namespace, `nft -f - <<'RULES'\n${rules}\nRULES`);

test('[cluster-in-pod] processes of a cluster inside a pod reach its Services, in its namespace and in one of an inner pod', async () => {
  const nest = namespaceOf('t/p6');
  await assertPaths(lab, [['t/p6', tcp(clusterIP(WEB), 80), answer(podAddress(NEST), 'p2')]]);
  addRules(nest, innerRules('output'));
  await assertPaths(
    lab,
    eachFamilyAndProtocol((family, target) => [
      ['t/p6', target(clusterIP(WEB, family), 80), answer(podAddress(NEST, family), 'p6')],
      ['t/p6', target(clusterIP(NEAR, family), 80), answer(podAddress(NEST, family), 'p1')],
    ]),
  );
  // The inner cluster has the same range of pods as the outer one, as two clusters with default settings have
  ip(lab, '', `netns add ${netns(lab, 'inner')}`);
  addRules(nest, innerRules('prerouting'));
  inNamespace(
    nest,
    `ip link add inner0 type veth peer name eth0 netns ${netns(lab, 'inner')}; ip addr add 10.244.9.1/24 dev inner0
     ip addr add fd00:244:0:9::1/64 dev inner0 nodad; ip link set inner0 up; echo 0 >/proc/sys/net/ipv4/conf/inner0/rp_filter
     sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`,
  );
  inNamespace(
    netns(lab, 'inner'),
    `ip link set lo up; ip addr add 10.244.9.2/24 dev eth0; ip addr add fd00:244:0:9::2/64 dev eth0 nodad; ip link set eth0 up
     ip route add default via 10.244.9.1; ip route add default via fd00:244:0:9::1`,
  );
  await fromNamespace('inner', (dials) =>
    assertPaths(
      dials,
      eachFamilyAndProtocol((family, target) => [
        ['inner', target(clusterIP(WEB, family), 80), answer(family === 4 ? '10.244.9.2' : 'fd00:244:0:9::2', 'p6')],
      ]),
    ),
  );
});

test('[socket-opt-out] an empty NAT chain in its namespace leaves a pod to packets, until it is deleted', async () => {
  const ask = async (): Promise<number> => {
    const before = (await outcomes(lab, 'n1')).socket_of_other_network ?? 0;
    await assertPaths(lab, [['t/p7', tcp(clusterIP(WEB), 80), answer(podAddress(APART), 'p2')]]);
    return ((await outcomes(lab, 'n1')).socket_of_other_network ?? 0) - before;
  };
  assert.equal(await ask(), 0);
  addRules(namespaceOf('t/p7'), 'table ip weir-off { chain off { type nat hook output priority 0; }; }');
  assert.equal(await ask(), 1);
  inNamespace(namespaceOf('t/p7'), 'nft delete table ip weir-off');
  assert.equal(await ask(), 0);
});

/** How a device of a pod is made in `netns`, from the node. */
const DEVICES: Readonly<Record<string, string>> = {
  veth: 'link add kind0 type veth peer name pod0',
  netkit: 'link add kind0 type netkit mode l2 peer name pod0',
  macvlan: 'link add link eth0 name pod0 type macvlan mode bridge',
  ipvlan: 'link add link eth0 name pod0 type ipvlan mode l3',
};

for (const [kind, command] of Object.entries(DEVICES)) {
  test(`[socket-pod] a namespace with a ${kind} device of the node and an address of a pod is a pod`, async (t) => {
    const probe = spawnSync('ip', ['-n', namespaceOf('n1'), ...command.split(' ')], { encoding: 'utf8' });
    if (probe.status !== 0) return t.skip(`this kernel makes no ${kind} device: ${probe.stderr.trim()}`);
    ip(lab, '', `netns add ${netns(lab, kind)}`);
    ip(lab, 'n1', `link set pod0 netns ${netns(lab, kind)}`);
    inNamespace(
      netns(lab, kind),
      'ip link set lo up; ip addr add 10.244.1.77/32 dev pod0; ip link set pod0 up; ip route add default dev pod0',
    );
    await fromNamespace(kind, async (dials) => {
      const before = (await outcomes(lab, 'n1')).socket_translated ?? 0;
      await dials.dial(kind, tcp(clusterIP(WEB), 80, { timeoutMs: 1 }));
      await until('the socket is translated', async () => (await outcomes(lab, 'n1')).socket_translated === before + 1);
    });
    if (kind === 'veth' || kind === 'netkit') ip(lab, 'n1', 'link del kind0');
    ip(lab, '', `netns del ${netns(lab, kind)}`);
  });
}

test('[socket-coverage] a cgroup folder without processes is reported at the start, and by weir doctor', async () => {
  const empty = `${lab.place('outside').cgroup}/empty`;
  mkdirSync(empty);
  try {
    await restartAgent(lab, 'n2', '--cgroup-root', empty);
    assert.match(lab.agent('n2').log, /WARN.*The socket path serves no process of this node: no process is below it/);
    const { stdout } = await lab.exec('n2', [WEIR, 'doctor', '--cgroup-root', empty, ...stateDir(lab, 'n2'), '-o', 'json']);
    assert.match(stdout, /no process is below it/);
    await restartAgent(lab, 'n2');
    assert.doesNotMatch(lab.agent('n2').log, /serves no process/);
  } finally {
    rmdirSync(empty);
  }
});
