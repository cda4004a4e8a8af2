import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { addVeth, openDescriptors, run, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { inNetns } from '../node/netns.ts';
import { type LinkAddress, listAddresses, listLinks, watchLinks } from './links.ts';

const root = skipIf(whyNoKernel());

const ip = (netns: string, ...args: string[]) => inNetns(netns, () => run('ip', ...args));

function watch(t: TestContext, netns: string, onChange: () => void) {
  const errors: unknown[] = [];
  const watcher = inNetns(netns, () => watchLinks({ onChange, onError: (error) => errors.push(error) }));
  t.after(() => watcher.close());
  return { errors, watcher };
}

/** Lets the event loop turn until something is so. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !isSo(); turn++) await setImmediate();
  assert.ok(isSo());
}

test('devices are listed with their kind and master', root, (t) => {
  const netns = scratchNetns(t);
  const ifindex = addVeth(netns, 'pod0', 'eth0');
  ip(netns, 'link', 'add', 'name', 'br0', 'type', 'bridge');
  ip(netns, 'link', 'set', 'dev', 'pod0', 'master', 'br0', 'up');
  const links = inNetns(netns, listLinks);
  const bridge = links.find((link) => link.kind === 'bridge');
  const expected = { ifindex, name: 'pod0', kind: 'veth', master: bridge?.ifindex, isUp: true, isLoopback: false };
  assert.deepEqual(
    links.find((link) => link.name === 'pod0'),
    expected,
  );
  assert.ok(links.some((link) => link.name === 'lo' && link.isLoopback));
});

test('addresses are listed with what makes them unfit', root, (t) => {
  const netns = scratchNetns(t);
  const ifindex = addVeth(netns, 'a', 'b');
  ip(netns, 'address', 'add', '192.0.2.1/24', 'dev', 'a');
  ip(netns, 'address', 'add', '192.0.2.2/24', 'dev', 'a');
  ip(netns, 'address', 'add', '2001:db8::1/64', 'dev', 'a', 'preferred_lft', '0');
  const plain = { ifindex, scope: 'global', isTentative: false, isDeprecated: false, isSecondary: false };
  const byText = (x: LinkAddress, y: LinkAddress) => (x.address < y.address ? -1 : 1);
  assert.deepEqual(
    inNetns(netns, listAddresses)
      .filter((address) => address.ifindex === ifindex)
      .sort(byText),
    [
      { ...plain, address: '192.0.2.1', prefixLength: 24 },
      { ...plain, address: '192.0.2.2', prefixLength: 24, isSecondary: true },
      { ...plain, address: '2001:db8::1', prefixLength: 64, isDeprecated: true, isTentative: true },
    ],
  );
});

test('more devices than fit into one answer are all listed', root, (t) => {
  const netns = scratchNetns(t);
  const script = Array.from({ length: 60 }, (_, i) => `ip link add name v${i} type veth peer name w${i}`).join('\n');
  inNetns(netns, () => run('sh', '-ec', script));
  assert.equal(inNetns(netns, listLinks).length, 121);
});

test('a watcher tells of new devices, new addresses and devices that go, once for a burst', root, async (t) => {
  const netns = scratchNetns(t);
  let changes = 0;
  const { errors } = watch(t, netns, () => changes++);
  addVeth(netns, 'a', 'b');
  await until(() => changes > 0);
  assert.equal(changes, 1);
  ip(netns, 'address', 'add', '192.0.2.1/24', 'dev', 'a');
  await until(() => changes > 1);
  ip(netns, 'link', 'delete', 'dev', 'a');
  await until(() => changes > 2);
  assert.deepEqual(errors, []);
});

test('what the listener throws reaches onError, and the watcher goes on', root, async (t) => {
  const netns = scratchNetns(t);
  let calls = 0;
  const { errors } = watch(t, netns, () => {
    calls++;
    throw new Error(`call ${calls}`);
  });
  addVeth(netns, 'a', 'b');
  await until(() => errors.length > 0);
  addVeth(netns, 'c', 'd');
  await until(() => errors.length > 1);
  assert.deepEqual(errors.map(String), ['Error: call 1', 'Error: call 2']);
});

test('lost notifications are one more change', root, async (t) => {
  const netns = scratchNetns(t);
  let changes = 0;
  const { errors } = watch(t, netns, () => changes++);
  // More than the socket's buffer takes while the event loop stands still.
  const script = 'for i in $(seq 400); do echo link set dev lo mtu $((2000 + i)); done | ip -batch -';
  inNetns(netns, () => run('sh', '-ec', script));
  await until(() => changes > 0);
  addVeth(netns, 'a', 'b');
  await until(() => changes > 1);
  assert.deepEqual(errors, []);
});

test('a closed watcher is silent, closes twice, and leaves no descriptor behind', root, async (t) => {
  const netns = scratchNetns(t);
  let changes = 0;
  const before = openDescriptors();
  for (let i = 0; i < 5; i++) {
    const { watcher } = watch(t, netns, () => changes++);
    watcher.close();
    watcher.close();
  }
  addVeth(netns, 'a', 'b');
  for (let turn = 0; turn < 100; turn++) await setImmediate();
  assert.equal(changes, 0);
  assert.equal(openDescriptors(), before);
});
