/** `weir kpng-server` as clients of other libraries see it. */
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
import { decode } from './other-server.ts';
import { afterwards, OtherClient, type Served, served, temporarySocket } from './served.ts';

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

/** Puts objects and says that that is all. */
function fill({ sink }: Served, ...objects: readonly ModelObject[]): void {
  for (const object of objects) sink.set(object);
  sink.synced();
  sink.complete();
}

test('nothing is said before the source has said everything; then Reset, what there is, and Sync', async () => {
  const all = await served();
  const client = new OtherClient(all);
  client.ask(N1);
  all.sink.set(service('a'));
  await sleep(50);
  assert.deepEqual(client.items, []);
  fill(all, slice('a', [pod('p1', '10.0.0.1')]));
  await until('Sync', () => client.syncs === 1);
  assert.deepEqual(client.items.at(0), { Reset: {} });
  assert.deepEqual(client.items.at(-1), { Sync: { Extended: true } });
  assert.equal(client.items.length, 4);
});

test('a cluster without Services is said, too, and a source that cannot read everything is not believed to have', async () => {
  const all = await served();
  all.sink.synced();
  const client = new OtherClient(all);
  assert.deepEqual(await client.next(N1), ['reset', 'sync']);
  assert.deepEqual(client.items.at(-1), { Sync: { Extended: true, Incomplete: true } });
  client.ask(N1);
  all.sink.complete();
  await until('Sync', () => client.syncs === 2);
  assert.deepEqual(client.items.at(-1), { Sync: { Extended: true } });
});

test('a change set says things in the order of KPNG, and comes when it was asked for', async () => {
  const all = await served();
  const here = (ip: string) => endpoint(ip, { nodeName: 'n1' });
  fill(
    all,
    service('gone'),
    service('b'),
    slice('gone', [pod('g1', '10.0.0.9')]),
    slice('b', [pod('b1', '10.0.0.1'), pod('b2', '10.0.0.2'), here('10.0.0.3')]),
  );
  const client = new OtherClient(all);
  const first = await client.next(N1);
  const anonymous = first.find((line) => /ns1\/b\/[0-9a-f]{16}$/.test(line))?.slice(4);
  assert.ok(anonymous, first.join('\n'));
  all.sink.remove('Service', 'ns1/gone');
  all.sink.set(service('new'));
  all.sink.set(slice('new', [pod('n1', '10.0.1.1')]));
  all.sink.set(slice('b', [pod('b1', '10.0.0.1', 'n2'), here('10.0.0.4')]));
  await sleep(50);
  assert.equal(client.items.length, first.length, 'nobody has asked');
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

test('what goes and comes back while nobody asks is no change', async () => {
  const all = await served();
  fill(all, service('a'), slice('a', [pod('p1', '10.0.0.1')]));
  const client = new OtherClient(all);
  await client.next(N1);
  all.sink.set(slice('a', []));
  await sleep(30);
  all.sink.set(slice('a', [pod('p1', '10.0.0.1')]));
  await sleep(30);
  all.sink.set(service('b'));
  assert.deepEqual(await client.next(N1), ['set ns1/b', 'sync']);
});

test('an old client gets what some scope uses on its node, and no set that it does not know', async () => {
  const all = await served();
  const local = {
    externalTrafficPolicy: 'Local',
    internalTrafficPolicy: 'Local',
    ports: [{ name: 'p80', protocol: 'TCP', port: 80, nodePort: 30080 }],
  } as const;
  fill(
    all,
    { kind: 'Node', key: 'n1', value: { name: 'n1', addresses: [], podCIDRs: [], zone: 'a', isLeaving: false } },
    { kind: 'ServiceCIDR', key: 'k', value: { name: 'k', cidrs: [] } },
    service('a', local),
    slice('a', [pod('p1', '10.0.0.1'), pod('p2', '10.0.0.2', 'n2'), { ...pod('p3', '10.0.0.3'), ready: false, serving: false }]),
    service('b', { ...local, internalTrafficPolicy: 'Cluster' }),
    slice('b', [pod('p1', '10.0.0.1'), pod('p2', '10.0.0.2', 'n2')]),
  );
  const client = new OtherClient(all);
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

test('a node whose zone changes sees what is for its zone', async () => {
  const all = await served();
  const node = (zone: string): ModelObject => ({
    kind: 'Node',
    key: 'n1',
    value: { name: 'n1', addresses: [], podCIDRs: [], zone, isLeaving: false },
  });
  const zoned = (name: string, ip: string, zone: string) => ({ ...pod(name, ip, 'n9'), hintZones: [zone] });
  fill(all, node('a'), service('s'), slice('s', [zoned('p1', '10.0.0.1', 'a'), zoned('p2', '10.0.0.2', 'b')]));
  const client = new OtherClient(all);
  assert.ok((await client.next(OLD)).includes('set ns1/s/p1'));
  all.sink.set(node('b'));
  assert.deepEqual(await client.next(OLD), ['set ns1/s/p2', 'delete ns1/s/p1', 'sync']);
});

test('the global stream has everything, by paths that the stores of KPNG can take apart', async () => {
  const all = await served();
  fill(
    all,
    { kind: 'Node', key: 'n1', value: { name: 'n1', addresses: [address('192.0.2.1')], podCIDRs: [], zone: 'a', isLeaving: false } },
    service('a', { internalTrafficPolicy: 'Local' }),
    slice('a', [pod('p1', '10.0.0.1'), pod('p2', '10.0.0.2', 'n2')]),
  );
  const client = new OtherClient({ ...all, method: '/globalv1.Sets/Watch' });
  assert.deepEqual(await client.next({}), ['reset', 'set |n1||', 'set ns1|a||', 'set ns1|a|a-a|p1', 'set ns1|a|a-a|p2', 'sync']);
  all.sink.set(slice('a', [pod('p1', '10.0.0.1'), { ...pod('p2', '10.0.0.2', 'n2'), ready: false }]));
  assert.deepEqual(await client.next({}), ['set ns1|a|a-a|p2', 'sync']);
  const hashes = client.items.flatMap((item) => {
    const { Ref, Bytes } = (item as { Set?: { Ref: { Path: string }; Bytes: string } }).Set ?? {};
    if (Ref?.Path !== 'ns1|a|a-a|p2') return [];
    return (decode('globalv1.EndpointInfo', Buffer.from(Bytes ?? '', 'base64')) as { Hash: string }).Hash;
  });
  assert.equal(new Set(hashes).size, 2, 'another hash when something else is different');
});

test('requests that are none end the stream with what is wrong', async () => {
  const all = await served();
  fill(all);
  const ask = async (act: (client: OtherClient) => unknown, method?: string): Promise<string> => {
    const client = new OtherClient({ ...all, ...(method && { method }) });
    await act(client);
    return client.end();
  };
  assert.equal(await ask((client) => client.ask({})), '3 NodeName is empty, must be the name of the node');
  assert.equal(
    await ask((client) => client.ask({ NodeName: 'é'.repeat(20_000) })),
    '3 NodeName has 20000 characters, must have at most 253',
  );
  assert.match(await ask((client) => client.askBytes(Buffer.from([0x0a, 0xff]))), /^3 index out of range/);
  const moved = async (client: OtherClient): Promise<void> => {
    await client.next(N1);
    client.ask({ NodeName: 'n2' });
  };
  assert.equal(await ask(moved), '3 NodeName is n2, must be n1, as in the first request of the stream');
  assert.equal(await ask((client) => client.ask(N1), '/localv1.Sets/Peek'), '12 unknown method /localv1.Sets/Peek');
  const long = `/${'x'.repeat(20_000)}`;
  assert.equal(await ask((client) => client.ask(N1), long), `12 unknown method ${long.slice(0, 200)}`);
  assert.equal(await ask((client) => client.next(N1).then(() => client.hangUp())), '0 ');
});

test('a client that reads nothing holds nobody up, and gets the last state when it reads again', async () => {
  const all = await served();
  const many = (round: number): EndpointSlice['endpoints'] =>
    Array.from({ length: 900 }, (_, i) => pod(`p${i}`, `10.${round}.${i >> 8}.${i & 255}`));
  fill(all, service('a'), ...['x', 'y', 'z'].map((name) => slice('a', many(100 + name.charCodeAt(0)), `a-${name}`)));
  const [slow, quick] = [new OtherClient(all), new OtherClient(all)];
  slow.pause();
  slow.ask(N1);
  await quick.next(N1);
  for (let round = 1; round <= 40; round++) {
    all.sink.set(slice('a', many(round), 'a-x'));
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

test('one connection cannot have any number of streams', async () => {
  const { target } = await served();
  assert.ok(target.type === 'unix');
  const session = connect('http://localhost', { createConnection: () => connectSocket(target.path) });
  afterwards(() => session.destroy());
  const [settings] = (await once(session, 'remoteSettings')) as [Settings];
  assert.equal(settings.maxConcurrentStreams, 100);
});

/** The socket of a server that did not get to remove it. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer().listen(`${path}.0`);
  await once(server, 'listening');
  renameSync(`${path}.0`, path);
  await new Promise((resolve) => server.close(resolve));
}

test('a socket that a killed server has left is taken; one that is in use, and what is no socket, are not', async () => {
  const target = temporarySocket();
  assert.ok(target.type === 'unix');
  const first = await served({ target });
  await assert.rejects(served({ target }), /^Error: Cannot listen at unix:.*: another server listens there$/);
  await first.server.stop();
  writeFileSync(target.path, 'precious');
  await assert.rejects(served({ target }), /^Error: Cannot listen at unix:.*: a file that is not a socket is there$/);
  assert.equal(readFileSync(target.path, 'utf8'), 'precious');
  unlinkSync(target.path);
  await leaveSocket(target.path);
  const second = await served({ target });
  fill(second);
  assert.deepEqual(await new OtherClient(second).next(N1), ['reset', 'sync']);
});
