/** A ClusterIP that a device of the node holds, with a cache that keeps its packets from conntrack (NodeLocal DNS). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onlyNetfilter } from '#support/packet-path.ts';
import { inside, ip, raise } from './ground.ts';
import { AWAY, CLIENT, clusterIP, numbered, podAddress, slices } from './objects.ts';
import { answer, assertPaths, type Path, tcp, until } from './paths.ts';

const [CACHED, OTHER] = [1, 2];

const lab = await raise('ha', {
  pods: [AWAY, CLIENT],
  objects: [
    ...[numbered('cached', CACHED), ...slices({ of: 'cached', pods: [AWAY] })],
    ...[numbered('other', OTHER), ...slices({ of: 'other', pods: [AWAY] })],
  ],
});

const paths = (client: string): readonly Path[] => [[client, tcp(clusterIP(CACHED), 80), answer(podAddress(CLIENT), 'p2')]];

/** The first line that a server says. */
async function firstLine(address: string, port: number): Promise<string> {
  const { connect } = await import('node:net');
  const socket = connect({ host: address, port });
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('data', (text) => resolve(`${text}`.trim()));
  socket.on('error', ({ message }) => resolve(message));
  socket.write('{}\n');
  const line = await promise;
  socket.destroy();
  return line;
}

/** Listens on n1 at the Service's own address. */
const CACHE = `require('node:net').createServer((socket) => socket.end('the cache\\n')).listen(80, '${clusterIP(CACHED)}', () => console.log('ready'))`;

test('a device that holds a ClusterIP changes nothing while packets to it are tracked [held-cluster-ip]', async () => {
  await assertPaths(lab, paths('t/p9'));
  ip(lab, 'n1', 'link add local-dns type veth peer name local-dns-far');
  ip(lab, 'n1', `address add ${clusterIP(CACHED)}/32 dev local-dns`);
  await until('the agent leaves its sockets to packets', async () => {
    await assertPaths(lab, paths('t/p9'));
    return (await lab.exec('n1', ['conntrack', '-L', '--orig-dst', clusterIP(CACHED)])).stdout.includes(`dst=${clusterIP(CACHED)}`);
  });
});

test('a cache at that address gets the packets of pods that a rule keeps from conntrack [held-cluster-ip]', onlyNetfilter, async () => {
  const server = lab.spawn('n1', [process.execPath, '-e', CACHE], { stdio: ['ignore', 'pipe', 'inherit'] });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.stdout?.once('data', () => resolve());
  server.once('exit', () => resolve());
  await promise;
  const rules = ['prerouting', 'output'].map(
    (hook) =>
      `chain ${hook} {\ntype filter hook ${hook} priority raw\nip saddr ${clusterIP(CACHED)} notrack\nip daddr ${clusterIP(CACHED)} notrack\n}\n`,
  );
  const { code, stderr } = await lab.exec('n1', ['nft', '-f', '-'], `table inet cache {\n${rules.join('')}}\n`);
  assert.equal(code, 0, stderr);
  assert.equal(await inside(lab, 't/p9', firstLine, clusterIP(CACHED), 80), 'the cache');
  await assertPaths(lab, [['t/p9', tcp(clusterIP(OTHER), 80), answer(podAddress(CLIENT), 'p2')]]);
});
