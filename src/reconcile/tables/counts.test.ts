import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeTables } from '#support/fake-tables.ts';
import { reconcilerOfTables } from '#support/reconciling.ts';
import { numberedPlan } from '#support/sample-plans.ts';

test('the counts of the programs belong to the Service port that has the id, and end with it', () => {
  let now = 0;
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => now });
  const [a, b] = [numberedPlan(1, 1), numberedPlan(2, 1)];
  for (const plan of [a, b]) reconciler.want(plan, plan);
  reconciler.flush();
  assert.deepEqual(reconciler.counts(), []);
  const idOf = (name: string): number => tables.dump('services').find(({ value }) => value.text === name)?.key.service ?? 0;
  tables.put('service_counts', [{ key: { value: idOf(b.name) }, value: { connections: 7n, refusals: 2n } }]);
  const { name, family, protocol } = b;
  assert.deepEqual(reconciler.counts(), [{ name, family, protocol, connections: 7, refusals: 2 }]);
  reconciler.want(b, undefined);
  reconciler.flush();
  assert.deepEqual(reconciler.counts(), []);
  assert.deepEqual(tables.dump('service_counts'), [], 'the next one with this id begins at 0');
  now += 60_000;
  reconciler.want(b, b);
  reconciler.flush();
  assert.deepEqual(reconciler.counts(), []);
});

test('usage returns the entries of each table that Services fill', () => {
  const reconciler = reconcilerOfTables({ tables: createFakeTables({ faultRate: 0 }), now: () => 0 });
  assert.deepEqual(reconciler.usage(), {});
  const plan = numberedPlan(1, 3);
  reconciler.want(plan, plan);
  reconciler.flush();
  assert.deepEqual(reconciler.usage(), {
    ...{ services: 1, backends: 3, slots: 3 },
    ...{ frontends: plan.frontends.length, addresses: plan.clusterIPs.length, source_ranges: plan.sourceRanges.length },
  });
});
