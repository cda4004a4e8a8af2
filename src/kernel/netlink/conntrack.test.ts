import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UdpFlow } from '#reconcile/flows/flows.ts';
import { run, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { runNft } from '../nftables/libnftables.ts';
import { keepTranslation } from '../nftables/ruleset.ts';
import { inNetns } from '../node/netns.ts';
import { countConntrackEntries, type Remove, walkUdpEntries } from './conntrack.ts';

const kernel = skipIf(whyNoKernel());

/** An entry to port `port`; more flags of `conntrack -I` go behind. */
function addEntry(netns: string, port: number, mark: number, { family = 4, protocol = 'udp', more = [] as string[] } = {}): void {
  const [from, to] = family === 4 ? ['10.0.0.1', '10.0.0.2'] : ['fd00::1', 'fd00::2'];
  const tuple = ['-p', protocol, '-s', from, '-d', to, '--sport', '9', '--dport', `${port}`];
  run('nsenter', `--net=${netns}`, 'conntrack', '-I', ...tuple, '--timeout', '60', '--mark', `${mark}`, ...more);
}

const toBackend = (backend: string): string[] => ['--dst-nat', backend];

/** Dialled ports of the entries that the walk meets. */
async function walked(netns: string, look: (flow: UdpFlow, remove: Remove) => void = () => {}): Promise<number[]> {
  const ports: number[] = [];
  const each = (flow: UdpFlow, remove: Remove): void => {
    ports.push(flow.dialled.port);
    look(flow, remove);
  };
  await inNetnsSoon(netns, () => walkUdpEntries(0x2000, each, new AbortController().signal));
  return ports.toSorted((a, b) => a - b);
}

/** A function that starts inside a namespace keeps its sockets there when it continues outside. */
function inNetnsSoon<T>(netns: string, begin: () => Promise<T>): Promise<T> {
  const [promise] = inNetns(netns, () => [begin()]);
  return promise as Promise<T>;
}

test('conntrack entries are counted by a bit of their mark, in their own namespace', kernel, (t) => {
  const netns = scratchNetns(t);
  const other = scratchNetns(t);
  addEntry(netns, 1, 0x2000);
  addEntry(netns, 2, 0x2001);
  addEntry(netns, 3, 0x1000);
  assert.equal(
    inNetns(netns, () => countConntrackEntries(0x2000)),
    2,
  );
  assert.equal(
    inNetns(other, () => countConntrackEntries(0x2000)),
    0,
  );
});

test('only the NAT chains are kept for living flows', kernel, (t) => {
  const netns = scratchNetns(t);
  inNetns(netns, () => {
    keepTranslation();
    keepTranslation();
    const chains = runNft('list table inet weir').match(/chain \w+/g);
    assert.deepEqual(chains, ['chain nat_prerouting', 'chain nat_input', 'chain nat_output', 'chain nat_postrouting']);
  });
});

test('the walk meets UDP entries that are marked or translated, of both families, each once', kernel, async (t) => {
  const netns = scratchNetns(t);
  addEntry(netns, 1, 0x2000);
  addEntry(netns, 2, 0x2001, { family: 6 });
  addEntry(netns, 3, 0x2000, { more: toBackend('10.9.9.9:99') });
  addEntry(netns, 4, 0, { more: toBackend('10.9.9.9:99') });
  addEntry(netns, 5, 0, { family: 6, more: toBackend('[fd00::9]:99') });
  addEntry(netns, 6, 0x1000);
  addEntry(netns, 7, 0x2000, { protocol: 'tcp', more: ['--state', 'ESTABLISHED', ...toBackend('10.9.9.9:99')] });
  const seen: UdpFlow[] = [];
  assert.deepEqual(await walked(netns, (flow) => seen.push(flow)), [1, 2, 3, 4, 5]);
  const byPort = (port: number) => seen.find((flow) => flow.dialled.port === port);
  const [v4, v6] = [
    { dialled: '10.0.0.2', answering: '10.9.9.9' },
    { dialled: 'fd00::2', answering: 'fd00::9' },
  ].map(({ dialled, answering }, i) => ({
    dialled: { address: dialled, port: 3 + 2 * i },
    answering: { address: answering, port: 99 },
    isOurs: false,
  }));
  assert.deepEqual([byPort(3), byPort(5)], [v4, v6]);
});

test('what the walk removes is gone, the rest stays [udp-nothing-else]', kernel, async (t) => {
  const netns = scratchNetns(t);
  for (const [i, family] of [4, 6, 4, 6].entries()) addEntry(netns, i, 0x2000, { family });
  await walked(netns, ({ dialled }, remove) => dialled.port < 2 && assert.ok(remove()));
  assert.deepEqual(await walked(netns), [2, 3]);
});

test('an entry that has taken the place of the one that was looked at stays [udp-exact-tuple]', kernel, async (t) => {
  const netns = scratchNetns(t);
  addEntry(netns, 1, 0x2000, { more: toBackend('10.9.9.9:99') });
  const remove = ({ dialled: { port } }: UdpFlow, removeIt: Remove): void => {
    run('nsenter', `--net=${netns}`, 'conntrack', '-D', '-p', 'udp', '--orig-port-dst', `${port}`);
    assert.equal(removeIt(), false, 'there is none');
    // An entry that gets the memory of the one before it, with its addresses, has its id, too (nf_ct_get_id): others take it first
    for (let other = 2; other < 34; other++) addEntry(netns, other, 0);
    addEntry(netns, port, 0x2000, { more: toBackend('10.9.9.8:99') });
    assert.equal(removeIt(), false, 'there is another one');
  };
  await walked(netns, remove);
  assert.deepEqual(await walked(netns), [1]);
});

test('a walk ends when its signal is aborted', kernel, async (t) => {
  const netns = scratchNetns(t);
  await assert.rejects(
    inNetnsSoon(netns, () => walkUdpEntries(0x2000, () => {}, AbortSignal.abort())),
    { name: 'AbortError' },
  );
});
