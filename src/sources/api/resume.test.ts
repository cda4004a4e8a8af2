/** What a source that finds what an earlier one wrote down makes of it. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiObject, refuse, type TestApiServer } from '#support/fake-api-server.ts';
import { type Followed, followed, kubernetes, node, portOf, served, service, serviceCIDR, slice } from '#support/followed-api-server.ts';
import { until } from '#support/manifest-folder.ts';

const SHOP = [kubernetes('one'), service('a'), service('b'), slice('a'), slice('b'), node('n1'), serviceCIDR('10.96.0.0/16')];

let dir: string;
let journal: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-resume-'));
  journal = join(dir, 'n1.journal');
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A server whose objects were followed and written down by a source that is gone. */
async function left(objects: readonly ApiObject[] = SHOP): Promise<TestApiServer> {
  const server = await served(objects);
  const first = await followed(server, { journal });
  await until('it is written down', () => existsSync(journal));
  await first.stop();
  server.requests.splice(0);
  return server;
}

const isList = (request: string): boolean =>
  request.includes('sendInitialEvents') || (request.includes('limit=') && !request.endsWith('limit=1'));

const listedBy = ({ server }: Followed): string[] => server.requests.filter(isList).map((request) => request.split('?')[0] ?? '');

const recalledBy = ({ calls }: Followed): number => calls.filter((call) => call.startsWith('recall')).length;

/** All that holds, as texts. */
const state = ({ objects }: Followed): string[] => [...objects.values()].map((object) => JSON.stringify(object)).sort();

test('it continues with a watch: recalled objects come first, then changes, additions and removals [api-resumed]', async () => {
  const server = await left();
  server.put(service('a', 81));
  server.put(service('c', 82));
  server.delete(service('b'));
  const second = await followed(server, { journal });
  assert.deepEqual(listedBy(second), []);
  assert.equal(recalledBy(second), SHOP.length);
  const news = second.calls.filter((call) => !call.startsWith('recall'));
  assert.deepEqual(news, ['set Service shop/a', 'set Service shop/c', 'remove Service shop/b', 'synced', 'complete']);
  assert.ok(second.calls.lastIndexOf('recall Service shop/b') < second.calls.indexOf('set Service shop/a'));
  assert.equal(portOf(second, 'a'), 81);
  assert.deepEqual([second.problems, second.missed], [[], []]);
});

test('its own changes are written to the journal in turn', async () => {
  const server = await left();
  const second = await followed(server, { journal });
  server.put(service('a', 81));
  await until('a', () => portOf(second, 'a') === 81);
  server.bookmark();
  await sleep(50);
  await second.stop();
  server.compact();
  server.requests.splice(0);
  const third = await followed(server, { journal });
  assert.deepEqual([portOf(third, 'a'), listedBy(third)], [81, []]);
  assert.deepEqual(state(third), state(second));
});

test('the journal is never older than the delivered objects', async () => {
  const server = await left();
  const copy = join(dir, 'copy.journal');
  const second = await followed(server, { journal });
  for (let port = 100; port < 130; port++) {
    server.put(service('a', port));
    await until('a', () => portOf(second, 'a') === port);
    // As it stands when the process is killed now
    copyFileSync(journal, copy);
    const other = await followed(server, { journal: copy, watches: 8 });
    assert.ok(other.calls.indexOf('recall Service shop/a') >= 0);
    assert.deepEqual(
      other.calls.filter((call) => call.startsWith('set')),
      [],
    );
    assert.equal(portOf(other, 'a'), port);
    await other.stop();
  }
});

test('another cluster at the same address is listed, and the recalled objects are gone', async () => {
  const server = await left();
  await server.stop();
  // It knows the versions of the one before, too
  server.restore([kubernetes('two'), ...SHOP.slice(2), ...['c', 'd', 'e', 'f'].map((name) => service(name))], 1000);
  await server.start();
  const second = await followed(server, { journal });
  assert.deepEqual([recalledBy(second), listedBy(second).length], [0, 4]);
  assert.equal(second.objects.has('Service shop/a'), false);
  await until('the other one is written down', () => existsSync(journal));
  await second.stop();
  server.requests.splice(0);
  const third = await followed(server, { journal });
  assert.deepEqual([recalledBy(third), listedBy(third)], [SHOP.length + 3, []]);
});

test('a server that was restored from a backup has versions that are lower, and is listed', async () => {
  const server = await left();
  server.put(service('c'));
  await server.stop();
  server.restore(SHOP, 500);
  await server.start();
  const second = await followed(server, { journal });
  assert.deepEqual([recalledBy(second), listedBy(second).length], [0, 4]);
  assert.equal(second.objects.size, SHOP.length);
  await second.stop();
  server.put(service('d'));
  server.requests.splice(0);
  const third = await followed(server, { journal });
  assert.deepEqual([listedBy(third), third.calls.includes('set Service shop/d')], [[], true]);
  assert.deepEqual(state(third).length, SHOP.length + 1);
});

test('a server that has gone back is listed in whole, also kinds whose own version it has reached again', async () => {
  const server = await left();
  const first = await followed(server, { journal });
  for (let port = 81; port <= 90; port++) server.put(service('a', port));
  await until('the last', () => portOf(first, 'a') === 90);
  await first.stop();
  server.restore([serviceCIDR('10.97.0.0/16'), ...SHOP.slice(0, -1)], 1001);
  server.requests.splice(0);
  const second = await followed(server, { journal });
  assert.deepEqual([listedBy(second).length, state(second).filter((text) => text.includes('10.97.0.0')).length], [4, 1]);
});

test('versions that the server has forgotten lead to lists, at once', async () => {
  const server = await left();
  server.delete(service('b'));
  server.compact();
  const second = await followed(server, { journal, times: { firstMs: 60_000 } });
  assert.deepEqual(listedBy(second).sort(), [
    '/api/v1/nodes',
    '/api/v1/services',
    '/apis/discovery.k8s.io/v1/endpointslices',
    '/apis/networking.k8s.io/v1/servicecidrs',
  ]);
  assert.equal(second.objects.has('Service shop/b'), false);
});

/** As kube-apiserver says it: the watch is answered, and then ends. */
const forgets = (server: TestApiServer): void => {
  server.fault = (url, response) => {
    if (!url.searchParams.has('resourceVersion') || url.searchParams.has('sendInitialEvents')) return false;
    response.writeHead(200).end('{"type":"ERROR","object":{"code":410,"message":"too old resource version"}}\n');
    return true;
  };
};

test('so they do when the watch says so itself; removals are reported, and the source is not complete before', async () => {
  const server = await left();
  server.delete(service('b'));
  forgets(server);
  const second = await followed(server, { journal, times: { firstMs: 60_000 } });
  assert.equal(listedBy(second).length, 4);
  assert.deepEqual(
    second.calls.filter((call) => !call.startsWith('recall')),
    ['remove Service shop/b', 'synced', 'complete'],
  );
  assert.deepEqual(second.missed, []);
});

test('a list that is empty then is in doubt, because an earlier source knew better [api-doubtful-list]', async () => {
  const server = await left();
  for (const name of ['a', 'b']) server.delete(service(name));
  forgets(server);
  const second = await followed(server, { journal, sync: false, times: { confirmMs: 300 } });
  await until('synced', () => second.calls.includes('synced'));
  assert.deepEqual([second.calls.includes('complete'), second.objects.has('Service shop/a')], [false, true]);
  await until('complete', () => second.calls.includes('complete'));
  assert.equal(second.objects.has('Service shop/a'), false);
});

test('a doubtful state is not resumed', async () => {
  const server = await left();
  for (const name of ['a', 'b']) server.delete(service(name));
  forgets(server);
  const second = await followed(server, { journal, sync: false, times: { confirmMs: 60_000 } });
  await until('synced', () => second.calls.includes('synced'));
  await second.stop();
  server.fault = () => false;
  server.requests.splice(0);
  const third = await followed(server, { journal });
  assert.ok(listedBy(third).includes('/api/v1/services'));
  assert.equal(third.objects.has('Service shop/a'), false);
  await third.stop();
  const fourth = await followed(server, { journal });
  assert.equal(fourth.calls.includes('recall Service shop/a'), false);
});

test('for another Node everything is asked for', async () => {
  const server = await left([...SHOP, node('n2')]);
  const second = await followed(server, { journal, nodeName: 'n2' });
  assert.deepEqual([recalledBy(second), listedBy(second).length, second.objects.has('Node n1')], [0, 4, false]);
  assert.match(second.notes.join(), /is of another build of weir or of another node/);
});

test('a file that cannot be read leads to lists, and to a file that can', async () => {
  const server = await left();
  writeFileSync(journal, 'nonsense');
  const second = await followed(server, { journal });
  assert.equal(listedBy(second).length, 4);
  assert.equal(second.notes.filter((said) => said.includes('is damaged')).length, 1);
  await until('it is written down', () => existsSync(journal));
  await second.stop();
  server.requests.splice(0);
  assert.deepEqual(listedBy(await followed(server, { journal })), []);
});

test('a folder that nothing can be written to is said once and changes nothing else', async () => {
  writeFileSync(join(dir, 'file'), '');
  const server = await served(SHOP);
  const source = await followed(server, { journal: join(dir, 'file', 'n1.journal') });
  await until('it is said', () => source.problems.length > 0);
  server.put(service('a', 81));
  await until('a', () => portOf(source, 'a') === 81);
  assert.match(source.problems.join('\n'), /^journal: Cannot (read|write) .*n1\.journal/);
  assert.equal(source.problems.filter((said) => said.includes('Cannot write')).length, 1);
});

test('a cluster without an identity gets no journal', async () => {
  const server = await served(SHOP.slice(1));
  await followed(server, { journal });
  await sleep(100);
  assert.equal(existsSync(journal), false);
});

test('while the server cannot be reached nothing is said to be known; then it goes on without a list', async () => {
  const server = await left();
  await server.stop();
  const second = await followed(server, { journal, sync: false });
  await until('it is said', () => second.problems.length > 0);
  assert.deepEqual(second.calls, []);
  server.put(service('a', 81));
  await server.start();
  await until('complete', () => second.calls.includes('complete') && portOf(second, 'a') === 81);
  assert.deepEqual(listedBy(second), []);
  assert.equal(recalledBy(second), SHOP.length);
});

test('a kind that the server has lost holds nothing up', async () => {
  const server = await left();
  server.fault = (url, response) => url.pathname.includes('servicecidrs') && refuse(response, 404, 'not found');
  const second = await followed(server, { journal, watches: 3 });
  assert.deepEqual([recalledBy(second), second.objects.has('ServiceCIDR kubernetes')], [SHOP.length - 1, false]);
});

test('a kind that was never heard of is not written down as known', async () => {
  const server = await left();
  server.put(kubernetes('two'));
  server.fault = (url, response) => url.pathname.includes('servicecidrs') && refuse(response, 404, 'not found');
  const second = await followed(server, { journal, watches: 3 });
  await until('it is written down', () => existsSync(journal));
  await second.stop();
  server.fault = () => false;
  const third = await followed(server, { journal });
  assert.deepEqual([recalledBy(third), third.objects.has('ServiceCIDR kubernetes')], [SHOP.length - 1, true]);
});

test('the problem of an object is reported again, and its last good version stays in force', async () => {
  const server = await left();
  const first = await followed(server, { journal });
  server.put(service('a', 0));
  server.put(service('bad', 0));
  await until('both are said', () => first.problems.length === 2);
  await first.stop();
  const second = await followed(server, { journal });
  assert.deepEqual([...second.problems].sort(), [...first.problems].sort());
  assert.deepEqual([portOf(second, 'a'), listedBy(second)], [80, []]);
  server.put(service('a', 82));
  await until('a', () => portOf(second, 'a') === 82);
});

test('what comes in one after the other at the start comes before it is complete', async () => {
  const server = await left();
  server.fault = (url, response) => {
    if (url.pathname !== '/api/v1/services' || !url.searchParams.has('resourceVersion')) return false;
    response.writeHead(200).flushHeaders();
    const tell = (port: number): void => {
      const object = { ...service('a', port), metadata: { name: 'a', namespace: 'shop', resourceVersion: String(2000 + port) } };
      response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
    };
    for (let i = 1; i <= 5; i++) setTimeout(tell, i * 60, 80 + i);
    return true;
  };
  const second = await followed(server, { journal, watches: 3, times: { quietMs: 200, catchUpMs: 5000 } });
  assert.equal(portOf(second, 'a'), 85);
});
