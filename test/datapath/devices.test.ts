/** Devices of a node that come, go and differ: what enters there is served. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, type TestContext, test } from 'node:test';
import { Dialer } from '#lab/dialer.ts';
import type { Target } from '#lab/probe.ts';
import { ip, netns, raise, routeServicesBy } from './ground.ts';
import { AWAY, clusterIP, nodeAddress, nodePort, numbered, podAddress, slices } from './objects.ts';
import { answer, assertPaths, type Dials, type Expected, tcp, udp, until } from './paths.ts';

const WEB = 1;

const lab = await raise('d', {
  pods: [AWAY],
  objects: [numbered('web', WEB), ...slices({ of: 'web', pods: [AWAY] })],
  agentFlags: ['--exclude-devices', 'quiet*'],
});

before(() => {
  routeServicesBy(lab, nodeAddress('n1'));
  routeServicesBy(lab, nodeAddress('n1', 6));
});

/** Addresses of network `n`: the node's and its client's. */
const near = (n: number): string[] => [`10.55.${n}.1/24`, `fd55:${n}::1/64`];
const far = (n: number): string[] => [`10.55.${n}.2/24`, `fd55:${n}::2/64`];

/** Gives a device addresses and starts it. */
function start(place: string, device: string, addresses: readonly string[] = []): void {
  for (const address of addresses) ip(lab, place, `addr add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`);
  ip(lab, place, `link set ${device} up`);
}

/** Makes a namespace for a client; `wire` gives it a device. Everything else is reached by way of the node's address in network `n`. */
function addClient(name: string, n: number, wire: (netnsOfClient: string) => string): void {
  ip(lab, '', `netns add ${netns(lab, name)}`);
  const device = wire(netns(lab, name));
  start(name, device, far(n));
  for (const [family, address] of near(n).entries())
    ip(lab, name, `${family ? '-6 ' : ''}route add default via ${address.split('/')[0]} dev ${device} onlink`);
}

/** A veth from a client to a node's (or the router's) new device. */
function addVeth(client: string, n: number, device: string, place = 'n1'): void {
  addClient(client, n, (peer) => {
    ip(lab, place, `link add ${device} type veth peer name eth0 netns ${peer}`);
    return 'eth0';
  });
}

/** Dials from a namespace that the lab does not know. */
async function fromClient(name: string, run: (dials: Dials) => Promise<void>): Promise<void> {
  const dialer = new Dialer({ name, netns: netns(lab, name), cgroup: lab.place('outside').cgroup });
  try {
    await run({ dial: (_, target) => dialer.dial(target) });
  } finally {
    dialer.close();
  }
}

const targets = (families: readonly (4 | 6)[]): [Target, 4 | 6][] =>
  families.flatMap((family) =>
    [tcp, udp].flatMap((to): [Target, 4 | 6][] => [
      [to(nodeAddress('n1', family), nodePort(WEB)), family],
      [to(clusterIP(WEB, family), 80), family],
    ]),
  );

/** Waits until the device that a client comes in by has the program. */
async function assertServed(client: string, device: string, families: readonly (4 | 6)[] = [4, 6]): Promise<void> {
  await untilLastWord(device, 'Attached');
  await fromClient(client, (dials) =>
    assertPaths(
      dials,
      targets(families).map(([target, family]) => [client, target, answer(nodeAddress('n1', family), 'p2')]),
    ),
  );
}

const assertAll = (client: string, target: Target, expected: Expected): Promise<void> =>
  fromClient(client, (dials) => assertPaths(dials, [[client, target, expected]]));

/** The last that the agent of n1 said about a device: `Attached`, `Detached` or nothing. */
const lastWord = (device: string): string | undefined =>
  lab
    .agent('n1')
    .log.match(new RegExp(`(Attached|Detached) the packet program.*\\b${device}\\b`, 'g'))
    ?.at(-1)
    ?.slice(0, 8);

const untilLastWord = (device: string, word: string): Promise<void> =>
  until(`the agent says "${word}" of ${device}`, () => lastWord(device) === word);

/** Adds a device, or skips the test with what the kernel says. */
function addOrSkip(context: TestContext, place: string, line: string): boolean {
  try {
    ip(lab, place, `link add ${line}`);
    return true;
  } catch (error) {
    context.skip(`${error instanceof Error ? error.message : error}`);
    return false;
  }
}

test('a device that comes while the agent runs is served at once, goes without a trace, and comes again', async () => {
  for (let time = 0; time < 2; time++) {
    addVeth('x1', 1, 'late1');
    start('n1', 'late1', near(1));
    await assertServed('x1', 'late1');
    ip(lab, 'n1', 'link del late1');
    ip(lab, '', `netns del ${netns(lab, 'x1')}`);
    await untilLastWord('late1', 'Detached');
  }
});

test('many devices that come and go in a burst leave programs on the remaining ones', async () => {
  const numbers = Array.from({ length: 20 }, (_, i) => i);
  for (const i of numbers) ip(lab, 'n1', `link add burst${i} type veth peer name tsrub${i}`);
  for (const i of numbers.slice(1)) ip(lab, 'n1', `link del burst${i}`);
  await until('only burst0 has a program', () => numbers.every((i) => (lastWord(`burst${i}`) === 'Attached') === (i === 0)));
  ip(lab, 'n1', 'link del burst0');
  await untilLastWord('burst0', 'Detached');
});

test('a VLAN on top of a device is served', async (context) => {
  if (!addOrSkip(context, 'n1', 'link eth0 name eth0.100 type vlan id 100')) return;
  start('n1', 'eth0.100', near(2));
  addClient('x2', 2, (peer) => {
    ip(lab, 'wire', `link add vlan type veth peer name eth0 netns ${peer}`);
    ip(lab, 'wire', 'link set vlan master br0 up');
    start('x2', 'eth0');
    ip(lab, 'x2', 'link add link eth0 name eth0.100 type vlan id 100');
    return 'eth0.100';
  });
  await assertServed('x2', 'eth0.100');
});

/** Tunnels without Ethernet headers inside: their parameters, the families that they carry. */
const TUNNELS = [
  ['ipip', [4]],
  ['sit', [6]],
  ['gre', [4, 6]],
] as const;

for (const [i, [kind, families]] of TUNNELS.entries())
  test(`a client behind a tunnel of kind ${kind} is served`, async (context) => {
    const [n, here, there] = [10 + i, nodeAddress('n1'), '203.0.113.2'];
    if (!addOrSkip(context, 'n1', `tun${i} type ${kind} local ${here} remote ${there}`)) return;
    start('n1', `tun${i}`, near(n));
    addClient(`t${i}`, n, (client) => {
      ip(lab, 'outside', `link add tun${i} type ${kind} local ${there} remote ${here}`);
      ip(lab, 'outside', `link set tun${i} netns ${client}`);
      return `tun${i}`;
    });
    await assertServed(`t${i}`, `tun${i}`, families);
  });

test('a client behind a VXLAN tunnel that carries bare IP packets is served', async (context) => {
  const route = (place: string, to: readonly string[], outer: string): void => {
    for (const [family, address] of to.entries())
      ip(lab, place, `${family ? '-6 ' : ''}route replace ${address.split('/')[0]} encap ip id 7 dst ${outer} dev vx0`);
  };
  if (!addOrSkip(context, 'n1', 'vx0 type vxlan gpe external dstport 4790')) return;
  start('n1', 'vx0', near(20));
  route('n1', far(20), '203.0.113.2');
  ip(lab, '', `netns add ${netns(lab, 'x20')}`);
  ip(lab, 'outside', 'link add vx0 type vxlan gpe external dstport 4790');
  ip(lab, 'outside', `link set vx0 netns ${netns(lab, 'x20')}`);
  start('x20', 'vx0', far(20));
  route('x20', ['default', 'default'], nodeAddress('n1'));
  await assertServed('x20', 'vx0');
});

/** Whether a node's netfilter sees what crosses its bridges (br_netfilter): on where the module is loaded. False: this kernel has no such switch. */
async function setBridgeNetfilter(on: boolean): Promise<boolean> {
  const set = (family: string): string => `echo ${Number(on)} >/proc/sys/net/bridge/bridge-nf-call-${family}tables`;
  return (await lab.exec('n1', ['sh', '-c', `${set('ip')} && ${set('ip6')}`])).code === 0;
}

test('a bridge has the program and its ports have none; what hangs on it is served', async () => {
  await setBridgeNetfilter(false);
  ip(lab, 'n1', 'link add br7 type bridge forward_delay 0 mcast_snooping 0');
  start('n1', 'br7', near(3));
  addVeth('x3', 3, 'port3');
  ip(lab, 'n1', 'link set port3 master br7 up');
  await assertServed('x3', 'br7');
  await until('the port has no program', () => lastWord('port3') !== 'Attached');
  ip(lab, 'n1', 'link set port3 nomaster');
  await untilLastWord('port3', 'Attached');
});

test('what hangs on a bridge that shows its packets to netfilter is served from the port on', async (context) => {
  spawnSync('modprobe', ['--quiet', 'br_netfilter']);
  if (!(await setBridgeNetfilter(true))) return context.skip('bridges of this kernel cannot show packets to netfilter');
  ip(lab, 'n1', 'link add br8 type bridge forward_delay 0 mcast_snooping 0');
  start('n1', 'br8', near(6));
  addVeth('x6', 6, 'port6');
  ip(lab, 'n1', 'link set port6 master br8 up');
  await assertServed('x6', 'port6');
  await assertAll('x6', tcp(clusterIP(WEB), 81), 'refused');
  await assertAll('x6', udp(clusterIP(WEB), 81), 'refused');
});

test('a bond has the program and its ports have none; what comes in by it is served', async (context) => {
  if (!addOrSkip(context, 'n1', 'bond7 type bond mode active-backup miimon 100')) return;
  addVeth('x4', 4, 'port4');
  ip(lab, 'n1', 'link set port4 master bond7');
  start('n1', 'bond7', near(4));
  await assertServed('x4', 'bond7');
  await until('the port has no program', () => lastWord('port4') !== 'Attached');
});

test('a port of a VRF has the program; what comes in by it is served', async (context) => {
  if (!addOrSkip(context, 'n1', 'vrf7 type vrf table 77')) return;
  ip(lab, 'n1', 'link set vrf7 up');
  addVeth('x7', 7, 'port7');
  ip(lab, 'n1', 'link set port7 master vrf7');
  start('n1', 'port7', near(7).slice(0, 1));
  // To the pods from within, and back.
  ip(lab, 'n1', `route add ${podAddress(AWAY)} via ${nodeAddress('n2')} dev eth0 table 77`);
  ip(lab, 'n1', 'route add 10.55.7.2 dev port7');
  await assertServed('x7', 'port7', [4]);
});

test('a device that is excluded is left alone, until it gets another name', async () => {
  addVeth('x5', 5, 'quiet5');
  start('n1', 'quiet5', near(5).slice(0, 1));
  const rename = (from: string, to: string): void => {
    ip(lab, 'n1', `link set ${from} down`);
    ip(lab, 'n1', `link set ${from} name ${to}`);
    ip(lab, 'n1', `link set ${to} up`);
  };
  const assertLeftAlone = async (): Promise<void> => {
    await assertAll('x5', tcp(nodeAddress('n1'), nodePort(WEB)), 'refused');
    await assertAll('x5', tcp(clusterIP(WEB), 80), 'refused');
  };
  await assertLeftAlone();
  assert.equal(lastWord('quiet5'), undefined);
  rename('quiet5', 'loud5');
  await assertServed('x5', 'loud5', [4]);
  rename('loud5', 'quiet5');
  await untilLastWord('quiet5', 'Detached');
  await assertLeftAlone();
});
