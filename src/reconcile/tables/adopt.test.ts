import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADDRESS_CLUSTER_IP, ADDRESS_NODE, BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST, type Frontend } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import { Crash, createFakeTables, type FakeTables } from '#support/fake-tables.ts';
import { reconcilerOfTables, type TablesReconciler } from '#support/reconciling.ts';
import { numberedPlan, sampleBackend, sampleFrontend, samplePlan, TCP, UDP } from '#support/sample-plans.ts';
import { readerOf } from '#support/table-reader.ts';
import { REST_MS } from './state.ts';

const EVERY_LIST = samplePlan('a/every-list', {
  clusterIPs: ['172.30.9.9' as Address],
  backends: [sampleBackend('10.9.0.1', BACKEND_CLUSTER_LIST), sampleBackend('10.9.0.2', BACKEND_LOCAL_LIST)],
  frontends: [
    sampleFrontend('172.30.9.9'),
    sampleFrontend('203.0.113.9', { localSource: 'local', outsideSource: 'local' }),
    sampleFrontend('203.0.113.8', { outsideSource: 'local' }),
  ],
  sourceRanges: [{ address: '192.168.0.0' as Address, length: 24 }],
});

const LOCAL_ONLY = samplePlan('a/local-only', {
  backends: [
    sampleBackend('10.8.0.1', BACKEND_CLUSTER_LIST),
    sampleBackend('10.8.0.2', BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST),
    sampleBackend('10.8.0.3', BACKEND_LOCAL_LIST),
  ],
  frontends: [sampleFrontend('203.0.113.7', { localSource: 'local', outsideSource: 'local' })],
});

const SIX = samplePlan('a/six', {
  family: 6,
  clusterIPs: ['fd00::9' as Address],
  backends: [sampleBackend('fd01::1')],
  sourceRanges: [{ address: 'fd02::' as Address, length: 64 }],
});

const PLANS = [EVERY_LIST, LOCAL_ONLY, SIX, numberedPlan(1, 3), numberedPlan(2, 0), { ...numberedPlan(3, 2), protocol: UDP }];

function agent(tables: FakeTables, now: () => number = () => 0): TablesReconciler {
  const reconciler = reconcilerOfTables({ tables, now });
  reconciler.adopt();
  for (const plan of PLANS) reconciler.want(plan, plan);
  return reconciler;
}

test('an agent that comes back to unchanged Services writes nothing', () => {
  const tables = createFakeTables({ faultRate: 0 });
  agent(tables).flush();
  assert.deepEqual(agent(tables).prune().writes, {});
  assert.deepEqual(readerOf(tables).wrongs(), []);
});

test('found entries stay until the prune, and wanted entries stay after it', () => {
  const tables = createFakeTables({ faultRate: 0 });
  agent(tables).flush();
  const { meaning } = readerOf(tables);
  const before = meaning();
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  reconciler.adopt();
  assert.deepEqual(reconciler.flush().writes, {});
  reconciler.want(SIX, SIX);
  assert.deepEqual(reconciler.flush().writes, {});
  assert.deepEqual(readerOf(tables).meaning(), before);
  reconciler.prune();
  assert.deepEqual(
    tables.dump('services').map(({ value }) => value.text),
    ['a/six'],
  );
  assert.deepEqual(
    tables.dump('addresses').map(({ key }) => key.address),
    ['fd00::9'],
  );
});

/** Entries that no agent writes, but another program may. */
function spoil(tables: FakeTables): void {
  const value: Frontend = {
    localSource: { first: 0, count: 3 },
    outsideSource: { first: 1, count: 4 },
    service: 2,
    flags: 0,
    affinitySeconds: 0,
  };
  const at = (address: string, changes: Partial<Frontend>) => ({
    key: { address: address as Address, port: 80, protocol: TCP },
    value: { ...value, ...changes },
  });
  tables.put('frontends', [
    at('198.51.100.1', {}),
    at('198.51.100.2', { service: 0 }),
    at('198.51.100.3', { service: 4_000_000_000 }),
    at('198.51.100.4', { localSource: { first: 4_000_000_000, count: 3 } }),
    at('198.51.100.5', { outsideSource: { first: 90, count: 4_000_000_000 } }),
    at('198.51.100.6', { service: 71, localSource: { first: 40, count: 2 }, outsideSource: { first: 0, count: 0 } }),
  ]);
  tables.put(
    'slots',
    [40, 41].map((slot) => ({ key: { value: slot }, value: { backend: slot === 40 ? 12 : 4_000_000_000 } })),
  );
  const lost = { address: '10.7.0.1' as Address, port: 1, flags: BACKEND_CLUSTER_LIST, service: 1 };
  tables.put('backends', [
    { key: { value: 0 }, value: lost },
    { key: { value: 60 }, value: { ...lost, service: 0 } },
    { key: { value: 61 }, value: { ...lost, service: 55 } },
    { key: { value: 62 }, value: { ...lost, address: '10.9.0.1' as Address, port: 8080 } },
    { key: { value: 63 }, value: { ...lost, flags: 0 } },
  ]);
  const name = { text: EVERY_LIST.name, family: 4, protocol: TCP, lostFrontends: 0 };
  tables.put('services', [
    { key: { service: 70 }, value: name },
    { key: { service: 71 }, value: name },
    { key: { service: 3_000_000_000 }, value: { ...name, text: 'not a name at all' } },
  ]);
  tables.put('source_ranges', [{ key: { prefixBits: 128, service: 56, address: '10.0.0.0' as Address }, value: { present: 1 } }]);
  tables.put('addresses', [{ key: { address: '172.30.7.7' as Address }, value: { flags: ADDRESS_CLUSTER_IP | ADDRESS_NODE } }]);
}

test('whatever the tables hold, the first prune leaves the wanted entries alone', () => {
  let now = 0;
  const tables = createFakeTables({ faultRate: 0, limits: { slots: 100, backends: 100 } });
  agent(tables).flush();
  const expected = readerOf(tables).meaning();
  spoil(tables);
  const reconciler = agent(tables, () => now);
  reconciler.prune();
  assert.deepEqual(readerOf(tables).meaning(), expected);
  now += REST_MS;
  reconciler.flush();
  const { services, backends, slots } = reconciler.usage();
  assert.deepEqual({ services, backends, slots }, { services: 6, backends: 2 + 3 + 1 + 3 + 0 + 2, slots: 2 + 2 + 1 + 3 + 0 + 2 });
});

test('places that a live frontend uses are not allocated before the frontend is repaired', () => {
  const tables = createFakeTables({ faultRate: 0, limits: { slots: 100, backends: 100 } });
  agent(tables).flush();
  spoil(tables);
  const before = new Map(tables.dump('frontends').map(({ key, value }) => [key.address, value]));
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  reconciler.adopt();
  tables.onWrite = (table, key) => {
    const place = (key as { value: number }).value;
    const extents = [...before.values()].flatMap(({ localSource, outsideSource }) => [localSource, outsideSource]);
    if (table === 'slots') assert.ok(!extents.some(({ first, count }) => place >= first && place < first + count), `slot ${place}`);
    if (table === 'backends') assert.ok(place > 12 && place !== 63, `backend ${place}`);
  };
  const plan = numberedPlan(4, 5);
  reconciler.want(plan, plan);
  assert.deepEqual(reconciler.flush().writes, { services: 1, backends: 5, slots: 5, frontends: 1, addresses: 1 });
});

test('changes by another program are repaired after the tables are read again', () => {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = agent(tables);
  reconciler.prune();
  const expected = readerOf(tables).meaning();
  tables.remove('frontends', [{ address: '172.30.9.9' as Address, port: 80, protocol: TCP }]);
  tables.put('addresses', [{ key: { address: '172.30.9.9' as Address }, value: { flags: ADDRESS_NODE } }]);
  assert.deepEqual(reconciler.flush().writes, {});
  reconciler.adopt();
  assert.deepEqual(reconciler.prune().writes, { frontends: 1, addresses: 1 });
  assert.deepEqual(readerOf(tables).meaning(), expected);
});

test('wherever an unexpected error ends a flush, the next flush writes missing entries and removes surplus ones', () => {
  const [gone, fresh] = [numberedPlan(5, 2), numberedPlan(6, 3)];
  for (let writes = 0; writes < 14; writes++) {
    const tables = createFakeTables({ faultRate: 0 });
    const reconciler = agent(tables);
    reconciler.want(gone, gone);
    reconciler.prune();
    reconciler.want(gone, undefined);
    reconciler.want(fresh, fresh);
    tables.crashAfter(writes);
    assert.throws(() => reconciler.flush(), Crash);
    tables.crashAfter(undefined);
    reconciler.flush();
    assert.deepEqual(readerOf(tables).wrongs(), []);
    assert.deepEqual(
      tables.dump('services').map(({ value }) => value.text),
      [...PLANS, fresh].map(({ name }) => name),
    );
  }
});
