/** The findings of `weir doctor` about a KPNG server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GrpcTarget } from '#lib/target.ts';
import { probePeer } from '../../src/cli/doctor-kpng.ts';
import { onTestEnd, startServer, temporarySocket } from './running-server.ts';
import { endpoint, RESET, ScriptedServer, SYNC, service } from './scripted-server.ts';

const look = async (target: GrpcTarget): Promise<readonly string[]> =>
  (await probePeer({ type: 'kpng', target, tls: undefined }, 'n1')).map(({ name, status, detail }) => `${status} ${name}: ${detail}`);

const at = (target: GrpcTarget): string => (target.type === 'unix' ? `unix://${target.path}` : '');

test('a server of weir loses no rule, and is degraded while it cannot read all objects', async () => {
  const running = await startServer();
  running.sink.synced();
  assert.deepEqual(await look(running.target), [`degraded KPNG server: ${at(running.target)}, 0 Services, 0 endpoints`]);
  running.sink.complete();
  assert.deepEqual(await look(running.target), [
    `fine KPNG server: ${at(running.target)}, 0 Services, 0 endpoints, with weir's extensions: nothing is lost`,
  ]);
});

test('without extensions each lost rule is a finding with the number of Services affected', async () => {
  const target = temporarySocket();
  assert.ok(target.type === 'unix');
  const server = new ScriptedServer(target.path);
  await server.start();
  onTestEnd(() => server.stop());
  const ports = [{ Name: 'http', Protocol: 'TCP', Port: 80, NodePort: 30080 }];
  const send = async (): Promise<void> => {
    while (server.requests.length === 0) await sleep(5);
    server.send(RESET, service('a', { Type: 'NodePort', Ports: ports, ExternalTrafficToLocal: true, InternalTrafficToLocal: true }));
    server.send(service('b'), service('c', { MapIP: true }), endpoint('b', 'p', '10.0.0.1'), SYNC);
  };
  const [lines] = await Promise.all([look(target), send()]);
  const rule = (name: string, count: number): string => `degraded KPNG: ${name}: not sent by this server, Services affected: ${count}`;
  assert.deepEqual(lines, [
    `fine KPNG server: ${at(target)}, 2 Services, 1 endpoints, without weir's extensions`,
    rule('draining endpoints', 2),
    rule('policy Local without a local endpoint', 1),
    rule('both policies Local', 1),
    rule('this Node', 1),
    rule('topology hints', 2),
    rule('age of Services', 2),
    rule('ServiceCIDRs', 2),
    'degraded KPNG messages: 1 problems, for example: Service shop/c: MapIP is true, must be false: weir serves ports, not whole addresses',
  ]);
});

test('an unreachable server is missing', async () => {
  const target = temporarySocket();
  assert.deepEqual(await look(target), [`missing KPNG server: ${at(target)} does not answer node n1: the socket does not exist (ENOENT)`]);
});
