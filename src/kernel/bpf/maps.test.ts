import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrontendKey, TableEntry, TableName } from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import { TableError } from '#reconcile/ports/tables.ts';
import { openDescriptors, openForTest, openSmall, scratchState, skipIf, whyNoDatapath } from '#support/kernel-ground.ts';
import { closing } from '../ffi/libc.ts';
import { libbpf } from './libbpf.ts';
import { MapFile } from './map-file.ts';
import { mapFolders } from './state-folder.ts';

const kernel = skipIf(whyNoDatapath());

const key = (n: number): FrontendKey => ({ address: `10.0.${n >> 8}.${n & 255}` as Address, port: 80, protocol: 6 });

const frontend = (n: number, service = n): TableEntry<'frontends'> => ({
  key: key(n),
  value: { localSource: { first: n, count: 1 }, outsideSource: { first: n, count: 2 }, service, flags: 3, affinitySeconds: 0 },
});

const frontends = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => frontend(from + i));

const byService = (x: TableEntry<'frontends'>, y: TableEntry<'frontends'>) => x.value.service - y.value.service;

/** The TableError that `run` throws. */
function tableError(run: () => void): { code: string; table: TableName; done: number; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof TableError) return { code: error.code, table: error.table, done: error.done, message: error.message };
    throw error;
  }
  return assert.fail('nothing was thrown');
}

test('entries of a hash are dumped, replaced and removed', kernel, (t) => {
  const { tables } = openForTest(t, { frontends: 30_000 });
  const many = frontends(0, 20_000);
  tables.put('frontends', many);
  assert.deepEqual(tables.dump('frontends').sort(byService), many);
  tables.put('frontends', [frontend(5, 99_999)]);
  assert.equal(tables.dump('frontends').length, 20_000);
  assert.equal(tables.dump('frontends').sort(byService).at(-1)?.value.service, 99_999);
  tables.remove(
    'frontends',
    many.slice(1).map((entry) => entry.key),
  );
  assert.deepEqual(tables.dump('frontends'), [frontend(0)]);
  assert.equal(tables.limit('frontends'), 30_000);
});

test('removing keys that are not there is no error, wherever they stand', kernel, (t) => {
  const { tables } = openForTest(t);
  tables.put('frontends', frontends(0, 10));
  tables.remove('frontends', [100, 0, 1, 101, 102, 2, 3, 4, 103, 5, 6, 7, 8, 9, 104].map(key));
  assert.deepEqual(tables.dump('frontends'), []);
});

test('a full hash is reported with its limit and the number of written entries', kernel, (t) => {
  const { tables } = openForTest(t, { frontends: 1000 });
  tables.put('frontends', frontends(0, 300));
  const error = tableError(() => tables.put('frontends', frontends(300, 1200)));
  const message = 'Cannot update map "frontends": map is full, limit is 1000 entries';
  assert.deepEqual(error, { code: 'full', table: 'frontends', done: 700, message });
  assert.deepEqual(tables.dump('frontends').sort(byService), frontends(0, 1000));
});

test('`done` counts over several batches', kernel, (t) => {
  const { tables } = openForTest(t, { frontends: 9000 });
  assert.equal(tableError(() => tables.put('frontends', frontends(0, 12_000))).done, 9000);
});

test('a full prefix table says so too', kernel, (t) => {
  const { tables } = openForTest(t, { local_nets: 3 });
  const nets = [0, 1, 2, 3].map((n) => ({ key: { prefixBits: 112, address: `10.${n}.0.0` as Address }, value: { present: 1 } }));
  const error = tableError(() => tables.put('local_nets', nets));
  assert.deepEqual([error.code, error.done], ['full', 3]);
  const byAddress = (x: TableEntry<'local_nets'>, y: TableEntry<'local_nets'>) => x.key.address.localeCompare(y.key.address);
  assert.deepEqual(tables.dump('local_nets').sort(byAddress), nets.slice(0, 3));
  tables.remove(
    'local_nets',
    nets.map((net) => net.key),
  );
  assert.deepEqual(tables.dump('local_nets'), []);
});

test('an impossible prefix is fatal, and what stood before it is written', kernel, (t) => {
  const { tables } = openForTest(t);
  const net = (prefixBits: number) => ({ key: { prefixBits, address: '10.0.0.0' as Address }, value: { present: 1 } });
  const error = tableError(() => tables.put('local_nets', [net(104), net(500), net(112)]));
  assert.deepEqual([error.code, error.done], ['fatal', 1]);
  assert.equal(error.message, 'Cannot update map "local_nets": invalid argument (EINVAL)');
  assert.deepEqual(tables.dump('local_nets'), [net(104)]);
});

test('of arrays only elements that are not all zero are dumped', kernel, (t) => {
  const { tables } = openForTest(t, { slots: 1_048_576, backends: 200_000 });
  const slots = [0, 7, 65_535, 65_536, 1_048_575].map((value) => ({ key: { value }, value: { backend: value + 1 } }));
  tables.put('slots', slots);
  assert.deepEqual(tables.dump('slots'), slots);
  const backend = { key: { value: 199_999 }, value: { address: 'fd00::1' as Address, port: 80, flags: 1, service: 7 } };
  tables.put('backends', [backend]);
  assert.deepEqual(tables.dump('backends'), [backend]);
  tables.put('slots', [{ key: { value: 7 }, value: { backend: 0 } }]);
  assert.equal(tables.dump('slots').length, 4);
});

test('an index beyond an array is `full`, and arrays cannot remove', kernel, (t) => {
  const { tables } = openForTest(t, { slots: 100 });
  const slot = (value: number) => ({ key: { value }, value: { backend: 1 } });
  const error = tableError(() => tables.put('slots', [slot(98), slot(99), slot(100)]));
  assert.deepEqual(error, {
    code: 'full',
    table: 'slots',
    done: 2,
    message: 'Cannot update map "slots": map is full, limit is 100 entries',
  });
  assert.equal(tableError(() => tables.remove('slots', [{ value: 1 }])).code, 'fatal');
});

test('a least-recently-used table takes more than fits', kernel, (t) => {
  const { tables } = openForTest(t, { affinity: 100 });
  const entry = (service: number) => ({
    key: { client: '10.0.0.1' as Address, service, isCookie: 0 },
    value: { lastUsedNs: 5n, backend: 1 },
  });
  tables.put(
    'affinity',
    Array.from({ length: 5000 }, (_, i) => entry(i)),
  );
  assert.ok(tables.dump('affinity').length > 0);
});

test('counters are summed over the CPUs, and only the programs write them', kernel, (t) => {
  const stateDir = scratchState(t);
  const datapath = openSmall(stateDir);
  t.after(() => datapath.close());
  closing(libbpf.bpf_obj_get(`${stateDir}/${mapFolders(stateDir)[0]}/counters`), (fd) => {
    const file = new MapFile('counters', fd);
    const values = Buffer.alloc(file.valueBytes);
    for (let at = 0; at < values.length; at += 8) values.writeBigUInt64LE(BigInt(at / 8 + 1), at);
    assert.equal(file.update(Buffer.from([3, 0, 0, 0]), values, 1).errno, 0);
    const cpus = values.length / 8;
    assert.deepEqual(datapath.tables.dump('counters'), [{ key: { value: 3 }, value: { count: BigInt((cpus * (cpus + 1)) / 2) } }]);
  });
  assert.equal(tableError(() => datapath.tables.put('counters', [{ key: { value: 0 }, value: { count: 1n } }])).code, 'fatal');
});

test('an empty call writes nothing, and closed tables say so', kernel, (t) => {
  const { tables, close } = openForTest(t);
  tables.put('frontends', []);
  tables.remove('frontends', []);
  close();
  assert.equal(tableError(() => tables.dump('frontends')).message, 'Cannot use map "frontends": the tables are closed');
});

test('dumps of a million elements leave neither descriptors nor mappings behind', kernel, (t) => {
  const { tables } = openForTest(t, { slots: 1_048_576 });
  tables.put('slots', [{ key: { value: 1_000_000 }, value: { backend: 1 } }]);
  tables.dump('slots');
  const [descriptors, before] = [openDescriptors(), process.memoryUsage.rss()];
  for (let i = 0; i < 50; i++) tables.dump('slots');
  assert.equal(openDescriptors(), descriptors);
  // 50 mappings of 8 MiB would be 400 MiB.
  assert.ok(process.memoryUsage.rss() - before < 100 << 20);
});
