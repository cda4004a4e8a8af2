/** KPNG as a source, told by a server of other libraries. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import { selectEndpoints } from '#select/endpoints.ts';
import { until } from '#support/manifest-folder.ts';
import { addresses, type Followed, followed, followedCart, next } from './followed.ts';
import { encode, endpoint, RESET, remove, service, set } from './other-server.ts';

test('a client asks for its node with the extensions, and again after each Sync', async () => {
  const all = await followed('n1');
  assert.deepEqual(all.server.requests, [{ NodeName: 'n1', Extended: true }]);
  await next(all);
  await next(all);
  assert.equal(all.server.requests.length, 3);
  assert.equal(all.server.connections, 1);
});

test('nothing counts before Sync, then everything at once; synced and complete come with the first', async () => {
  const all = await followed('n1');
  all.server.say(RESET, service('cart'), endpoint('cart', 'c1', '10.0.0.1'));
  await sleep(50);
  assert.deepEqual(all.calls, []);
  await next(all);
  assert.deepEqual(all.calls, ['set Service shop/cart', 'set EndpointSlice shop/cart-ipv4', 'synced', 'complete']);
  assert.match(all.problems.join(), /^kpng_old_peer: The KPNG server SERVER does not support weir's extensions.*"weir doctor"/);
});

test('a change set that is cut off counts for nothing; the whole set that comes then is compared', async () => {
  const all = await followedCart();
  all.server.say(remove('EndpointsSet', 'shop/cart/c1'), remove('ServicesSet', 'shop/cart'), endpoint('cart', 'c3', '10.0.0.3'));
  await sleep(30);
  all.server.stop();
  await all.server.start();
  await until('another connection', () => all.server.requests.length === 3);
  assert.deepEqual(all.calls, []);
  all.server.say(RESET, service('cart'), endpoint('cart', 'c2', '10.0.0.2'), endpoint('cart', 'c3', '10.0.0.3'));
  await sleep(30);
  assert.deepEqual(all.calls, []);
  await next(all);
  assert.deepEqual(all.calls, ['set EndpointSlice shop/cart-ipv4']);
  assert.deepEqual(addresses(all), ['10.0.0.2', '10.0.0.3']);
  assert.deepEqual(all.missed, ['Service', 'EndpointSlice']);
});

test('a server that takes long is told of, and waited for', async () => {
  const all = await followed('n1', { syncMs: 60 });
  await until('told', () => all.problems.length === 1);
  assert.deepEqual(all.problems, ['kpng_silent: The KPNG server SERVER has not sent its full state within 0.06 s; still waiting']);
  all.server.say(service('cart'));
  await next(all);
  assert.deepEqual(all.calls, ['set Service shop/cart', 'synced', 'complete']);
  assert.equal(all.server.connections, 1);
});

test('a whole set that is as before changes nothing', async () => {
  const all = await followedCart();
  all.server.say(RESET, endpoint('cart', 'c2', '10.0.0.2'), endpoint('cart', 'c1', '10.0.0.1'), service('cart'));
  await next(all);
  assert.deepEqual(all.calls, []);
});

test('Reset in the middle of a change set forgets what came before it', async () => {
  const all = await followedCart();
  all.server.say(service('other'), remove('EndpointsSet', 'shop/cart/c2'));
  all.server.say(RESET, service('cart'), endpoint('cart', 'c1', '10.0.0.1'), endpoint('cart', 'c2', '10.0.0.2'));
  await next(all);
  assert.deepEqual(all.calls, []);
});

test('a whole set that lacks most of what was there removes nothing before another one confirms it', async () => {
  const all = await followedCart();
  all.server.say(RESET);
  await next(all);
  assert.deepEqual(all.calls, []);
  assert.deepEqual(all.problems, [
    'doubtful_list: The KPNG server no longer lists Services and endpoints: nothing is removed until another list confirms that in 0.15 s',
  ]);
  await until('another connection', () => all.server.connections === 2 && all.server.requests.length === 4);
  await next(all);
  assert.deepEqual(all.calls, ['remove Service shop/cart', 'remove EndpointSlice shop/cart-ipv4']);
  assert.deepEqual(all.notes, ['The KPNG server has sent its full state again; accepting it']);
});

test('what has no Service is told, kept, and served when the Service comes', async () => {
  const all = await followedCart();
  all.server.say(endpoint('late', 'l1', '10.0.1.1'), endpoint('late', 'l2', '10.0.1.2'));
  await next(all);
  assert.deepEqual(all.calls, []);
  assert.deepEqual(all.problems, [
    'no_service: 2 endpoints of Service shop/late have arrived without their Service, for example shop/late/l1',
  ]);
  all.server.say(service('late'));
  await next(all);
  assert.deepEqual(addresses(all, 'late'), ['10.0.1.1', '10.0.1.2']);
});

test('a stream that is no stream of operations is left, told once, and followed anew', async () => {
  const all = await followedCart();
  for (let round = 0; round < 3; round++) {
    const { connections } = all.server;
    all.server.sayBytes(Buffer.from([0x12, 0xff]));
    await until('another connection', () => all.server.connections === connections + 1);
  }
  assert.deepEqual(all.calls, []);
  assert.equal(all.problems.length, 1, all.problems.join('\n'));
  assert.match(
    all.problems[0] ?? '',
    /^kpng_garbled: Cannot follow KPNG server SERVER: it sends bytes that are not an OpItem: .* stays in force; retrying$/,
  );
});

test('a server that refuses, and one that is not there, are told; when it is back that is said, too', async () => {
  const all = await followedCart();
  all.server.refuse(7, 'not you');
  await until('told', () => all.problems.length === 1);
  assert.match(all.problems[0] ?? '', /^kpng_refused: Cannot follow KPNG server SERVER: permission denied: not you\. Its last state/);
  all.server.stop();
  await until('told', () => all.problems.length === 2);
  assert.match(all.problems[1] ?? '', /^kpng_unreachable: .*(nothing listens there|the socket does not exist)/);
  await sleep(60);
  await all.server.start();
  const { length } = all.server.requests;
  await until('asked', () => all.server.requests.length > length);
  all.server.say(RESET, service('cart'), endpoint('cart', 'c1', '10.0.0.1'), endpoint('cart', 'c2', '10.0.0.2'));
  await next(all);
  assert.deepEqual(all.notes, ['The KPNG server answers again']);
  assert.deepEqual(all.calls, []);
});

/** Who answers on node n1, by the lists of `select`. */
function answers({ objects }: Followed): { readonly cluster: readonly string[]; readonly local: readonly string[] } {
  const slices = [...objects.values()].flatMap((object): EndpointSlice[] => (object.kind === 'EndpointSlice' ? [object.value] : []));
  const selection = selectEndpoints({ servicePort: { name: 'http', protocol: 'TCP' }, slices, nodeName: 'n1', zone: 'a' });
  const texts = (list: 'cluster' | 'local'): string[] => selection[list].map(({ address, port }) => `${address}:${port}`).sort();
  return { cluster: texts('cluster'), local: texts('local') };
}

test('what an old server has selected is selected again, whatever the policies', async () => {
  const all = await followed('n1');
  const external = { ExternalTrafficToLocal: true, Type: 'NodePort' };
  all.server.say(RESET, service('cart', external));
  all.server.say(endpoint('cart', 'here', '10.0.0.1', { Local: true }));
  all.server.say(endpoint('cart', 'away', '10.0.0.2', { Scopes: { Internal: true } }));
  await next(all);
  assert.deepEqual(answers(all), { cluster: ['10.0.0.1:8080', '10.0.0.2:8080'], local: ['10.0.0.1:8080'] });
  // Topology keeps insiders from the endpoint that outsiders get
  all.server.say(endpoint('cart', 'here', '10.0.0.1', { Local: true, Scopes: { External: true } }));
  await next(all);
  assert.deepEqual(answers(all), { cluster: ['10.0.0.2:8080'], local: ['10.0.0.1:8080'] });
  all.server.say(service('cart', { ...external, InternalTrafficToLocal: true }), remove('EndpointsSet', 'shop/cart/away'));
  all.server.say(endpoint('cart', 'here', '10.0.0.1', { Local: true }));
  await next(all);
  assert.deepEqual(answers(all), { cluster: ['10.0.0.1:8080'], local: ['10.0.0.1:8080'] });
});

test('ports of endpoints are looked up as KPNG does, and may differ from one endpoint to the other', async () => {
  const all = await followed('n1');
  const unnamed = { Ports: [{ Protocol: 'TCP', Port: 80, TargetPort: 8080 }] };
  all.server.say(
    RESET,
    service('cart'),
    endpoint('cart', 'c1', '10.0.0.1'),
    endpoint('cart', 'c2', '10.0.0.2', { PortOverrides: [{ Name: 'http', Port: 9090 }] }),
  );
  all.server.say(service('plain', unnamed), endpoint('plain', 'p1', '10.0.0.3', { PortOverrides: [] }));
  await next(all);
  const ports = [...all.objects.values()].flatMap((object) =>
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

test('a server of the whole cluster is followed by its global stream, also one that knows no extensions', async () => {
  const all = await followed(undefined);
  assert.deepEqual(all.server.requests, [{ Extended: true }]);
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
  all.server.say(
    RESET,
    set('GlobalNodeInfos', '|n1||', 'globalv1.NodeInfo', { Hash: '1', Node: { Name: 'n1', Topology: { Node: 'n1', Zone: 'a' } } }),
    set('GlobalServiceInfos', 'shop|cart||', 'globalv1.ServiceInfo', { Hash: '2', Service: info }),
    set('GlobalEndpointInfos', 'shop|cart|cart-x7k2p|1f', 'globalv1.EndpointInfo', { Hash: '3', ...of('10.0.0.1') }),
    set('GlobalEndpointInfos', 'shop|cart|cart-x7k2p|2f', 'globalv1.EndpointInfo', { Hash: '4', ...of('10.0.0.2') }),
  );
  await next(all);
  assert.deepEqual(all.calls, ['set Node n1', 'set Service shop/cart', 'set EndpointSlice shop/cart-x7k2p', 'synced', 'complete']);
  const slice = all.objects.get('EndpointSlice shop/cart-x7k2p')?.value as EndpointSlice;
  assert.deepEqual(slice.ports, [{ name: 'http', protocol: 'TCP', port: 8080 }]);
  assert.deepEqual(
    slice.endpoints.map(({ address, ready, nodeName, hintZones }) => ({ address, ready, nodeName, hintZones })),
    ['10.0.0.1', '10.0.0.2'].map((address) => ({ address, ready: true, nodeName: 'n1', hintZones: ['a'] })),
  );
});

test('a server that cannot read everything says so: what it lacks stays until it can', async () => {
  const all = await followed('n1');
  const facts = { Slice: 'cart-a', Ready: true, Serving: true, Node: 'n1' };
  const full = (pod: string, address: string) => endpoint('cart', pod, address, { Facts: facts });
  all.server.say(RESET, service('cart'), full('c1', '10.0.0.1'), full('c2', '10.0.0.2'), { Sync: { Extended: true, Incomplete: true } });
  await until('synced', () => all.calls.includes('synced'));
  assert.ok(!all.calls.includes('complete'));
  all.server.say(RESET, service('cart'), full('c1', '10.0.0.1'), { Sync: { Extended: true, Incomplete: true } });
  await until('asked', () => all.server.requests.length === 3);
  assert.equal(all.problems.length, 0, all.problems.join('\n'));
  assert.deepEqual(addresses(all), ['10.0.0.1', '10.0.0.2']);
  all.server.say({ Sync: { Extended: true } });
  await until('complete', () => all.calls.includes('complete'));
  assert.deepEqual(addresses(all), ['10.0.0.1']);
});

test('a whole set that was not complete is judged when the server is, as any other', async () => {
  const all = await followedCart();
  all.server.say(RESET, { Sync: { Extended: true, Incomplete: true } });
  all.server.say({ Sync: { Extended: true } });
  await until('told', () => all.problems.length > 0);
  assert.match(all.problems[0] ?? '', /^doubtful_list: /);
  assert.deepEqual(
    all.calls.filter((call) => call.startsWith('remove')),
    [],
  );
});

test('when what led to a change happened comes with the change', async () => {
  const all = await followedCart();
  const at = Date.now() - 1000;
  const bytes = Buffer.concat([
    encode('localv1.OpItem', endpoint('cart', 'c1', '10.0.0.9')),
    encode('localv1.OpItem', { TriggeredAt: String(at) }),
  ]);
  all.server.sayBytes(bytes);
  await next(all);
  const slice = all.objects.get('EndpointSlice shop/cart-ipv4')?.value as EndpointSlice;
  assert.equal(slice.triggeredAt, at);
});
