import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TAG_OF_WEIR, TAG_REFUSED } from '#abi/generated.ts';
import type { RulesetItem } from '#reconcile/ports/ruleset.ts';
import { openDescriptors, run, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { inNetns, inScratchNetns } from '../node/netns.ts';
import { runNft } from './libnftables.ts';
import { hasRuleset, installRuleset, removeRuleset } from './ruleset.ts';

const kernel = skipIf(whyNoKernel());

const SERVICE_CIDRS: readonly RulesetItem[] = [
  { kind: 'element', set: 'service_cidrs4', key: '10.96.0.0/16' },
  { kind: 'element', set: 'service_cidrs6', key: 'fd00:96::/112' },
];

const install = (items: readonly RulesetItem[] = []) => installRuleset({ conntrackMark: 1, masqueradeMark: 2 }, items);

const listing = (): string => runNft('list table inet weir');

/** Packets that rules with a comment have counted, in the order of the table. */
const counted = (comment: string): number[] =>
  listing()
    .split('\n')
    .filter((line) => line.includes(comment))
    .map((line) => Number(/counter packets (\d+)/.exec(line)?.[1]));

test('installing is idempotent, removing says whether there was something', kernel, () => {
  inScratchNetns(() => {
    assert.equal(hasRuleset(), false);
    assert.equal(removeRuleset(), false);
    install(SERVICE_CIDRS);
    const once = listing();
    install(SERVICE_CIDRS);
    assert.equal(listing(), once);
    assert.equal(removeRuleset(), true);
    assert.equal(hasRuleset(), false);
  });
});

test("other tables stay, and ours is only in the thread's namespace", kernel, (t) => {
  const netns = scratchNetns(t);
  inNetns(netns, () => {
    runNft('add table inet other');
    install();
    removeRuleset();
    assert.match(runNft('list tables'), /^table inet other\n$/);
    install();
  });
  assert.equal(inScratchNetns(hasRuleset), false);
});

test('what nft refuses is an error with its words, and nothing is left', kernel, () => {
  inScratchNetns(() => {
    assert.throws(
      () => installRuleset({ conntrackMark: 2 ** 40, masqueradeMark: 2 }),
      /^Error: Cannot run nft commands: .*(out of range|exceeds)/s,
    );
    assert.equal(hasRuleset(), false);
  });
});

test('a hundred transactions leave no descriptor behind', kernel, () => {
  inScratchNetns(() => {
    install();
    const before = openDescriptors();
    for (let i = 0; i < 100; i++) install();
    assert.equal(openDescriptors(), before);
  });
});

/** Known beforehand, because a new device takes a second to learn IPv6 neighbours. */
const CLIENT_MAC = '02:00:00:00:00:01';
const NODE_MAC = '02:00:00:00:00:02';

/** A client whose packets enter a node with the ruleset; the node has no route to Service addresses but its default. */
function clientAndNode(t: TestContext): { client: string; node: string } {
  const [client, node] = [scratchNetns(t), scratchNetns(t)];
  const nodeName = node.split('/').at(-1) ?? '';
  inNetns(client, () => {
    const peer = ['peer', 'name', 'n0', 'address', NODE_MAC, 'netns', nodeName];
    run('ip', 'link', 'add', 'name', 'c0', 'address', CLIENT_MAC, 'type', 'veth', ...peer);
    configure('c0', ['192.0.2.1/24', '2001:db8::1/64']);
    run('ip', 'neighbour', 'add', '2001:db8::2', 'lladdr', NODE_MAC, 'dev', 'c0');
    run('ip', 'route', 'add', 'default', 'via', '192.0.2.2');
    run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8::2');
  });
  inNetns(node, () => {
    configure('n0', ['192.0.2.2/24', '2001:db8::2/64']);
    run('ip', 'neighbour', 'add', '2001:db8::1', 'lladdr', CLIENT_MAC, 'dev', 'n0');
    run('ip', 'route', 'add', 'default', 'via', '192.0.2.1');
    run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8::1');
    install(SERVICE_CIDRS);
  });
  return { client, node };
}

function configure(device: string, addresses: readonly string[]): void {
  for (const address of addresses) run('ip', 'address', 'add', address, 'dev', device, ...(address.includes(':') ? ['nodad'] : []));
  run('ip', 'link', 'set', 'dev', device, 'up');
}

/** How a connect or a datagram ends; a second write tells of the ICMP error that answered the first. */
function outcomeOf(netns: string, target: string): string {
  const script = `exec 3<>/dev/${target} && echo x >&3 && read -t 0.5 <&3; echo x >&3`;
  return inNetns(netns, () => run('sh', '-c', `timeout 3 bash -c '${script}' 2>&1 || true`));
}

/** Stands in for the packet programs: a tag of TAG_* bits on packets to port 81. */
const tagPort81 = (bits: number): string => `table inet tags {
  chain pre { type filter hook prerouting priority -300; th dport 81 meta priority set ${TAG_OF_WEIR | bits}; }
}`;

for (const [family, address] of [
  ['IPv4', '203.0.113.7'],
  ['IPv6', '2001:db8:1::7'],
])
  test(`a tagged ${family} packet is refused at once, TCP and UDP`, kernel, (t) => {
    const { client, node } = clientAndNode(t);
    inNetns(node, () => runNft(tagPort81(TAG_REFUSED)));
    assert.match(outcomeOf(client, `tcp/${address}/81`), /Connection refused/);
    assert.match(outcomeOf(client, `udp/${address}/81`), /Connection refused/);
    assert.deepEqual(inNetns(node, () => counted('Service without endpoints')).length, 2);
    assert.ok(inNetns(node, () => counted('Service without endpoints').every((packets) => packets > 0)));
  });

for (const [family, address, index] of [
  ['IPv4', '10.96.0.9', 0],
  ['IPv6', 'fd00:96::9', 1],
] as const)
  test(`packets to an ${family} Service address without an owner are dropped, others are not`, kernel, (t) => {
    const { client, node } = clientAndNode(t);
    const dropped = () => inNetns(node, () => counted('no Service owns this address'));
    outcomeOf(client, `udp/${address}/53`);
    const fromOutside = dropped()[index] ?? 0;
    assert.ok(fromOutside > 0, 'from outside');
    outcomeOf(node, `udp/${address}/53`);
    assert.ok((dropped()[index] ?? 0) > fromOutside, 'from the node');
    const before = dropped();
    assert.match(outcomeOf(client, `tcp/${index === 0 ? '192.0.2.2' : '2001:db8::2'}/80`), /Connection refused/);
    assert.deepEqual(dropped(), before);
  });

for (const [family, address, nodeAddress] of [
  [4, '203.0.113.7', '192.0.2.2'],
  [6, '2001:db8:1::7', '2001:db8::2'],
] as const)
  test(
    `datagrams of the node itself to an IPv${family} Service that is unserved there are refused or dropped [udp-refusal]`,
    kernel,
    (t) => {
      const { node } = clientAndNode(t);
      const element = (set: 'udp_unserved' | 'udp_node_ports_unserved', key: string, verdict: 'refuse' | 'drop'): RulesetItem => ({
        kind: 'element',
        set: `${set}${family}`,
        key,
        verdict,
      });
      const items = [
        element('udp_unserved', `${address} . 53`, 'refuse'),
        element('udp_unserved', `${address} . 54`, 'drop'),
        element('udp_node_ports_unserved', '30053', 'refuse'),
        { kind: 'element', set: `node_addresses${family}`, key: nodeAddress } as const,
      ];
      inNetns(node, () => install(items));
      assert.match(outcomeOf(node, `udp/${address}/53`), /Connection refused/);
      assert.match(outcomeOf(node, `udp/${nodeAddress}/30053`), /Connection refused/);
      assert.ok(inNetns(node, () => counted('Service without endpoints').some((packets) => packets >= 2)));
      assert.match(outcomeOf(node, `udp/${address}/54`), /^(?!.*refused).*not permitted/s);
      assert.equal(outcomeOf(node, `udp/${address}/55`), '');
    },
  );
