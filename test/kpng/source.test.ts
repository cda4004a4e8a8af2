/** The KPNG source with a server of other libraries. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import { selectEndpoints } from '#select/endpoints.ts';
import { until } from '#support/manifest-folder.ts';
import { addresses, next, type RunningSource, startSource, startSourceWithCart } from './running-source.ts';
import { encode, endpoint, RESET, remove, service, set } from './scripted-server.ts';

test('a client requests the stream of its node with extensions, and the next change set after each Sync', async () => {
  const running = await startSource('n1');
  assert.deepEqual(running.server.requests, [{ NodeName: 'n1', Extended: true }]);
  await next(running);
  await next(running);
  assert.equal(running.server.requests.length, 3);
  assert.equal(running.server.connections, 1);
});

test('operations take effect together at Sync; the first one makes the source synced and complete', async () => {
  const running = await startSource('n1');
  running.server.send(RESET, service('cart'), endpoint('cart', 'c1', '10.0.0.1'));
  await sleep(50);
  assert.deepEqual(running.calls, []);
  await next(running);
  assert.deepEqual(running.calls, ['set Service shop/cart', 'set EndpointSlice shop/cart-ipv4', 'synced', 'complete']);
  assert.match(running.problems.join(), /^kpng_old_peer: The KPNG server SERVER does not support weir's extensions.*"weir doctor"/);
});

test('a change set that is cut has no effect; the next full state is compared', async () => {
  const running = await startSourceWithCart();
  running.server.send(remove('EndpointsSet', 'shop/cart/c1'), remove('ServicesSet', 'shop/cart'), endpoint('cart', 'c3', '10.0.0.3'));
  await sleep(30);
  running.server.stop();
  await running.server.start();
  await until('another connection', () => running.server.requests.length === 3);
  assert.deepEqual(running.calls, []);
  running.server.send(RESET, service('cart'), endpoint('cart', 'c2', '10.0.0.2'), endpoint('cart', 'c3', '10.0.0.3'));
  await sleep(30);
  assert.deepEqual(running.calls, []);
  await next(running);
  assert.deepEqual(running.calls, ['set EndpointSlice shop/cart-ipv4']);
  assert.deepEqual(addresses(running), ['10.0.0.2', '10.0.0.3']);
  assert.deepEqual(running.missed, ['Service', 'EndpointSlice']);
});

test('a slow server is reported, and the source waits for it', async () => {
  const running = await startSource('n1', { syncMs: 60 });
  await until('a problem', () => running.problems.length === 1);
  assert.deepEqual(running.problems, ['kpng_silent: The KPNG server SERVER has not sent its full state within 0.06 s; still waiting']);
  running.server.send(service('cart'));
  await next(running);
  assert.deepEqual(running.calls, ['set Service shop/cart', 'synced', 'complete']);
  assert.equal(running.server.connections, 1);
});

test('an unchanged full state changes nothing', async () => {
  const running = await startSourceWithCart();
  running.server.send(RESET, endpoint('cart', 'c2', '10.0.0.2'), endpoint('cart', 'c1', '10.0.0.1'), service('cart'));
  await next(running);
  assert.deepEqual(running.calls, []);
});

test('Reset inside a change set discards the operations before it', async () => {
  const running = await startSourceWithCart();
  running.server.send(service('other'), remove('EndpointsSet', 'shop/cart/c2'));
  running.server.send(RESET, service('cart'), endpoint('cart', 'c1', '10.0.0.1'), endpoint('cart', 'c2', '10.0.0.2'));
  await next(running);
  assert.deepEqual(running.calls, []);
});

test('a full state that lacks most objects removes nothing until a second one confirms it', async () => {
  const running = await startSourceWithCart();
  running.server.send(RESET);
  await next(running);
  assert.deepEqual(running.calls, []);
  assert.deepEqual(running.problems, [
    'doubtful_list: The KPNG server no longer lists Services and endpoints: nothing is removed until a second list confirms that in 0.15 s',
  ]);
  await until('another connection', () => running.server.connections === 2 && running.server.requests.length === 4);
  await next(running);
  assert.deepEqual(running.calls, ['remove Service shop/cart', 'remove EndpointSlice shop/cart-ipv4']);
  assert.deepEqual(running.notes, ['The KPNG server has sent its full state again; accepting it']);
});

test('endpoints without their Service are reported, kept, and served when the Service arrives', async () => {
  const running = await startSourceWithCart();
  running.server.send(endpoint('late', 'l1', '10.0.1.1'), endpoint('late', 'l2', '10.0.1.2'));
  await next(running);
  assert.deepEqual(running.calls, []);
  assert.deepEqual(running.problems, [
    'no_service: 2 endpoints of Service shop/late have arrived without their Service, for example shop/late/l1',
  ]);
  running.server.send(service('late'));
  await next(running);
  assert.deepEqual(addresses(running, 'late'), ['10.0.1.1', '10.0.1.2']);
});

test('a stream with undecodable operations is reported once, and opened again', async () => {
  const running = await startSourceWithCart();
  for (let round = 0; round < 3; round++) {
    const { connections } = running.server;
    running.server.sendBytes(Buffer.from([0x12, 0xff]));
    await until('another connection', () => running.server.connections === connections + 1);
  }
  assert.deepEqual(running.calls, []);
  assert.equal(running.problems.length, 1, running.problems.join('\n'));
  assert.match(
    running.problems[0] ?? '',
    /^kpng_garbled: Cannot follow KPNG server SERVER: it sends bytes that are not an OpItem: .* stays in force; trying again$/,
  );
});

test('a server that refuses and an unreachable one are reported, and so is the recovery', async () => {
  const running = await startSourceWithCart();
  running.server.refuse(7, 'not you');
  await until('a problem', () => running.problems.length === 1);
  assert.match(running.problems[0] ?? '', /^kpng_refused: Cannot follow KPNG server SERVER: permission denied: not you\. Its last state/);
  running.server.stop();
  await until('a problem', () => running.problems.length === 2);
  assert.match(running.problems[1] ?? '', /^kpng_unreachable: .*(nothing listens there|the socket does not exist)/);
  await sleep(60);
  await running.server.start();
  const { length } = running.server.requests;
  await until('the next request', () => running.server.requests.length > length);
  running.server.send(RESET, service('cart'), endpoint('cart', 'c1', '10.0.0.1'), endpoint('cart', 'c2', '10.0.0.2'));
  await next(running);
  assert.deepEqual(running.notes, ['The KPNG server answers again']);
  assert.deepEqual(running.calls, []);
});

/** The endpoints on node n1, by the lists of `select`. */
function answers({ objects }: RunningSource): { readonly cluster: readonly string[]; readonly local: readonly string[] } {
  const slices = [...objects.values()].flatMap((object): EndpointSlice[] => (object.kind === 'EndpointSlice' ? [object.value] : []));
  const selection = selectEndpoints({ servicePort: { name: 'http', protocol: 'TCP' }, slices, nodeName: 'n1', zone: 'a' });
  const texts = (list: 'cluster' | 'local'): string[] => selection[list].map(({ address, port }) => `${address}:${port}`).sort();
  return { cluster: texts('cluster'), local: texts('local') };
}

test('endpoints that an old server has selected are selected again, under all policies', async () => {
  const running = await startSource('n1');
  const external = { ExternalTrafficToLocal: true, Type: 'NodePort' };
  running.server.send(RESET, service('cart', external));
  running.server.send(endpoint('cart', 'here', '10.0.0.1', { Local: true }));
  running.server.send(endpoint('cart', 'away', '10.0.0.2', { Scopes: { Internal: true } }));
  await next(running);
  assert.deepEqual(answers(running), { cluster: ['10.0.0.1:8080', '10.0.0.2:8080'], local: ['10.0.0.1:8080'] });
  // Topology excludes the endpoint for internal clients, not for external ones
  running.server.send(endpoint('cart', 'here', '10.0.0.1', { Local: true, Scopes: { External: true } }));
  await next(running);
  assert.deepEqual(answers(running), { cluster: ['10.0.0.2:8080'], local: ['10.0.0.1:8080'] });
  running.server.send(service('cart', { ...external, InternalTrafficToLocal: true }), remove('EndpointsSet', 'shop/cart/away'));
  running.server.send(endpoint('cart', 'here', '10.0.0.1', { Local: true }));
  await next(running);
  assert.deepEqual(answers(running), { cluster: ['10.0.0.1:8080'], local: ['10.0.0.1:8080'] });
});

test('ports of endpoints are looked up as in KPNG, and may differ between endpoints', async () => {
  const running = await startSource('n1');
  const unnamed = { Ports: [{ Protocol: 'TCP', Port: 80, TargetPort: 8080 }] };
  running.server.send(
    RESET,
    service('cart'),
    endpoint('cart', 'c1', '10.0.0.1'),
    endpoint('cart', 'c2', '10.0.0.2', { PortOverrides: [{ Name: 'http', Port: 9090 }] }),
  );
  running.server.send(service('plain', unnamed), endpoint('plain', 'p1', '10.0.0.3', { PortOverrides: [] }));
  await next(running);
  const ports = [...running.objects.values()].flatMap((object) =>
    object.kind === 'EndpointSlice'
      ? object.value.endpoints.map(({ address }) => `${object.key} ${address} ${JSON.stringify(object.value.ports)}`)
      : [],
  );
  assert.deepEqual(ports.sort(), [
    'shop/cart-ipv4 10.0.0.1 [{"name":"http","protocol":"TCP","port":8080}]',
    'shop/cart-ipv4.1 10.0.0.2 [{"name":"http","protocol":"TCP","port":9090}]',
    'shop/plain-ipv4 10.0.0.3 [{"name":"","protocol":"TCP","port":8080}]',
  ]);
});

test('without a node name the source follows the global stream, also of a server without extensions', async () => {
  const running = await startSource(undefined);
  assert.deepEqual(running.server.requests, [{ Extended: true }]);
  const info = {
    Namespace: 'shop',
    Name: 'cart',
    Type: 'ClusterIP',
    IPs: { ClusterIPs: { V4: ['10.96.0.1'] } },
    Ports: [{ Name: 'http', Protocol: 'TCP', Port: 80 }],
  };
  const of = (address: string) => ({
    ...{ Namespace: 'shop', SourceName: 'cart-x7k2p', ServiceName: 'cart', Conditions: { Ready: true }, Topology: { Node: 'n1' } },
    ...{ Endpoint: { IPs: { V4: [address] }, PortOverrides: [{ Name: 'http', Port: 8080 }] }, Hints: { Zones: ['a'] } },
  });
  running.server.send(
    RESET,
    set('GlobalNodeInfos', '|n1||', 'globalv1.NodeInfo', { Hash: '1', Node: { Name: 'n1', Topology: { Node: 'n1', Zone: 'a' } } }),
    set('GlobalServiceInfos', 'shop|cart||', 'globalv1.ServiceInfo', { Hash: '2', Service: info }),
    set('GlobalEndpointInfos', 'shop|cart|cart-x7k2p|1f', 'globalv1.EndpointInfo', { Hash: '3', ...of('10.0.0.1') }),
    set('GlobalEndpointInfos', 'shop|cart|cart-x7k2p|2f', 'globalv1.EndpointInfo', { Hash: '4', ...of('10.0.0.2') }),
  );
  await next(running);
  assert.deepEqual(running.calls, ['set Node n1', 'set Service shop/cart', 'set EndpointSlice shop/cart-x7k2p', 'synced', 'complete']);
  const slice = running.objects.get('EndpointSlice shop/cart-x7k2p')?.value as EndpointSlice;
  assert.deepEqual(slice.ports, [{ name: 'http', protocol: 'TCP', port: 8080 }]);
  assert.deepEqual(
    slice.endpoints.map(({ address, ready, nodeName, hintZones }) => ({ address, ready, nodeName, hintZones })),
    ['10.0.0.1', '10.0.0.2'].map((address) => ({ address, ready: true, nodeName: 'n1', hintZones: ['a'] })),
  );
});

test('objects that an Incomplete state lacks stay until a complete one', async () => {
  const running = await startSource('n1');
  const facts = { Slice: 'cart-a', Ready: true, Serving: true, Node: 'n1' };
  const full = (pod: string, address: string) => endpoint('cart', pod, address, { Facts: facts });
  running.server.send(RESET, service('cart'), full('c1', '10.0.0.1'), full('c2', '10.0.0.2'), {
    Sync: { Extended: true, Incomplete: true },
  });
  await until('synced', () => running.calls.includes('synced'));
  assert.ok(!running.calls.includes('complete'));
  running.server.send(RESET, service('cart'), full('c1', '10.0.0.1'), { Sync: { Extended: true, Incomplete: true } });
  await until('the next request', () => running.server.requests.length === 3);
  assert.equal(running.problems.length, 0, running.problems.join('\n'));
  assert.deepEqual(addresses(running), ['10.0.0.1', '10.0.0.2']);
  running.server.send({ Sync: { Extended: true } });
  await until('complete', () => running.calls.includes('complete'));
  assert.deepEqual(addresses(running), ['10.0.0.1']);
});

test('a full state that was Incomplete is checked for doubt once the server is complete', async () => {
  const running = await startSourceWithCart();
  running.server.send(RESET, { Sync: { Extended: true, Incomplete: true } });
  running.server.send({ Sync: { Extended: true } });
  await until('a problem', () => running.problems.length > 0);
  assert.match(running.problems[0] ?? '', /^doubtful_list: /);
  assert.deepEqual(
    running.calls.filter((call) => call.startsWith('remove')),
    [],
  );
});

test('a change carries the time of the event behind it', async () => {
  const running = await startSourceWithCart();
  const at = Date.now() - 1000;
  const bytes = Buffer.concat([
    encode('localv1.OpItem', endpoint('cart', 'c1', '10.0.0.9')),
    encode('localv1.OpItem', { TriggeredAt: String(at) }),
  ]);
  running.server.sendBytes(bytes);
  await next(running);
  const slice = running.objects.get('EndpointSlice shop/cart-ipv4')?.value as EndpointSlice;
  assert.equal(slice.triggeredAt, at);
});
