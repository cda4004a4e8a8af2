import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { refuse } from '#support/fake-api-server.ts';
import { followed, node, portOf, served, service, serviceCIDR, slice } from '#support/followed-api-server.ts';
import { until } from '#support/manifest-folder.ts';

const SHOP = [service('a'), service('b'), slice('a'), slice('b'), node('n1'), node('n2')];

const isWatchFrom = (request: string): boolean => request.includes('resourceVersion=');

test('existing objects come first, then changes', async () => {
  const { server, calls, objects } = await followed(await served(SHOP));
  assert.deepEqual([...objects.keys()].sort(), [
    'EndpointSlice shop/a-1',
    'EndpointSlice shop/b-1',
    'Node n1',
    'Service shop/a',
    'Service shop/b',
  ]);
  assert.deepEqual(calls.slice(-2), ['synced', 'complete']);
  calls.splice(0);
  server.put(service('a', 81));
  server.delete(service('b'));
  await until('both', () => calls.length === 2);
  assert.deepEqual(calls, ['set Service shop/a', 'remove Service shop/b']);
});

test('what kube-proxy leaves to others is not asked for, and a Service that gets such a label is removed [api-left-out]', async () => {
  const foreign = { 'service.kubernetes.io/service-proxy-name': 'other' };
  const { server, calls, objects } = await followed(await served([...SHOP, service('c', 80, foreign)]));
  assert.equal(objects.has('Service shop/c'), false);
  assert.ok(server.requests.some((request) => request.includes('fieldSelector=spec.clusterIP%21%3DNone')));
  server.put(service('a', 80, foreign));
  await until('removed', () => calls.includes('remove Service shop/a'));
  server.put(service('a'));
  await until('back', () => calls.at(-1) === 'set Service shop/a');
});

test('a change that means nothing to a proxy is not delivered', async () => {
  const { server, calls } = await followed(await served(SHOP));
  calls.splice(0);
  server.put(service('a', 80, { unused: 'label' }));
  server.put(service('b', 81));
  await until('b', () => calls.length > 0);
  assert.deepEqual(calls, ['set Service shop/b']);
});

test('a server without streaming lists is listed in pages, at once', async () => {
  const server = await served([...SHOP, service('c'), service('d'), service('e')]);
  server.streamsLists = false;
  const { objects, calls } = await followed(server, { times: { firstMs: 60_000, maxMs: 60_000 } });
  assert.equal([...objects.keys()].filter((id) => id.startsWith('Service')).length, 5);
  assert.equal(server.requests.filter((request) => request.includes('continue=')).length, 2);
  server.put(service('e', 81));
  await until('e', () => calls.at(-1) === 'set Service shop/e');
});

test('a server that forgets its versions in the middle of paging is asked for everything at once', async () => {
  const server = await served([...SHOP, service('c'), service('d'), service('e')]);
  server.streamsLists = false;
  server.fault = (url, response) => url.searchParams.has('continue') && refuse(response, 410, 'too old');
  const { objects } = await followed(server);
  assert.ok(objects.has('Service shop/e'));
  assert.ok(server.requests.some((request) => request.startsWith('/api/v1/services') && request.includes('limit=0')));
});

test('a page that cannot be read is asked for again', async () => {
  const server = await served(SHOP);
  server.streamsLists = false;
  const items = '"items":[{"metadata":{"name":"c"}},{"metadata":{"name":}}]';
  let broken = 0;
  server.fault = (url, response) => {
    if (url.searchParams.get('watch') === 'true' || ++broken > 4) return false;
    response.end(`{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},${items}}`);
    return true;
  };
  const { problems } = await followed(server);
  const said = problems.filter((problem) =>
    problem.startsWith('api_garbled: Cannot follow Services: List of Services cannot be read: Unexpected'),
  );
  assert.equal(said.length, 1, problems.join('\n'));
});

for (const how of ['end', 'mid-line', 'reset'] as const) {
  test(`a watch that is cut (${how}) goes on where it was, without a list`, async () => {
    const follows = await followed(await served(SHOP));
    const { server, calls } = follows;
    server.put(service('a', 81));
    await until('a', () => portOf(follows, 'a') === 81);
    calls.splice(0);
    server.requests.splice(0);
    server.cut(how);
    server.put(service('a', 82));
    await until('a again', () => portOf(follows, 'a') === 82);
    assert.deepEqual(calls, ['set Service shop/a']);
    assert.ok(server.requests.every((request) => isWatchFrom(request) || request.includes('limit=1&') || request.endsWith('limit=1')));
    assert.deepEqual(follows.problems, []);
  });
}

test('bookmarks move the place to go on from', async () => {
  const { server } = await followed(await served(SHOP));
  server.put(node('n2'));
  server.bookmark();
  server.put(service('a', 81));
  await sleep(50);
  server.compact();
  server.bookmark();
  await sleep(50);
  server.requests.splice(0);
  server.cut('end');
  await until('all watches', () => server.watches === 4);
  assert.equal(server.requests.filter((request) => request.includes('sendInitialEvents')).length, 0);
});

test('a version that the server has forgotten leads to a list, which shows removed objects [api-forgotten]', async () => {
  const { server, calls, objects, problems, missed } = await followed(await served([...SHOP, service('c'), service('d')]));
  calls.splice(0);
  server.fault = (url, response) => url.searchParams.get('watch') === 'true' && refuse(response, 503, 'starting');
  server.cut('reset');
  server.delete(service('b'));
  server.put(service('e'));
  server.compact();
  server.fault = () => false;
  await until('e', () => objects.has('Service shop/e') && !objects.has('Service shop/b'));
  assert.deepEqual([...new Set(calls)].sort(), ['remove Service shop/b', 'set Service shop/e']);
  assert.ok(!problems.some((problem) => problem.startsWith('doubtful')));
  assert.ok(missed.includes('Service'));
});

test('410 inside a watch leads to a list, and is not a problem', async () => {
  const { server, objects, problems } = await followed(await served(SHOP));
  server.compact();
  server.say('{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"message":"too old resource version"}}\n');
  server.put(service('c'));
  await until('c', () => objects.has('Service shop/c') && server.watches === 4);
  assert.deepEqual(problems, []);
});

test('another error inside a watch leads to no list', async () => {
  const follows = await followed(await served(SHOP));
  const { server } = follows;
  server.requests.splice(0);
  server.say('{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":500,"message":"etcd is slow"}}\n');
  server.put(service('a', 81));
  await until('a', () => portOf(follows, 'a') === 81 && server.watches === 4);
  assert.ok(!server.requests.some((request) => request.includes('sendInitialEvents')));
});

test('a line other than JSON leads to a list, because the same would come again', async () => {
  const { server, objects } = await followed(await served(SHOP));
  let garbled = 0;
  server.fault = (url, response) => {
    if (!url.searchParams.has('resourceVersion') || url.pathname !== '/api/v1/services') return false;
    garbled++;
    response.write('{"type":"ADDED","object":\n');
    return true;
  };
  server.cut('end');
  await until('garbled', () => garbled > 0);
  server.put(service('c'));
  await until('c', () => objects.has('Service shop/c') && server.watches === 4);
});

test('a connection over which nothing comes is given up', async () => {
  const { server, objects } = await followed(await served(SHOP), { times: { idleMs: 200 } });
  let held = 0;
  server.fault = (url, response) => {
    if (url.searchParams.get('watch') !== 'true' || held >= 3) return false;
    held++;
    response.writeHead(200).flushHeaders();
    return true;
  };
  server.cut('end');
  await until('held', () => held === 3);
  server.put(service('c'));
  await until('c', () => objects.has('Service shop/c'));
});

test('a request that is not answered is given up', async () => {
  const server = await served(SHOP);
  let held = 0;
  server.fault = () => held++ < 3;
  await followed(server, { times: { answerMs: 200, idleMs: 60_000 } });
});

test('an outage is said once, and when it is over [api-outage]', async () => {
  const follows = await followed(await served(SHOP));
  const { server, problems, notes } = follows;
  await server.stop();
  await until('said', () => problems.length > 0);
  await sleep(100);
  server.put(service('a', 81));
  await server.start();
  await until('back', () => portOf(follows, 'a') === 81);
  assert.deepEqual(problems, [
    'api_unreachable: Cannot reach API server URL: nothing listens there (ECONNREFUSED). The last known objects stay in force; trying again',
  ]);
  assert.deepEqual(notes, ['The API server answers again']);
});

test('missing rights are reported once, with the user and the right', async () => {
  const server = await served(SHOP);
  let refused = 0;
  const said = 'services is forbidden: User "weir" cannot list resource "services"';
  server.fault = (url, response) => url.pathname === '/api/v1/services' && ++refused < 10 && refuse(response, 403, said);
  const { problems, notes } = await followed(server);
  assert.deepEqual(problems, [
    `api_forbidden: Cannot follow Services: API server URL answered 403 (${said}). Allow list and watch on services to the user that it names. Nothing is served until that works; trying again`,
  ]);
  assert.deepEqual(notes, ['Following Services again']);
});

test('the wait that a busy server asks for is kept', async () => {
  const server = await served(SHOP);
  const times: number[] = [];
  server.fault = (url, response) => {
    if (url.pathname !== '/api/v1/services') return false;
    times.push(performance.now());
    if (times.length > 1) return false;
    refuse(response, 429, 'busy', { 'retry-after': '1' });
    return true;
  };
  await followed(server);
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 999, `came back after ${(times[1] ?? 0) - (times[0] ?? 0)} ms`);
});

test('an object that cannot be used leaves its last good version in force', async () => {
  const follows = await followed(await served(SHOP));
  const { server, problems, calls } = follows;
  server.put({ ...service('a'), spec: { clusterIP: '10.96.0.1', ports: [{ port: 70_000 }] } });
  server.put(service('b', 81));
  await until('b', () => portOf(follows, 'b') === 81);
  assert.equal(portOf(follows, 'a'), 80);
  assert.deepEqual(problems, [
    'invalid_object: Service shop/a: spec.ports[0].port is 70000, must be 1 to 65535; its last good version stays in force',
  ]);
  server.delete(service('a'));
  await until('gone', () => calls.at(-1) === 'remove Service shop/a');
});

test('nothing reaches the sink after it was stopped', async () => {
  const { server, calls, stop } = await followed(await served(SHOP));
  const stopped = stop();
  server.put(service('c'));
  await stopped;
  calls.splice(0);
  server.put(service('d'));
  await sleep(50);
  assert.deepEqual(calls, []);
  assert.equal(server.watches, 0);
});

const RANGES_PATH = '/apis/networking.k8s.io/v1/servicecidrs';
const WITHOUT_RANGES =
  'Traffic to unowned Service addresses is dropped only where --service-cidr names them (Kubernetes has ServiceCIDRs from 1.33 on); trying again';

test('ServiceCIDRs arrive and change', async () => {
  const { server, calls, objects } = await followed(await served([...SHOP, serviceCIDR('10.96.0.0/16')]));
  assert.ok(objects.has('ServiceCIDR kubernetes'));
  server.put(serviceCIDR('10.96.0.0/16', 'fd00:96::/112'));
  await until('changed', () => calls.at(-1) === 'set ServiceCIDR kubernetes');
});

test('a server that has no ServiceCIDRs, or does not give them, is followed all the same [api-service-cidrs]', async () => {
  const server = await served(SHOP);
  server.fault = (url, response) => url.pathname === RANGES_PATH && refuse(response, 404, '404 page not found');
  const { calls, problems } = await followed(server, { watches: 3, times: { lackMs: 50 } });
  assert.ok(calls.includes('complete'));
  assert.deepEqual(problems, [
    `api_not_served: Cannot follow ServiceCIDRs: API server URL answered 404 (404 page not found). ${WITHOUT_RANGES}`,
  ]);
  assert.equal(calls.filter((call) => call === 'synced').length, 1);
  const said = 'servicecidrs is forbidden';
  server.fault = (url, response) => url.pathname === RANGES_PATH && refuse(response, 403, said);
  await until('told', () => problems.length === 2);
  assert.equal(
    problems[1],
    `api_forbidden: Cannot follow ServiceCIDRs: API server URL answered 403 (${said}). Allow list and watch on servicecidrs to the user that it names. ${WITHOUT_RANGES}`,
  );
  server.put(serviceCIDR('10.96.0.0/16'));
  server.fault = () => false;
  await until('there after all', () => calls.at(-1) === 'set ServiceCIDR kubernetes');
});

test('a server that fails at ServiceCIDRs alone holds nothing up', async () => {
  const server = await served(SHOP);
  server.fault = (url, response) => url.pathname === RANGES_PATH && refuse(response, 500, 'internal error');
  const { calls, problems } = await followed(server, { watches: 3 });
  assert.ok(calls.includes('complete'));
  assert.match(
    problems[0] ?? '',
    /^api_refused: Cannot follow ServiceCIDRs: API server URL answered 500 .*Traffic to unowned Service addresses/,
  );
});
