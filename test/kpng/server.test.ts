/** `weir kpng-server` with clients of other libraries. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, type Settings } from 'node:http2';
import { connect as connectSocket, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { ModelObject } from '#model/objects.ts';
import type { Service } from '#model/service.ts';
import { until } from '#support/manifest-folder.ts';
import { address, endpoint, service as modelService, slice as modelSlice } from '#support/model-objects.ts';
import { GrpcJsClient, onTestEnd, type RunningServer, startServer, temporarySocket } from './running-server.ts';
import { decode } from './scripted-server.ts';

const service = (name: string, more: Partial<Service> = {}): ModelObject => ({
  kind: 'Service',
  key: `ns1/${name}`,
  value: modelService({ name, ...more }),
});

const slice = (of: string, endpoints: EndpointSlice['endpoints'], name = `${of}-a`): ModelObject => ({
  kind: 'EndpointSlice',
  key: `ns1/${name}`,
  value: modelSlice(endpoints, { serviceName: of, name }),
});

const pod = (name: string, ip: string, nodeName = 'n1') => endpoint(ip, { pod: `ns1/${name}`, nodeName });

const N1 = { NodeName: 'n1', Extended: true };
const OLD = { NodeName: 'n1' };

/** Delivers objects and reports the source complete. */
function fill({ sink }: RunningServer, ...objects: readonly ModelObject[]): void {
  for (const object of objects) sink.set(object);
  sink.synced();
  sink.complete();
}

test('nothing is sent before the source has synced; then Reset, all objects, and Sync', async () => {
  const running = await startServer();
  const client = new GrpcJsClient(running);
  client.request(N1);
  running.sink.set(service('a'));
  await sleep(50);
  assert.deepEqual(client.items, []);
  fill(running, slice('a', [pod('p1', '10.0.0.1')]));
  await until('Sync', () => client.syncs === 1);
  assert.deepEqual(client.items.at(0), { Reset: {} });
  assert.deepEqual(client.items.at(-1), { Sync: { Extended: true } });
  assert.equal(client.items.length, 4);
});

test('an empty cluster gives a change set, too, and Sync is Incomplete until the source is complete', async () => {
  const running = await startServer();
  running.sink.synced();
  const client = new GrpcJsClient(running);
  assert.deepEqual(await client.next(N1), ['reset', 'sync']);
  assert.deepEqual(client.items.at(-1), { Sync: { Extended: true, Incomplete: true } });
  client.request(N1);
  running.sink.complete();
  await until('Sync', () => client.syncs === 2);
  assert.deepEqual(client.items.at(-1), { Sync: { Extended: true } });
});

test("a change set has KPNG's order, and is sent on request", async () => {
  const running = await startServer();
  const here = (ip: string) => endpoint(ip, { nodeName: 'n1' });
  fill(
    running,
    service('gone'),
    service('b'),
    slice('gone', [pod('g1', '10.0.0.9')]),
    slice('b', [pod('b1', '10.0.0.1'), pod('b2', '10.0.0.2'), here('10.0.0.3')]),
  );
  const client = new GrpcJsClient(running);
  const first = await client.next(N1);
  const anonymous = first.find((line) => /ns1\/b\/[0-9a-f]{16}$/.test(line))?.slice(4);
  assert.ok(anonymous, first.join('\n'));
  running.sink.remove('Service', 'ns1/gone');
  running.sink.set(service('new'));
  running.sink.set(slice('new', [pod('n1', '10.0.1.1')]));
  running.sink.set(slice('b', [pod('b1', '10.0.0.1', 'n2'), here('10.0.0.4')]));
  await sleep(50);
  assert.equal(client.items.length, first.length, 'no request is pending');
  const second = await client.next(N1);
  const other = second.find((line) => /^set ns1\/b\/[0-9a-f]{16}$/.test(line));
  assert.deepEqual(second, [
    'set ns1/new',
    `delete ${anonymous}`,
    ...second.filter((line) => /^set ns1\/.*\/[bn]1$/.test(line)),
    ...second.filter((line) => /^delete ns1\/(b\/b2|gone\/g1)$/.test(line)),
    other,
    'delete ns1/gone',
    'sync',
  ]);
  assert.equal(second.length, 9, second.join('\n'));
});

test('an object removed and added again between two requests is not a change', async () => {
  const running = await startServer();
  fill(running, service('a'), slice('a', [pod('p1', '10.0.0.1')]));
  const client = new GrpcJsClient(running);
  await client.next(N1);
  running.sink.set(slice('a', []));
  await sleep(30);
  running.sink.set(slice('a', [pod('p1', '10.0.0.1')]));
  await sleep(30);
  running.sink.set(service('b'));
  assert.deepEqual(await client.next(N1), ['set ns1/b', 'sync']);
});

test('a client without extensions gets the endpoints that some scope uses on its node, and no unknown set', async () => {
  const running = await startServer();
  const local = {
    externalTrafficPolicy: 'Local',
    internalTrafficPolicy: 'Local',
    ports: [{ name: 'p80', protocol: 'TCP', port: 80, nodePort: 30080 }],
  } as const;
  fill(
    running,
    { kind: 'Node', key: 'n1', value: { name: 'n1', addresses: [], podCIDRs: [], zone: 'a', isLeaving: false } },
    { kind: 'ServiceCIDR', key: 'k', value: { name: 'k', cidrs: [] } },
    service('a', local),
    slice('a', [pod('p1', '10.0.0.1'), pod('p2', '10.0.0.2', 'n2'), { ...pod('p3', '10.0.0.3'), ready: false, serving: false }]),
    service('b', { ...local, internalTrafficPolicy: 'Cluster' }),
    slice('b', [pod('p1', '10.0.0.1'), pod('p2', '10.0.0.2', 'n2')]),
  );
  const client = new GrpcJsClient(running);
  assert.deepEqual((await client.next(OLD)).toSorted(), [
    'reset',
    'set ns1/a',
    'set ns1/a/p1',
    'set ns1/b',
    'set ns1/b/p1',
    'set ns1/b/p2',
    'sync',
  ]);
  const scopes = client.items.flatMap((item) => {
    const { Ref, Bytes } = (item as { Set?: { Ref: { Path: string }; Bytes: string } }).Set ?? {};
    if (!Ref?.Path.match(/\/p\d$/)) return [];
    const { Local = false, Scopes } = decode('localv1.Endpoint', Buffer.from(Bytes ?? '', 'base64')) as Record<string, unknown>;
    return `${Ref.Path} ${Local} ${JSON.stringify(Scopes)}`;
  });
  assert.deepEqual(scopes.sort(), [
    'ns1/a/p1 true {"Internal":true,"External":true}',
    'ns1/b/p1 true {"Internal":true,"External":true}',
    'ns1/b/p2 false {"Internal":true}',
  ]);
});

test('a node whose zone changes gets the endpoints of the new zone', async () => {
  const running = await startServer();
  const node = (zone: string): ModelObject => ({
    kind: 'Node',
    key: 'n1',
    value: { name: 'n1', addresses: [], podCIDRs: [], zone, isLeaving: false },
  });
  const zoned = (name: string, ip: string, zone: string) => ({ ...pod(name, ip, 'n9'), hintZones: [zone] });
  fill(running, node('a'), service('s'), slice('s', [zoned('p1', '10.0.0.1', 'a'), zoned('p2', '10.0.0.2', 'b')]));
  const client = new GrpcJsClient(running);
  assert.ok((await client.next(OLD)).includes('set ns1/s/p1'));
  running.sink.set(node('b'));
  assert.deepEqual(await client.next(OLD), ['set ns1/s/p2', 'delete ns1/s/p1', 'sync']);
});

test("the global stream has all objects, by paths that KPNG's stores can split", async () => {
  const running = await startServer();
  fill(
    running,
    { kind: 'Node', key: 'n1', value: { name: 'n1', addresses: [address('192.0.2.1')], podCIDRs: [], zone: 'a', isLeaving: false } },
    service('a', { internalTrafficPolicy: 'Local' }),
    slice('a', [pod('p1', '10.0.0.1'), pod('p2', '10.0.0.2', 'n2')]),
  );
  const client = new GrpcJsClient({ ...running, method: '/globalv1.Sets/Watch' });
  assert.deepEqual(await client.next({}), ['reset', 'set |n1||', 'set ns1|a||', 'set ns1|a|a-a|p1', 'set ns1|a|a-a|p2', 'sync']);
  running.sink.set(slice('a', [pod('p1', '10.0.0.1'), { ...pod('p2', '10.0.0.2', 'n2'), ready: false }]));
  assert.deepEqual(await client.next({}), ['set ns1|a|a-a|p2', 'sync']);
  const hashes = client.items.flatMap((item) => {
    const { Ref, Bytes } = (item as { Set?: { Ref: { Path: string }; Bytes: string } }).Set ?? {};
    if (Ref?.Path !== 'ns1|a|a-a|p2') return [];
    return (decode('globalv1.EndpointInfo', Buffer.from(Bytes ?? '', 'base64')) as { Hash: string }).Hash;
  });
  assert.equal(new Set(hashes).size, 2, 'a changed object has another hash');
});

test('invalid requests end the stream with the reason', async () => {
  const running = await startServer();
  fill(running);
  const ask = async (act: (client: GrpcJsClient) => unknown, method?: string): Promise<string> => {
    const client = new GrpcJsClient({ ...running, ...(method && { method }) });
    await act(client);
    return client.end();
  };
  assert.equal(await ask((client) => client.request({})), '3 NodeName is empty, must be the name of the node');
  assert.equal(
    await ask((client) => client.request({ NodeName: 'é'.repeat(20_000) })),
    '3 NodeName has 20000 characters, must have at most 253',
  );
  assert.match(await ask((client) => client.requestBytes(Buffer.from([0x0a, 0xff]))), /^3 index out of range/);
  const moved = async (client: GrpcJsClient): Promise<void> => {
    await client.next(N1);
    client.request({ NodeName: 'n2' });
  };
  assert.equal(await ask(moved), '3 NodeName is n2, must be n1, as in the first request of the stream');
  assert.equal(await ask((client) => client.request(N1), '/localv1.Sets/Peek'), '12 unknown method /localv1.Sets/Peek');
  const long = `/${'x'.repeat(20_000)}`;
  assert.equal(await ask((client) => client.request(N1), long), `12 unknown method ${long.slice(0, 200)}`);
  assert.equal(await ask((client) => client.next(N1).then(() => client.halfClose())), '0 ');
});

test('a client that stops reading delays no other client, and gets the latest state when it reads again', async () => {
  const running = await startServer();
  const many = (round: number): EndpointSlice['endpoints'] =>
    Array.from({ length: 900 }, (_, i) => pod(`p${i}`, `10.${round}.${i >> 8}.${i & 255}`));
  fill(running, service('a'), ...['x', 'y', 'z'].map((name) => slice('a', many(100 + name.charCodeAt(0)), `a-${name}`)));
  const [slow, quick] = [new GrpcJsClient(running), new GrpcJsClient(running)];
  slow.pause();
  slow.request(N1);
  await quick.next(N1);
  for (let round = 1; round <= 40; round++) {
    running.sink.set(slice('a', many(round), 'a-x'));
    const lines = await quick.next(N1);
    assert.equal(lines.length, 901);
  }
  slow.resume();
  await until('the first Sync', () => slow.syncs === 1);
  const told = slow.items.length;
  await slow.next(N1);
  assert.ok(slow.items.length - told <= 901, `${slow.items.length - told} operations`);
  const last = new Map<string, string>();
  for (const item of slow.items) {
    const { Ref, Bytes } = (item as { Set?: { Ref: { Path: string }; Bytes: string } }).Set ?? {};
    if (Ref !== undefined && Bytes !== undefined) last.set(Ref.Path, Bytes);
  }
  const p7 = decode('localv1.Endpoint', Buffer.from(last.get('ns1/a/p7') ?? '', 'base64')) as { IPs: { V4: string[] } };
  assert.deepEqual(p7.IPs.V4, ['10.40.0.7']);
});

test('the number of streams per connection is limited', async () => {
  const { target } = await startServer();
  assert.ok(target.type === 'unix');
  const session = connect('http://localhost', { createConnection: () => connectSocket(target.path) });
  onTestEnd(() => session.destroy());
  const [settings] = (await once(session, 'remoteSettings')) as [Settings];
  assert.equal(settings.maxConcurrentStreams, 100);
});

/** Leaves the socket of a killed server. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.0`);
  await once(server, 'listening');
  renameSync(`${path}.0`, path);
  await new Promise((resolve) => server.close(resolve));
}

test('a server replaces the socket of a killed server, but not a socket in use or another file', async () => {
  const target = temporarySocket();
  assert.ok(target.type === 'unix');
  const first = await startServer({ target });
  await assert.rejects(startServer({ target }), /^Error: Cannot listen at unix:.*: another server listens there$/);
  await first.server.stop();
  writeFileSync(target.path, 'precious');
  await assert.rejects(startServer({ target }), /^Error: Cannot listen at unix:.*: a file that is not a socket is there$/);
  assert.equal(readFileSync(target.path, 'utf8'), 'precious');
  unlinkSync(target.path);
  await leaveSocket(target.path);
  const second = await startServer({ target });
  fill(second);
  assert.deepEqual(await new GrpcJsClient(second).next(N1), ['reset', 'sync']);
});
