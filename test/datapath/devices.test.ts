/** Devices of a node that come, go and differ: what enters there is served. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { before, test } from 'node:test';
import { addOrSkip, clientsOf, near, WEB } from './clients.ts';
import { ip, netns, raise, routeServicesBy } from './ground.ts';
import { AWAY, clusterIP, nodeAddress, nodePort, numbered, podAddress, slices } from './objects.ts';
import { tcp, udp, until } from './paths.ts';

const lab = await raise('d', {
  pods: [AWAY],
  objects: [numbered('web', WEB), ...slices({ of: 'web', pods: [AWAY] })],
  agentFlags: ['--exclude-devices', 'quiet*'],
});
const { start, addClient, addVeth, assertServed, assertAll, lastWord, untilLastWord } = clientsOf(lab);

before(() => {
  routeServicesBy(lab, nodeAddress('n1'));
  routeServicesBy(lab, nodeAddress('n1', 6));
});

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
  if (!addOrSkip(context, lab, 'n1', 'link eth0 name eth0.100 type vlan id 100')) return;
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
  if (!addOrSkip(context, lab, 'n1', 'bond7 type bond mode active-backup miimon 100')) return;
  addVeth('x4', 4, 'port4');
  ip(lab, 'n1', 'link set port4 master bond7');
  start('n1', 'bond7', near(4));
  await assertServed('x4', 'bond7');
  await until('the port has no program', () => lastWord('port4') !== 'Attached');
});

test('a port of a VRF has the program; what comes in by it is served', async (context) => {
  if (!addOrSkip(context, lab, 'n1', 'vrf7 type vrf table 77')) return;
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
