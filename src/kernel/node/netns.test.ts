import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { Address } from '#lib/address.ts';
import { openDescriptors, scratchNetns, skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { listLinks } from '../netlink/links.ts';
import { type Binding, bindSocketIn, inNetns, inScratchNetns, netnsCookie } from './netns.ts';

const root = skipIf(whyNoKernel());
const here = () => readlinkSync('/proc/thread-self/ns/net');

/** What bash reads when it dials an address from inside a namespace. */
async function dial(netns: string, target: string): Promise<string> {
  const script = `exec 3<>/dev/${target}; echo hello >&3; timeout 10 dd bs=100 count=1 status=none <&3`;
  const bash = inNetns(netns, () => spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] }));
  const chunks: Buffer[] = [];
  bash.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(bash, 'close');
  return Buffer.concat(chunks).toString().trim();
}

test('code runs inside a namespace and the thread comes home', root, (t) => {
  const netns = scratchNetns(t);
  const [home, cookie] = [here(), netnsCookie()];
  assert.notEqual(inNetns(netns, here), home);
  assert.notEqual(inNetns(netns, netnsCookie), cookie);
  assert.deepEqual(
    inNetns(netns, () => inScratchNetns(listLinks)).map((link) => link.name),
    ['lo'],
  );
  assert.equal(here(), home);
  assert.equal(netnsCookie(), cookie);
});

test('the thread comes home from code that throws, and asynchronous code is refused', root, (t) => {
  const netns = scratchNetns(t);
  const home = here();
  const fail = () => {
    throw new Error('no');
  };
  assert.throws(() => inNetns(netns, fail), { message: 'no' });
  assert.throws(() => inNetns(netns, async () => {}), /must be synchronous/);
  assert.throws(() => inNetns('/proc/self/ns/uts', here), {
    message: 'Cannot enter network namespace /proc/self/ns/uts: invalid argument (EINVAL)',
  });
  assert.equal(here(), home);
});

test('visits leave no descriptors behind', root, (t) => {
  const netns = scratchNetns(t);
  const before = openDescriptors();
  for (let i = 0; i < 50; i++) inNetns(netns, () => [netnsCookie(), listLinks()]);
  assert.equal(openDescriptors(), before);
});

const TCP: Binding[] = [
  { protocol: 'tcp', family: 'dual', port: 4001 },
  { protocol: 'tcp', family: 4, address: '127.0.0.1' as Address, port: 4002 },
];

for (const binding of TCP)
  test(`a TCP server of family ${binding.family} listens inside the namespace`, root, async (t) => {
    const netns = scratchNetns(t);
    const server = createServer((socket) => socket.end('welcome\n')).listen({ fd: bindSocketIn(netns, binding) });
    t.after(() => server.close());
    await once(server, 'listening');
    assert.equal(await dial(netns, `tcp/127.0.0.1/${binding.port}`), 'welcome');
  });

test('a UDP server answers inside the namespace', root, async (t) => {
  const netns = scratchNetns(t);
  const socket = createSocket('udp6');
  t.after(() => socket.close());
  socket.on('message', (message, from) => socket.send(`got ${message}`, from.port, from.address));
  socket.bind({ fd: bindSocketIn(netns, { protocol: 'udp', family: 6, address: '::1' as Address, port: 4003 }) });
  assert.equal(await dial(netns, 'udp/::1/4003'), 'got hello');
});

test('a port that is taken is named', root, (t) => {
  const netns = scratchNetns(t);
  const binding: Binding = { protocol: 'udp', family: 4, port: 4004 };
  const socket = createSocket('udp4').bind({ fd: bindSocketIn(netns, binding) });
  t.after(() => socket.close());
  assert.throws(() => bindSocketIn(netns, binding), {
    message: 'Cannot bind udp port 4004 of every address: address already in use (EADDRINUSE)',
  });
});
