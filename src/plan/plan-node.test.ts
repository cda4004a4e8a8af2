import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DEVICE_PODS,
  SETTINGS_LOOPBACK_NODE_PORTS,
  SETTINGS_NO_LOCAL_DETECTOR4,
  SETTINGS_NO_LOCAL_DETECTOR6,
  SETTINGS_SOCKETS_HOST_ONLY,
} from '#abi/generated.ts';
import type { Node } from '#model/node.ts';
import { address, prefix } from '#support/model-objects.ts';
import { viewNode } from './node-view.ts';
import { type LocalDevice, type NodeRequest, planNode } from './plan-node.ts';

const device = (ifindex: number, name: string, ...ips: string[]): LocalDevice => ({ ifindex, name, addresses: ips.map(address) });
const NODE: Node = {
  name: 'n1',
  addresses: [address('192.168.0.2'), address('192.168.1.2'), address('fd00:2::2')],
  podCIDRs: [prefix('10.0.1.0/24'), prefix('fd00:10:1::/64')],
  zone: 'zone-a',
  isLeaving: false,
};
const DEVICES = [
  device(1, 'lo', '127.0.0.1', '::1', '192.168.9.9'),
  device(2, 'eth0', '192.168.0.2', 'fe80::2', 'fd00:2::2'),
  device(3, 'eth1', '169.254.7.7', '192.168.1.2', '192.168.1.3'),
  device(4, 'cali1'),
  device(5, 'cbr0', '10.0.1.1', '192.168.1.2'),
];
const RULES: NodeRequest['rules'] = {
  nodeName: 'n1',
  localDetector: { mode: 'ClusterCIDR', prefixes: [prefix('10.0.0.0/8'), prefix('fd00:10::/32')] },
  masqueradeAll: false,
  nodePortAddresses: { mode: 'primary' },
  socketScope: 'all',
  localhostNodePorts: true,
  conntrackMark: 0x200,
};
const plan = (rules: Partial<NodeRequest['rules']> = {}, node: Node | undefined = NODE) =>
  planNode({ node, devices: DEVICES, rules: { ...RULES, ...rules }, netnsCookie: 77n });
const networks = (...texts: string[]) => ({ nodePortAddresses: { mode: 'networks', prefixes: texts.map(prefix) } }) as const;

test('by default NodePorts answer on the primary address of each family', () => {
  assert.deepEqual(plan().nodePortAddresses, ['192.168.0.2', 'fd00:2::2']);
});

test('a loopback address has no NodePorts, even if it is the primary one', () => {
  assert.deepEqual(plan({}, { ...NODE, addresses: [address('127.0.0.1'), address('fd00:2::2')] }).nodePortAddresses, ['fd00:2::2']);
});

/** The last two show a peculiarity of kube-proxy: a family without a network has all addresses (NewNodePortAddresses). */
const chosen: readonly (readonly [readonly string[], readonly string[]])[] = [
  [
    ['192.168.1.0/24', '::1/128'],
    ['192.168.1.2', '192.168.1.3'],
  ],
  [
    ['192.168.0.0/16', 'fd00:2::/64'],
    ['192.168.9.9', '192.168.0.2', 'fd00:2::2', '192.168.1.2', '192.168.1.3'],
  ],
  [
    ['0.0.0.0/0', '::1/128'],
    ['192.168.9.9', '192.168.0.2', '169.254.7.7', '192.168.1.2', '192.168.1.3', '10.0.1.1'],
  ],
  [
    ['172.16.0.0/12', '::/0'],
    ['fe80::2', 'fd00:2::2'],
  ],
  [['192.168.0.2/32'], ['192.168.0.2', 'fe80::2', 'fd00:2::2']],
  [['fd00:2::/64'], ['192.168.9.9', '192.168.0.2', 'fd00:2::2', '169.254.7.7', '192.168.1.2', '192.168.1.3', '10.0.1.1']],
];
for (const [given, expected] of chosen) {
  test(`NodePort addresses ${given.join(',')} select from the addresses of the devices`, () => {
    assert.deepEqual(plan(networks(...given)).nodePortAddresses, expected);
  });
}

test('primary addresses combine with networks and count as the network of their family [node-port-keywords]', () => {
  const both = (...texts: string[]) => ({ nodePortAddresses: { mode: 'networks', prefixes: texts.map(prefix), primary: true } }) as const;
  assert.deepEqual(plan(both('192.168.1.0/24')).nodePortAddresses, ['192.168.0.2', 'fd00:2::2', '192.168.1.2', '192.168.1.3']);
  assert.deepEqual(plan(both('fe80::/64')).nodePortAddresses, ['192.168.0.2', 'fd00:2::2', 'fe80::2']);
  assert.equal(plan(both('fe80::/64')).settings.flags, 0);
  assert.equal(plan(both('127.0.0.0/8')).settings.flags, SETTINGS_LOOPBACK_NODE_PORTS);
});

test('pod ranges come from the cluster or the node; a detector by device has none', () => {
  assert.deepEqual(plan().localNets, [prefix('10.0.0.0/8'), prefix('fd00:10::/32')]);
  assert.deepEqual(plan({ localDetector: { mode: 'NodeCIDR' } }).localNets, NODE.podCIDRs);
  assert.deepEqual(
    planNode({ node: undefined, devices: [], rules: { ...RULES, localDetector: { mode: 'NodeCIDR' } }, netnsCookie: 1n }).localNets,
    [],
  );
  assert.deepEqual(plan({ localDetector: { mode: 'BridgeInterface', name: 'cbr0' } }).localNets, []);
  assert.deepEqual(plan({ localDetector: { mode: 'None' } }).localNets, []);
});

test('every device but loopback has its first address that other machines reach, or the zero address', () => {
  assert.deepEqual(plan().devices, [
    { key: { ifindex: 2 }, value: { snat4: '192.168.0.2', snat6: 'fd00:2::2', flags: 0 } },
    { key: { ifindex: 3 }, value: { snat4: '192.168.1.2', snat6: '::', flags: 0 } },
    { key: { ifindex: 4 }, value: { snat4: '0.0.0.0', snat6: '::', flags: 0 } },
    { key: { ifindex: 5 }, value: { snat4: '10.0.1.1', snat6: '::', flags: 0 } },
  ]);
});

test("a device with the node's primary address and others uses the primary one", () => {
  const devices = [device(2, 'eth0', '192.168.0.99', '192.168.0.2', 'fd00:2::99', 'fd00:2::2')];
  const [eth0] = planNode({ node: NODE, devices, rules: RULES, netnsCookie: 1n }).devices;
  assert.deepEqual([eth0?.value.snat4, eth0?.value.snat6], ['192.168.0.2', 'fd00:2::2']);
});

test('a local detector by device marks the devices of pods', () => {
  const marked = (localDetector: NodeRequest['rules']['localDetector']) =>
    plan({ localDetector }).devices.flatMap(({ key, value }) => (value.flags === DEVICE_PODS ? [key.ifindex] : []));
  assert.deepEqual(marked({ mode: 'BridgeInterface', name: 'cbr0' }), [5]);
  assert.deepEqual(marked({ mode: 'BridgeInterface', name: 'cbr' }), []);
  assert.deepEqual(marked({ mode: 'InterfaceNamePrefix', prefix: 'c' }), [4, 5]);
  assert.deepEqual(marked({ mode: 'None' }), []);
});

test('packets that enter by a port of the pod bridge come from pods', () => {
  const rules: NodeRequest['rules'] = { ...RULES, localDetector: { mode: 'BridgeInterface', name: 'cbr0' } };
  const { devices } = planNode({ node: NODE, devices: [{ ...device(6, 'veth1'), bridge: 'cbr0' }], rules, netnsCookie: 77n });
  assert.deepEqual(
    devices.map(({ value }) => value.flags),
    [DEVICE_PODS],
  );
});

test('settings carry marks, cookie and the addresses of the node', () => {
  assert.deepEqual(plan().settings, {
    nodeNetnsCookie: 77n,
    flags: SETTINGS_LOOPBACK_NODE_PORTS,
    conntrackMark: 0x200,
    snat4: '192.168.0.2',
    snat6: 'fd00:2::2',
  });
});

test('without the Node object the node has no addresses', () => {
  const { nodePortAddresses, settings } = planNode({ node: undefined, devices: DEVICES, rules: RULES, netnsCookie: 1n });
  assert.deepEqual([nodePortAddresses, settings.snat4, settings.snat6], [[], '0.0.0.0', '::']);
});

const LOOPBACK = SETTINGS_LOOPBACK_NODE_PORTS;
const UNDETECTED = SETTINGS_NO_LOCAL_DETECTOR4 | SETTINGS_NO_LOCAL_DETECTOR6;
const IPV4_ONLY = { mode: 'ClusterCIDR', prefixes: [prefix('10.0.0.0/8')] } as const;
const flags: readonly (readonly [string, Partial<NodeRequest['rules']>, number])[] = [
  ['sockets of the node only', { socketScope: 'host' }, LOOPBACK | SETTINGS_SOCKETS_HOST_ONLY],
  ['no local detector', { localDetector: { mode: 'None' } }, LOOPBACK | UNDETECTED],
  ['a missing cluster range', { localDetector: { mode: 'ClusterCIDR', prefixes: [] } }, LOOPBACK | UNDETECTED],
  ['a cluster range of one family', { localDetector: IPV4_ONLY }, LOOPBACK | SETTINGS_NO_LOCAL_DETECTOR6],
  ['a detector by device', { localDetector: { mode: 'InterfaceNamePrefix', prefix: 'veth' } }, LOOPBACK],
  ['loopback NodePorts switched off', { localhostNodePorts: false }, 0],
  ['networks without loopback', networks('192.168.0.0/16'), 0],
  ['networks with loopback', networks('127.0.0.0/8'), LOOPBACK],
  ['networks of all addresses', networks('0.0.0.0/0'), LOOPBACK],
];
for (const [what, rules, expected] of flags) {
  test(`settings follow the rules: ${what}`, () => assert.equal(plan(rules).settings.flags, expected));
}

test('a view of the node has its zone, its primary addresses and a detector for the families with pod ranges', () => {
  assert.deepEqual(viewNode(NODE, { ...RULES, localDetector: IPV4_ONLY }), {
    nodeName: 'n1',
    zone: 'zone-a',
    hasLocalDetector: { 4: true, 6: false },
    masqueradeAll: false,
    primaryAddresses: { 4: '192.168.0.2', 6: 'fd00:2::2' },
  });
  assert.deepEqual(viewNode(NODE, { ...RULES, localDetector: { mode: 'NodeCIDR' } }).hasLocalDetector, { 4: true, 6: true });
  assert.deepEqual(viewNode(undefined, { ...RULES, localDetector: { mode: 'NodeCIDR' } }).hasLocalDetector, { 4: false, 6: false });
});
