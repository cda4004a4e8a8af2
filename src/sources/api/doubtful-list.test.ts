import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { followed, node, served, service, slice } from '#support/followed-api-server.ts';
import { until } from '#support/manifest-folder.ts';

const SHOP = [service('a'), service('b'), service('c'), slice('a'), slice('b'), slice('c'), node('n1')];

test('a server that was restored to nothing removes nothing before another list confirms it [api-doubtful-list]', async () => {
  const { server, calls, problems, notes, objects } = await followed(await served(SHOP));
  calls.splice(0);
  server.restore([], 10);
  server.cut('reset');
  await until('doubts', () => problems.length === 3);
  assert.deepEqual(calls, []);
  assert.ok(
    problems.includes(
      'doubtful_list: The API server no longer lists Services: nothing is removed until a second list confirms that in 0.2 s',
    ),
  );
  await until('removed', () => objects.size === 0);
  assert.ok(notes.includes('A second list confirms that 3 Services are gone; removing them'));
  server.put(service('d'));
  await until('d', () => objects.has('Service shop/d'));
});

test('what comes back before the other list was never gone', async () => {
  const { server, calls, problems, objects } = await followed(await served(SHOP), { times: { confirmMs: 500 } });
  calls.splice(0);
  server.restore([], 10);
  server.cut('reset');
  await until('doubts', () => problems.length === 3);
  for (const object of SHOP.slice(1)) server.put(object);
  await until('removed', () => !objects.has('Service shop/a'));
  await until('all watches', () => server.watches === 4);
  await sleep(50);
  assert.deepEqual(calls, ['remove Service shop/a']);
});

for (const how of ['end', 'reset'] as const) {
  test(`a list that lacks less than half counts at once, also that of a server of an earlier time (${how}) [api-restored]`, async () => {
    const { server, objects, problems } = await followed(await served(SHOP), { times: { confirmMs: 60_000, idleMs: 60_000 } });
    server.cut(how);
    server.restore(SHOP.slice(1), 10);
    await until('removed', () => !objects.has('Service shop/a'));
    assert.deepEqual(problems, []);
  });
}

test('what a watch says is deleted is removed at once, all of it', async () => {
  const { server, objects, problems } = await followed(await served(SHOP), { times: { confirmMs: 60_000 } });
  for (const object of SHOP) server.delete(object);
  await until('removed', () => objects.size === 0);
  assert.deepEqual(problems, []);
});

test('a first list that is empty is not complete before another list confirms it [api-complete]', async () => {
  const server = await served([node('n1')]);
  const { calls, problems } = await followed(server, { sync: false });
  await until('synced', () => calls.includes('synced'));
  assert.deepEqual(calls, ['set Node n1', 'synced']);
  assert.deepEqual(problems, [
    'doubtful_list: The API server has no Services at all: nothing is removed until a second list confirms that in 0.2 s',
    'doubtful_list: The API server has no EndpointSlices at all: nothing is removed until a second list confirms that in 0.2 s',
  ]);
  await until('complete', () => calls.includes('complete'));
});

test('a node that does not exist yet holds up nothing', async () => {
  const { server, calls, objects } = await followed(await served(SHOP.slice(0, -1)), { times: { confirmMs: 60_000 } });
  assert.equal(calls.at(-1), 'complete');
  server.put(node('n1'));
  await until('n1', () => objects.has('Node n1'));
});
