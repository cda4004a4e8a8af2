/** What `weir doctor` says about a KPNG server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Target } from '#lib/target.ts';
import { probePeer } from '../../src/cli/doctor-kpng.ts';
import { endpoint, OtherServer, RESET, SYNC, service } from './other-server.ts';
import { afterwards, served, temporarySocket } from './served.ts';

const look = async (target: Target): Promise<readonly string[]> =>
  (await probePeer({ type: 'kpng', target, tls: undefined }, 'n1')).map(({ name, status, detail }) => `${status} ${name}: ${detail}`);

const at = (target: Target): string => (target.type === 'unix' ? `unix://${target.path}` : '');

test('with a server of weir nothing is lost, unless it cannot read everything', async () => {
  const all = await served();
  all.sink.synced();
  assert.deepEqual(await look(all.target), [`degraded KPNG server: ${at(all.target)}, 0 Services, 0 endpoints`]);
  all.sink.complete();
  assert.deepEqual(await look(all.target), [
    `fine KPNG server: ${at(all.target)}, 0 Services, 0 endpoints, with weir's extensions: nothing is lost`,
  ]);
});

test('with another server each rule that it cannot say is named with the number of Services concerned', async () => {
  const target = temporarySocket();
  assert.ok(target.type === 'unix');
  const server = new OtherServer(target.path);
  await server.start();
  afterwards(() => server.stop());
  const ports = [{ Name: 'http', Protocol: 'TCP', Port: 80, NodePort: 30080 }];
  const say = async (): Promise<void> => {
    while (server.requests.length === 0) await sleep(5);
    server.say(RESET, service('a', { Type: 'NodePort', Ports: ports, ExternalTrafficToLocal: true, InternalTrafficToLocal: true }));
    server.say(service('b'), service('c', { MapIP: true }), endpoint('b', 'p', '10.0.0.1'), SYNC);
  };
  const [said] = await Promise.all([look(target), say()]);
  const rule = (name: string, count: number): string => `degraded KPNG: ${name}: not sent by this server, Services affected: ${count}`;
  assert.deepEqual(said, [
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

test('a server that is not there is missing', async () => {
  const target = temporarySocket();
  assert.deepEqual(await look(target), [`missing KPNG server: ${at(target)} does not answer node n1: the socket does not exist (ENOENT)`]);
});
