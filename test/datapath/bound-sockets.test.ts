/** Sockets that are bound before they dial a Service: to a port, or to an address. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Target } from '#lab/probe.ts';
import { inside, ip, raise } from './ground.ts';
import { AWAY, CLIENT, clusterIP, FAMILIES, HERE, nodeAddress, nodePort, numbered, type PodSpec, podAddress, slices } from './objects.ts';
import { answer, assertPaths, type Path, tcp, udp } from './paths.ts';

const HOST: PodSpec = { name: 'h1', node: 'n1', hostNetwork: true };
const [WEB, TWIN, NEAR, HOSTED] = [1, 2, 3, 4];
const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;

const lab = await raise('b', {
  pods: [HERE, AWAY, CLIENT, HOST],
  objects: [
    ...[numbered('web', WEB), ...slices({ of: 'web', pods: [AWAY] })],
    ...[numbered('twin', TWIN), ...slices({ of: 'twin', pods: [AWAY] })],
    ...[numbered('near', NEAR), ...slices({ of: 'near', pods: [HERE] })],
    ...[numbered('hosted', HOSTED), ...slices({ of: 'hosted', pods: [HOST] })],
  ],
  agentFlags: ['--cluster-cidr', '10.244.0.0/16,fd00:244::/32'],
});

/** Connects one socket after the other from one local port, all open at a time; returns the pods that greet, or the errors. */
async function connectTogether(targets: readonly Target[]): Promise<string[]> {
  const { connect } = await import('node:net');
  const sockets = targets.map(({ address: host, port, localPort }) => connect({ host, port, localPort }));
  return await Promise.all(
    sockets.map(async (socket) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      socket.once('data', (greeting) => resolve(JSON.parse(`${greeting}`.split('\n')[0] ?? '').pod));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      return await promise;
    }),
  );
}

test('[socket-one-port] one source port of a pod reaches one endpoint by two Services at a time', async () => {
  for (const family of FAMILIES) {
    const targets = [WEB, TWIN].map((n) => tcp(clusterIP(n, family), 80, { localPort: 4000 + family }));
    assert.deepEqual(await inside(lab, 't/p9', connectTogether, targets), ['t/p2', 't/p2']);
  }
});

test("[socket-one-port-node] the node's own processes need another port for the second one", async () => {
  for (const family of FAMILIES) {
    const targets = [WEB, TWIN].map((n) => tcp(clusterIP(n, family), 80, { localPort: 4000 + family }));
    assert.deepEqual(await inside(lab, 'n1', connectTogether, targets), ['t/p2', 'EADDRNOTAVAIL']);
  }
});

test('a pod that binds to its address or to a port reaches Services under its address', () =>
  assertPaths(
    lab,
    FAMILIES.flatMap((family): Path[] =>
      [tcp, udp].flatMap((target): Path[] =>
        [WEB, NEAR].flatMap((n): Path[] => [
          [
            't/p9',
            target(clusterIP(n, family), 80, { localAddress: podAddress(CLIENT, family) }),
            answer(podAddress(CLIENT, family), n === WEB ? 'p2' : 'p1'),
          ],
        ]),
      ),
    ),
  ));

test('[socket-bound-loopback] a process bound to loopback reaches endpoints at addresses of its node only', async () => {
  for (const family of FAMILIES) {
    const from = { localAddress: LOOPBACK[family] };
    await assertPaths(lab, [
      ['n1', tcp(clusterIP(HOSTED, family), 80, from), answer(LOOPBACK[family], 'h1')],
      ['n1', tcp(LOOPBACK[family], nodePort(HOSTED), from), answer(LOOPBACK[family], 'h1')],
    ]);
    for (const target of [tcp(clusterIP(WEB, family), 80, from), tcp(LOOPBACK[family], nodePort(WEB), from)]) {
      const seen = await lab.dial('n1', { ...target, timeoutMs: 300 });
      assert.ok(family === 4 ? seen.outcome === 'failed' && seen.code === 'EINVAL' : seen.outcome !== 'answered', JSON.stringify(seen));
    }
  }
});

test('[socket-bound-address] a server sees the address that a process of the node bound to; replies need a route to it', async () => {
  for (const family of FAMILIES) {
    const own = family === 4 ? '172.17.0.1' : 'fd17::1';
    ip(lab, 'n1', `addr add ${own}/${family === 4 ? 32 : 128} dev lo`);
    await assertPaths(lab, [
      ['n1', tcp(clusterIP(NEAR, family), 80, { localAddress: own }), answer(own, 'p1')],
      ['n1', tcp(clusterIP(WEB, family), 80, { localAddress: own }), 'dropped'],
      ['n1', tcp(clusterIP(WEB, family), 80, { localAddress: nodeAddress('n1', family) }), answer(nodeAddress('n1', family), 'p2')],
    ]);
  }
});
