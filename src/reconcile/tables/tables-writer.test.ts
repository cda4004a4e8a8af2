import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BACKEND_CLUSTER_LIST, BACKEND_UNLISTED } from '#abi/generated.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { createFakeTables, type FakeOptions, type FakeTables } from '#support/fake-tables.ts';
import { reconcilerOfTables, type TablesReconciler } from '#support/reconciling.ts';
import { numberedPlan, sampleBackend, sampleFrontend, samplePlan, UDP } from '#support/sample-plans.ts';
import { readerOf } from '#support/table-reader.ts';

interface Bench {
  readonly tables: FakeTables;
  readonly reconciler: TablesReconciler;
  sleep(ms: number): void;
}

/** A reconciler on tables without faults. */
function bench(options: FakeOptions = {}): Bench {
  let now = 1000;
  const tables = createFakeTables({ faultRate: 0, ...options });
  const reconciler = reconcilerOfTables({ tables, now: () => now });
  return {
    tables,
    reconciler,
    sleep(ms) {
      now += ms;
    },
  };
}

for (const count of [10, 5000]) {
  test(`one more endpoint is a handful of writes among ${count} Services`, () => {
    const { tables, reconciler } = bench();
    for (let i = 0; i < count; i++) reconciler.want(numberedPlan(i, 3), numberedPlan(i, 3));
    reconciler.flush();
    reconciler.want(numberedPlan(7, 4), numberedPlan(7, 4));
    assert.deepEqual(reconciler.flush().writes, { backends: 1, slots: 4, frontends: 1 });
    reconciler.want(numberedPlan(7, 3), numberedPlan(7, 3));
    assert.deepEqual(reconciler.flush().writes, { slots: 3, frontends: 1, backends: 1 });
    assert.deepEqual(readerOf(tables).wrongs(), []);
  });
}

test('wanting the same again writes nothing', () => {
  const { reconciler } = bench();
  for (let i = 0; i < 10; i++) reconciler.want(numberedPlan(i, 3), numberedPlan(i, 3));
  reconciler.flush();
  for (let i = 0; i < 10; i++) reconciler.want(numberedPlan(i, 3), numberedPlan(i, 3));
  const nothing = { backends: 0, frontends: 0 };
  assert.deepEqual(reconciler.flush(), { writes: {}, failed: [], pending: 0, retryInMs: undefined, udpLosses: nothing });
});

test('an endpoint that drains stays in the tables for the datagrams of its sockets, and goes when it serves no more [udp-endpoint-gone]', () => {
  const { tables, reconciler } = bench();
  const [draining, other] = [sampleBackend('10.0.0.1'), sampleBackend('10.0.0.2')];
  const plan = samplePlan('a/b', { protocol: UDP, backends: [draining, other] });
  const flagsOf = (address: string) =>
    tables.dump('backends').flatMap(({ value }) => (value.address === address && value.service !== 0 ? [value.flags] : []));
  const become = (fields: Partial<PortPlan>) => {
    reconciler.want(plan, { ...plan, ...fields });
    return reconciler.flush();
  };
  become({});
  assert.deepEqual(become({ backends: [other], unlisted: [draining] }).writes, { backends: 1, slots: 1, frontends: 1 });
  assert.deepEqual(flagsOf('10.0.0.1'), [BACKEND_UNLISTED]);
  assert.deepEqual(become({ backends: [other], unlisted: [draining] }).writes, {});
  become({});
  assert.deepEqual(flagsOf('10.0.0.1'), [BACKEND_CLUSTER_LIST], 'it is back, in its old place');
  become({ backends: [other], unlisted: [draining] });
  assert.equal(become({ backends: [other] }).writes.backends, 1);
  assert.deepEqual(flagsOf('10.0.0.1'), [0]);
  assert.deepEqual(readerOf(tables).wrongs(), []);
});

test('one more address writes its frontend and its meaning alone', () => {
  const { reconciler } = bench();
  const plan = samplePlan('a/b', { backends: [sampleBackend('10.0.0.1')] });
  reconciler.want(plan, plan);
  reconciler.flush();
  reconciler.want(plan, { ...plan, frontends: [...plan.frontends, sampleFrontend('203.0.113.9')] });
  assert.deepEqual(reconciler.flush().writes, { frontends: 1, addresses: 1 });
});

test('a frontend that another Service port has in the kernel is contested; a frontend of its own port is not', () => {
  const { tables, reconciler } = bench();
  const [mine, others] = [numberedPlan(1, 2), numberedPlan(2, 2)];
  for (const plan of [mine, others]) reconciler.want(plan, plan);
  reconciler.flush();
  const next = reconcilerOfTables({ tables, now: () => 5000 });
  assert.equal(next.isContested(mine), false);
  assert.equal(next.isContested({ ...mine, frontends: [...mine.frontends, ...others.frontends] }), true);
  assert.equal(next.isContested(numberedPlan(3, 2)), false);
});

test('pruning certain Services removes their surplus entries before the wanted state is complete, and keeps the entries of others', () => {
  const { tables, reconciler } = bench();
  const plans = ['a/web:http', 'a/web:https', 'a/web2:http', 'a/w:http'].map((name, i) => ({ ...numberedPlan(i, 2), name }));
  for (const plan of plans) reconciler.want(plan, plan);
  reconciler.flush();
  const next = reconcilerOfTables({ tables, now: () => 5000 });
  const kept = plans[1] ?? assert.fail();
  next.want(kept, kept);
  next.pruneServices(['a/web']);
  next.flush();
  const names = tables.dump('services').map(({ value }) => value.text);
  assert.deepEqual(names.sort(), ['a/w:http', 'a/web2:http', 'a/web:https']);
  assert.equal(tables.dump('frontends').length, 3);
  assert.deepEqual(readerOf(tables).wrongs(), []);
});
