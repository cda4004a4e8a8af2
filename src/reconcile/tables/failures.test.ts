import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ADDRESS_CLUSTER_IP,
  ADDRESS_FRONTENDS,
  ADDRESS_NODE,
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  type TableName,
} from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import { createFakeTables, type FakeTables } from '#support/fake-tables.ts';
import { reconcilerOfTables, type TablesReconciler } from '#support/reconciling.ts';
import { numberedPlan, sampleBackend, sampleFrontend, samplePlan } from '#support/sample-plans.ts';
import { readerOf } from '#support/table-reader.ts';
import { TableError, type Tables } from '../ports/tables.ts';
import type { NodeFacts } from '../wanted/wanted-state.ts';
import { REST_MS } from './state.ts';

/** Refuses the puts and removals that `refuses` names, as the kernel would: after the preceding entries. */
function refusing(tables: FakeTables, refuses: (table: TableName, element: string) => boolean): Tables {
  const guard = <E>(table: TableName, elements: readonly E[], write: (some: readonly E[]) => void): void => {
    const done = elements.findIndex((element) => refuses(table, JSON.stringify(element)));
    write(done === -1 ? elements : elements.slice(0, done));
    if (done !== -1) throw new TableError('transient', table, done, `Cannot update map "${table}": interrupted`);
  };
  return {
    ...tables,
    put: (table, entries) => guard(table, entries, (some) => tables.put(table, some)),
    remove: (table, keys) => guard(table, keys, (some) => tables.remove(table, some)),
  };
}

function wantAll(reconciler: TablesReconciler, from: number, to: number, count: number): void {
  for (let i = from; i < to; i++) reconciler.want(numberedPlan(i, count), numberedPlan(i, count));
}

const servicesIn = (tables: Tables): number => tables.dump('frontends').length;

test('one Service that the kernel refuses does not stop the others, and is retried with growing pauses', () => {
  let now = 0;
  let isBroken = true;
  const fake = createFakeTables({ faultRate: 0 });
  const tables = refusing(fake, (table, element) => isBroken && table === 'frontends' && element.includes('172.30.0.7"'));
  const reconciler = reconcilerOfTables({ tables, now: () => now });
  wantAll(reconciler, 0, 100, 2);
  const first = reconciler.flush();
  assert.equal(servicesIn(tables), 99);
  assert.deepEqual(first.failed, [
    {
      port: 'many/service-7:http',
      code: 'transient',
      message: 'Cannot program Service "many/service-7:http" over IPv4: Cannot update map "frontends": interrupted',
    },
  ]);
  const pauses = [first.retryInMs];
  for (let i = 0; i < 9; i++) {
    now += pauses.at(-1) ?? 0;
    pauses.push(reconciler.flush().retryInMs);
  }
  assert.deepEqual(pauses, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
  isBroken = false;
  reconciler.flush();
  assert.equal(servicesIn(tables), 99, 'not before its time');
  now += 30000;
  assert.equal(reconciler.flush().pending, 0);
  assert.equal(servicesIn(tables), 100);
  assert.deepEqual(reconciler.problems(), []);
});

test('a ClusterIP refuses no port before all its ports are published', () => {
  let isBroken = true;
  const fake = createFakeTables({ faultRate: 0 });
  const tables = refusing(fake, (table, element) => isBroken && table === 'frontends' && element.includes('"port":443'));
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  const [http, https] = [80, 443].map((port) => samplePlan(`a/b:${port}`, { frontends: [sampleFrontend('172.30.0.1', { port })] }));
  assert.ok(http !== undefined && https !== undefined);
  reconciler.want(http, http);
  reconciler.want(https, https);
  reconciler.flush();
  const flags = (): number | undefined => tables.dump('addresses')[0]?.value.flags;
  assert.equal(flags(), ADDRESS_FRONTENDS);
  isBroken = false;
  reconciler.want(https, https);
  assert.deepEqual(reconciler.flush().writes, { frontends: 1, addresses: 1 });
  assert.equal(flags(), ADDRESS_FRONTENDS | ADDRESS_CLUSTER_IP);
});

test('a range stays while a frontend that could not be switched points into the middle of it', () => {
  let now = 0;
  let isBroken = false;
  const fake = createFakeTables({ faultRate: 0, limits: { slots: 12 } });
  const tables = refusing(fake, (table, element) => isBroken && table === 'frontends' && element.includes('203.0.113.1'));
  const reconciler = reconcilerOfTables({ tables, now: () => now });
  const plan = (count: number) =>
    samplePlan('a/b', {
      backends: [
        ...Array.from({ length: count }, (_, i) => sampleBackend(`10.0.0.${i + 1}`)),
        sampleBackend('10.0.1.1', BACKEND_LOCAL_LIST | BACKEND_CLUSTER_LIST),
      ],
      frontends: [sampleFrontend('172.30.0.1'), sampleFrontend('203.0.113.1', { localSource: 'local', outsideSource: 'local' })],
    });
  reconciler.want(plan(2), plan(2));
  reconciler.flush();
  isBroken = true;
  reconciler.want(plan(1), plan(1));
  reconciler.flush();
  now += REST_MS;
  fake.onWrite = (table, key) => assert.ok(table !== 'slots' || (key as { value: number }).value >= 5);
  wantAll(reconciler, 0, 1, 3);
  reconciler.flush();
  assert.equal(fake.writes.get('slots'), 3 + 2 + 3);
  assert.deepEqual(readerOf(tables).wrongs(), []);
});

test('among thousands of elements, one that cannot be encoded stops only its own Service', () => {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  wantAll(reconciler, 0, 3000, 1);
  const bad = samplePlan(`many/${'x'.repeat(200)}`, { clusterIPs: ['172.31.0.1' as Address] });
  reconciler.want(bad, bad);
  wantAll(reconciler, 3000, 6000, 1);
  const report = reconciler.flush();
  assert.equal(servicesIn(tables), 6000);
  assert.deepEqual(
    report.failed.map(({ port, code }) => ({ port, code })),
    [{ port: bad.name, code: 'fatal' }],
  );
});

const limits: readonly { readonly table: TableName; readonly limit: number; readonly fits: number; readonly says: RegExp }[] = [
  { table: 'services', limit: 4, fits: 4, says: /map "services" is full, limit is 4 entries/ },
  { table: 'frontends', limit: 3, fits: 3, says: /map "frontends" is full, limit is 3 entries/ },
  { table: 'addresses', limit: 3, fits: 6, says: /map "addresses" is full, limit is 3 entries/ },
  { table: 'slots', limit: 11, fits: 3, says: /map "slots" is full, limit is 11 entries \(no 3 adjacent free entries\)/ },
  { table: 'backends', limit: 12, fits: 6, says: /map "backends" is full, limit is 12 entries \(1 of 3 endpoints left out\)/ },
];

for (const { table, limit, fits, says } of limits) {
  test(`when "${table}" is full the report names it and the Service, and what fits is there`, () => {
    let now = 0;
    const tables = createFakeTables({ faultRate: 0, limits: { [table]: limit } });
    const reconciler = reconcilerOfTables({ tables, now: () => now });
    wantAll(reconciler, 0, 6, 3);
    const { failed, pending } = reconciler.flush();
    assert.equal(servicesIn(tables), fits);
    assert.equal(failed[0]?.code, 'full');
    assert.match(failed[0].message, says);
    assert.match(failed[0].message, /Service "many\/service-\d:http" over IPv4/);
    assert.equal(pending, failed.length);
    assert.deepEqual(readerOf(tables).wrongs(), []);

    for (const i of [0, 1, 2]) reconciler.want(numberedPlan(i, 0), undefined);
    reconciler.flush();
    now += REST_MS;
    assert.equal(reconciler.flush().pending, 0);
    assert.equal(servicesIn(tables), 3);
    assert.equal(tables.dump('backends').filter(({ value }) => value.flags !== 0).length, 9);
  });
}

test('room made in a flush is used in the same flush, also by the Service that made it', () => {
  const tables = createFakeTables({ faultRate: 0, limits: { frontends: 2 } });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  wantAll(reconciler, 0, 2, 1);
  reconciler.flush();
  reconciler.want(numberedPlan(0, 1), { ...numberedPlan(0, 1), frontends: [sampleFrontend('203.0.113.1')] });
  reconciler.want(numberedPlan(1, 1), undefined);
  wantAll(reconciler, 2, 3, 1);
  assert.equal(reconciler.flush().pending, 0);
  assert.deepEqual(
    tables.dump('frontends').map(({ key }) => key.address),
    ['203.0.113.1', '172.30.0.2'],
  );
});

test('a Service whose own new address does not fit gives up its old one first', () => {
  const tables = createFakeTables({ faultRate: 0, limits: { frontends: 1 } });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  wantAll(reconciler, 0, 1, 1);
  reconciler.flush();
  reconciler.want(numberedPlan(0, 1), { ...numberedPlan(0, 1), frontends: [sampleFrontend('203.0.113.1')] });
  assert.equal(reconciler.flush().pending, 0);
  assert.equal(tables.dump('frontends')[0]?.key.address, '203.0.113.1');
});

test('a Service that waited long for a full table is retried as soon as there is room', () => {
  let now = 0;
  const tables = createFakeTables({ faultRate: 0, limits: { slots: 4 } });
  const reconciler = reconcilerOfTables({ tables, now: () => now });
  wantAll(reconciler, 0, 2, 3);
  for (let round = 0; round < 12; round++) now += reconciler.flush().retryInMs ?? 0;
  assert.equal(reconciler.flush().retryInMs, 30_000);
  reconciler.want(numberedPlan(0, 3), undefined);
  assert.equal(reconciler.flush().retryInMs, REST_MS);
  now += REST_MS;
  assert.deepEqual(reconciler.flush(), {
    writes: { services: 1, backends: 3, slots: 3, frontends: 1, addresses: 1 },
    failed: [],
    pending: 0,
    retryInMs: undefined,
    udpLosses: { backends: 0, frontends: 0 },
  });
});

test('endpoints come and go in a full table of backends without an end', () => {
  let now = 0;
  const tables = createFakeTables({ faultRate: 0, limits: { backends: 3 } });
  const reconciler = reconcilerOfTables({ tables, now: () => now });
  const plan = (i: number) => samplePlan('a/b', { backends: [i, i + 1].map((k) => sampleBackend(`10.0.0.${k}`)) });
  for (let i = 1; i < 10; i++) {
    reconciler.want(plan(i), plan(i));
    for (let round = 0; round < 10; round++) now += reconciler.flush().retryInMs ?? 0;
    const live = tables.dump('backends').filter(({ value }) => value.flags !== 0);
    assert.deepEqual(
      live.map(({ value }) => value.address).sort(),
      plan(i)
        .backends.map((backend) => backend.address)
        .sort(),
    );
  }
});

test('a Service that loses a frontend to an older one is reported, and takes over in the pass that removes the older one', () => {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  const plan = (name: string, createdAt: string) =>
    samplePlan(name, { createdAt, clusterIPs: [], frontends: [sampleFrontend('203.0.113.1')], backends: [sampleBackend('10.0.0.1')] });
  const [old, young] = [plan('a/old', '2025-01-01T00:00:00Z'), plan('a/young', '2026-01-01T00:00:00Z')];
  const conflict = {
    port: 'a/young',
    code: 'conflict',
    message: 'Cannot give 203.0.113.1:80/TCP to Service "a/young": Service "a/old" keeps it, because it is older',
  };
  reconciler.want(young, young);
  reconciler.flush();
  reconciler.want(old, old);
  assert.deepEqual(reconciler.flush().failed, [conflict]);
  assert.deepEqual(reconciler.problems(), [conflict]);

  tables.onWrite = () => assert.equal(tables.dump('frontends').length, 1);
  reconciler.want(old, undefined);
  assert.deepEqual(reconciler.flush().failed, []);
  assert.deepEqual(reconciler.problems(), []);
  assert.deepEqual(readerOf(tables).wrongs(), []);
});

test('an address stops being live before its ports are withdrawn', () => {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  wantAll(reconciler, 0, 1, 1);
  reconciler.flush();
  const order: TableName[] = [];
  tables.onWrite = (table) => order.push(table);
  reconciler.want(numberedPlan(0, 1), undefined);
  reconciler.flush();
  assert.deepEqual(order, ['addresses', 'frontends', 'backends', 'service_counts', 'services']);
});

const SNAT = { snat4: '192.168.0.2' as Address, snat6: '::' as Address };
const FACTS: NodeFacts = {
  heldAddresses: [],
  nodeAddresses: ['192.168.0.2' as Address],
  localNets: [{ address: '10.0.0.0' as Address, length: 8 }],
  serviceCIDRs: [],
  devices: [{ ifindex: 2, flags: 0, ...SNAT }],
  settings: { nodeNetnsCookie: 1n, flags: 0, conntrackMark: 2, ...SNAT },
};

test("the node's tables are written settings first, then only what differs", () => {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  const order: TableName[] = [];
  tables.onWrite = (table) => order.push(table);
  reconciler.wantNode(FACTS);
  wantAll(reconciler, 0, 1, 0);
  reconciler.flush();
  assert.deepEqual(order, ['settings', 'local_nets', 'devices', 'services', 'frontends', 'addresses', 'addresses']);
  reconciler.wantNode({ ...FACTS, devices: [] });
  assert.deepEqual(reconciler.flush().writes, { devices: 1 });
  assert.deepEqual(tables.dump('devices'), []);
});

test('an address that is a ClusterIP and of this node keeps the meaning that is left', () => {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  const flags = (): number | undefined => tables.dump('addresses')[0]?.value.flags;
  const plan = samplePlan('a/b', { clusterIPs: ['192.168.0.2' as Address] });
  reconciler.wantNode(FACTS);
  reconciler.want(plan, plan);
  reconciler.flush();
  assert.equal(flags(), ADDRESS_CLUSTER_IP | ADDRESS_FRONTENDS | ADDRESS_NODE);
  reconciler.want(plan, undefined);
  reconciler.flush();
  assert.equal(flags(), ADDRESS_NODE);
  reconciler.wantNode({ ...FACTS, nodeAddresses: [] });
  reconciler.flush();
  assert.equal(flags(), undefined);
});
