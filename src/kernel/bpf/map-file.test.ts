import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { skipIf, whyNoKernel } from '#support/kernel-ground.ts';
import { bindLibrary, CStruct, checked } from '../ffi/ffi.ts';
import { libc } from '../ffi/libc.ts';
import { MapFile } from './map-file.ts';

const kernel = skipIf(whyNoKernel());

const HASH = 1;
const ARRAY = 2;
const DEVICES = 14;
const MMAPABLE = 0x400;

interface MapCreation {
  bpf_map_create(type: number, name: string, keySize: number, valueSize: number, entries: number, options: Uint8Array): number;
}

const creation = bindLibrary<MapCreation>('libbpf.so.1', 'libbpf1', {
  bpf_map_create: 'int bpf_map_create(int type, const char *name, uint32_t key, uint32_t value, uint32_t entries, const void *options)',
});

function createMap(
  t: TestContext,
  type: number,
  { valueSize, entries, flags = 0 }: { valueSize: number; entries: number; flags?: number },
) {
  // struct bpf_map_create_opts: map_flags at 28.
  const options = CStruct.sized(48).u32(28, flags).bytes;
  const fd = checked(creation.bpf_map_create(type, 'weir_test', 4, valueSize, entries, options), 'create a map');
  t.after(() => libc.close(fd));
  return new MapFile('weir_test', fd);
}

const u32 = (...numbers: number[]): Buffer => Buffer.from(Uint32Array.from(numbers).buffer);

function elements(map: MapFile): [number, string][] {
  const all: [number, string][] = [];
  for (const { count, keys, values, stride } of map.scan())
    for (let i = 0; i < count; i++)
      all.push([keys.readUInt32LE(4 * i), values.toString('hex', i * stride, i * stride + map.shape.valueSize)]);
  return all;
}

test('the shape of a map is read from the kernel', kernel, (t) => {
  const { id, ...shape } = createMap(t, ARRAY, { valueSize: 12, entries: 5, flags: MMAPABLE }).shape;
  assert.deepEqual(shape, { type: ARRAY, keySize: 4, valueSize: 12, maxEntries: 5, flags: MMAPABLE });
  assert.ok(id > 0);
});

test('a map without batches is written, read and cleared one element at a time', kernel, (t) => {
  // Its values are indexes of devices; 1 is `lo` everywhere.
  const map = createMap(t, DEVICES, { valueSize: 4, entries: 5 });
  assert.deepEqual(map.update(u32(1, 3), u32(1, 1), 2), { done: 2, errno: 0 });
  assert.deepEqual(elements(map), [
    [1, '01000000'],
    [3, '01000000'],
  ]);
  assert.deepEqual(map.update(u32(0, 2, 4), u32(1, 99_999, 1), 3), { done: 1, errno: 22 });
  assert.deepEqual(map.delete(u32(1, 3), 2), { done: 2, errno: 0 });
  assert.deepEqual(elements(map), [[0, '01000000']]);
});

for (const flags of [0, MMAPABLE])
  test(`an array with flags ${flags} is read with values of other sizes than multiples of eight bytes`, kernel, (t) => {
    const map = createMap(t, ARRAY, { valueSize: 12, entries: 3, flags });
    map.update(u32(2, 1), Buffer.from('0a'.repeat(12) + '0b'.repeat(12), 'hex'), 2);
    assert.deepEqual(elements(map), [
      [0, '00'.repeat(12)],
      [1, '0b'.repeat(12)],
      [2, '0a'.repeat(12)],
    ]);
  });

test('of a mapped array chunks without a value are left out', kernel, (t) => {
  const map = createMap(t, ARRAY, { valueSize: 4, entries: 1_000_000, flags: MMAPABLE });
  map.update(u32(999_999), u32(7), 1);
  const chunks = [...map.scan()];
  assert.equal(chunks.length, 1);
  assert.equal(elements(map).at(-1)?.[0], 999_999);
});

test('a hash larger than a chunk is read whole', kernel, (t) => {
  const map = createMap(t, HASH, { valueSize: 64, entries: 20_000 });
  const keys = Buffer.from(Uint32Array.from({ length: 20_000 }, (_, i) => i).buffer);
  assert.equal(map.update(keys, Buffer.alloc(20_000 * 64, 1), 20_000).done, 20_000);
  assert.ok(map.chunk < 20_000);
  assert.equal(new Set(elements(map).map(([key]) => key)).size, 20_000);
});
