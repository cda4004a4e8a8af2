import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice } from '#model/endpoint-slice.ts';
import type { Service } from '#model/service.ts';
import { createStore } from './store.ts';

const service = (name: string) => ({ kind: 'Service' as const, key: `a/${name}`, value: { namespace: 'a', name } as Service });
const slice = (name: string, serviceName: string) => ({
  kind: 'EndpointSlice' as const,
  key: `a/${name}`,
  value: { namespace: 'a', name, serviceName } as EndpointSlice,
});

test('a slice touches its Service, before the Service is known too', () => {
  const store = createStore('n1');
  store.set(slice('s1', 'web'));
  assert.deepEqual(store.takeTouched(), ['a/web']);
  store.set(service('web'));
  assert.deepEqual(store.takeTouched(), ['a/web']);
  assert.equal(store.service('a/web').slices.length, 1);
});

test('a slice that moves to another Service touches both', () => {
  const store = createStore('n1');
  store.set(slice('s1', 'web'));
  store.takeTouched();
  store.set(slice('s1', 'api'));
  assert.deepEqual([...store.takeTouched()].sort(), ['a/api', 'a/web']);
  assert.equal(store.service('a/web').slices.length, 0);
  assert.equal(store.service('a/api').slices.length, 1);
});

test('a removed slice touches its Service and is gone', () => {
  const store = createStore('n1');
  store.set(slice('s1', 'web'));
  store.takeTouched();
  store.remove('EndpointSlice', 'a/s1');
  assert.deepEqual(store.takeTouched(), ['a/web']);
  assert.deepEqual(store.counts(), { services: 0, slices: 0 });
});

test('news are the Services touched after a recall; without a recall there are none', () => {
  const store = createStore('n1');
  store.set(service('web'));
  assert.deepEqual(store.takeNews(), []);
  store.takeTouched();
  for (const name of ['web', 'api', 'db']) store.recall(service(name));
  store.recall(slice('s1', 'web'));
  store.set(slice('s2', 'web'));
  store.remove('Service', 'a/db');
  assert.deepEqual(store.takeNews(), ['a/web', 'a/db']);
  assert.deepEqual(store.takeNews(), []);
  assert.equal(store.service('a/web').slices.length, 2);
  assert.deepEqual([...store.takeTouched()].sort(), ['a/api', 'a/db', 'a/web']);
  assert.deepEqual(store.takeTouched(), []);
});

test('only the own Node is kept', () => {
  const store = createStore('n1');
  const node = (name: string) => ({
    kind: 'Node' as const,
    key: name,
    value: { name, addresses: [], podCIDRs: [], zone: '', isLeaving: false },
  });
  store.set(node('n2'));
  assert.equal(store.node(), undefined);
  store.set(node('n1'));
  assert.equal(store.node()?.name, 'n1');
  store.remove('Node', 'n2');
  assert.equal(store.node()?.name, 'n1');
});
