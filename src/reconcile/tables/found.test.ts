import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableEntry } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import { createFakeTables } from '#support/fake-tables.ts';
import { reconcilerOfTables } from '#support/reconciling.ts';
import { sampleBackend, samplePlan } from '#support/sample-plans.ts';
import type { Tables } from '../ports/tables.ts';
import { REST_MS } from './state.ts';

/** New tables beside programs of an earlier agent, which use these ids with tables of their own. */
function beside(ids: Readonly<Record<number, string>>): Tables {
  const tables = createFakeTables({ faultRate: 0, limits: { backends: 6 } });
  const found = Object.entries(ids).map(([id, address]) => ({
    key: { value: Number(id) },
    value: { address: address as Address, port: 8080, flags: 0, service: 0 },
  }));
  return {
    dump: ((table) => [...tables.dump(table), ...(table === 'backends' ? (found as TableEntry<typeof table>[]) : [])]) as Tables['dump'],
    put: (table, entries) => tables.put(table, entries),
    remove: (table, keys) => tables.remove(table, keys),
    limit: (table) => tables.limit(table),
  };
}

const placed = (tables: Tables): string[] =>
  tables
    .dump('backends')
    .filter(({ value }) => value.flags !== 0)
    .map(({ key, value }) => `${key.value} ${value.address}`);

test('an endpoint gets the id that the programs of an earlier agent use for it, and no other endpoint gets it', () => {
  const tables = beside({ 1: '10.0.0.1', 2: '10.0.0.2', 9: '10.0.0.3' });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  const plan = samplePlan('a/b', { backends: [sampleBackend('10.0.0.2'), sampleBackend('10.0.0.9'), sampleBackend('10.0.0.3')] });
  reconciler.want(plan, plan);
  reconciler.flush();
  assert.deepEqual(placed(tables), ['2 10.0.0.2', '3 10.0.0.9', '4 10.0.0.3']);
});

test('ids of an earlier agent are free after their rest', () => {
  let now = 0;
  const tables = beside({ 1: '10.0.0.1', 2: '10.0.0.2', 3: '10.0.0.3', 4: '10.0.0.4', 5: '10.0.0.5' });
  const reconciler = reconcilerOfTables({ tables, now: () => now });
  const plan = samplePlan('a/b', { backends: [sampleBackend('10.0.0.9')] });
  reconciler.want(plan, plan);
  let { retryInMs } = reconciler.flush();
  assert.deepEqual(placed(tables), []);
  while (retryInMs !== undefined && now < 10 * REST_MS) {
    now += retryInMs;
    retryInMs = reconciler.flush().retryInMs;
  }
  assert.deepEqual(placed(tables), ['1 10.0.0.9']);
});
