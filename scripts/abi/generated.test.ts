import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as abi from '#abi/generated.ts';
import type { Address } from '#lib/address.ts';
import { generate } from './generate.ts';

const ABI_DIR = join(import.meta.dirname, '../../bpf/abi');
const CODECS_DIR = join(import.meta.dirname, '../../src/abi');

const ip = (text: string): Address => text as Address;

const flow = (service: string, backend: string, seed: number): abi.SocketFlow => ({
  serviceAddress: ip(service),
  backendAddress: ip(backend),
  servicePort: 1000 + seed,
  backendPort: 2000 + seed,
  backend: 3000000 + seed,
  service: 4000000 + seed,
});

const bound = <T>(codec: abi.Codec<T>, value: T) => ({
  value,
  size: codec.size,
  encode: (): string => {
    const bytes = new Uint8Array(codec.size + 16).fill(0xaa);
    codec.encode(value, bytes, 8);
    assert.deepEqual([...bytes.subarray(0, 8), ...bytes.subarray(codec.size + 8)], Array(16).fill(0xaa), 'wrote outside of its place');
    return Buffer.from(bytes.subarray(8, codec.size + 8)).toString('hex');
  },
  decode: (hex: string): unknown => codec.decode(Buffer.from(`aaaa${hex}aa`, 'hex'), 2),
});

/** The values that bpf/abi/check.c fills in. */
const SAMPLES = {
  address_key: bound(abi.addressKey, { address: ip('10.96.0.1') }),
  address_meaning: bound(abi.addressMeaning, {
    flags: abi.ADDRESS_CLUSTER_IP | abi.ADDRESS_NODE | abi.ADDRESS_FRONTENDS | abi.ADDRESS_HELD,
  }),
  frontend_key: bound(abi.frontendKey, { address: ip('fd00:10:96::a'), port: 8080, protocol: 17 }),
  extent: bound(abi.extent, { first: 0x01020304, count: 0x05060708 }),
  frontend: bound(abi.frontend, {
    localSource: { first: 11, count: 12 },
    outsideSource: { first: 13, count: 14 },
    service: 0x11121314,
    flags: abi.FRONTEND_OUTSIDE_SOURCE_USES_LOCAL,
    affinitySeconds: 10800,
  }),
  range_key: bound(abi.rangeKey, { prefixBits: 32 + 96 + 8, service: 79, address: ip('10.0.0.0') }),
  net_key: bound(abi.netKey, { prefixBits: 48, address: ip('fd00:244::') }),
  presence: bound(abi.presence, { present: 1 }),
  index: bound(abi.index, { value: 0xfffffffe }),
  slot: bound(abi.slot, { backend: 0x00c0ffee }),
  backend: bound(abi.backend, { address: ip('10.244.1.7'), port: 443, flags: abi.BACKEND_LOCAL_LIST, service: 77 }),
  service_key: bound(abi.serviceKey, { service: 78 }),
  service_name: bound(abi.serviceName, { text: 'shop/café:http', family: 6, protocol: 17, lostFrontends: 258 }),
  device_key: bound(abi.deviceKey, { ifindex: 81 }),
  device: bound(abi.device, { snat4: ip('192.0.2.1'), snat6: ip('2001:db8::1'), flags: abi.DEVICE_PODS }),
  settings: bound(abi.settings, {
    nodeNetnsCookie: 0x0102030405060708n,
    flags: abi.SETTINGS_LOOPBACK_NODE_PORTS,
    conntrackMark: 0x100,
    snat4: ip('192.0.2.2'),
    snat6: ip('2001:db8::2'),
  }),
  affinity_key: bound(abi.affinityKey, { client: ip('198.51.100.9'), service: 82, isCookie: 1 }),
  affinity: bound(abi.affinity, { lastUsedNs: 0xfffffffffffffff0n, backend: 83 }),
  socket_flow: bound(abi.socketFlow, flow('10.96.0.10', '10.244.2.3', 1)),
  socket_state: bound(abi.socketState, {
    flows: [
      flow('10.96.0.11', '10.244.0.1', 2),
      flow('fd00::11', 'fd00:244::1', 3),
      flow('10.96.0.13', '10.244.0.3', 4),
      flow('10.96.0.14', '10.244.0.4', 5),
    ],
    moved: 2,
    connected: [flow('10.96.0.15', '10.244.0.5', 6), flow('fd00::16', 'fd00:244::6', 7)],
  }),
  socket_flow_key: bound(abi.socketFlowKey, {
    socket: 0x1122334455667788n,
    address: ip('fd00:10:96::b'),
    port: 53,
    direction: abi.FLOW_FROM_BACKEND,
  }),
  udp_sender_key: bound(abi.udpSenderKey, { netnsCookie: 0x1020304050607080n, address: ip('192.0.2.9'), port: 5060, ownPort: 5061 }),
  udp_sender: bound(abi.udpSender, { lastReceivedNs: 0xfffffffffffffff1n }),
  shortage: bound(abi.shortage, { source: ip('192.0.2.3'), backend: ip('10.244.3.4'), port: 8443, protocol: 6, service: 84 }),
  counter: bound(abi.counter, { count: 0x8000000000000001n }),
  service_count: bound(abi.serviceCount, { connections: 0x8000000000000002n, refusals: 3n }),
};

const layout = JSON.parse(readFileSync(join(CODECS_DIR, 'abi.json'), 'utf8'));

test('the committed files are what bpf/abi gives now', () => {
  const { json, code } = generate();
  assert.equal(json, readFileSync(join(CODECS_DIR, 'abi.json'), 'utf8'), 'src/abi/abi.json is old: run `make generate`');
  assert.equal(code, readFileSync(join(CODECS_DIR, 'generated.ts'), 'utf8'), 'src/abi/generated.ts is old: run `make generate`');
});

test('a C program and the codecs agree on every byte of every struct', () => {
  const printed = runCheckProgram();
  const structs = Object.keys(layout.structs).filter((name) => name !== 'address');
  assert.deepEqual(Object.keys(printed).sort(), structs.sort(), 'bpf/abi/check.c must print every struct');
  for (const [name, sample] of Object.entries(SAMPLES)) {
    assert.equal(sample.encode(), printed[name], name);
    assert.deepEqual(sample.decode(printed[name] ?? ''), sample.value, name);
  }
});

test('bytes are those written down by hand', () => {
  const zeros = (count: number): string => '00'.repeat(count);
  const expected: Readonly<Partial<Record<keyof typeof SAMPLES, string>>> = {
    frontend_key: `fd000010009600000000 00000000000a 1f90 11 00`,
    frontend: `0b000000 0c000000 0d000000 0e000000 14131211 80000000 302a0000`,
    backend: `${zeros(10)} ffff 0af40107 01bb 0000 02000000 4d000000`,
    service_name: `73686f702f636166c3a93a68747470 ${zeros(137)} 06 11 0000 02010000`,
    range_key: `88000000 4f000000 ${zeros(10)} ffff 0a000000`,
    settings: `0807060504030201 08000000 00010000 ${zeros(10)} ffff c0000202 20010db8 ${zeros(11)} 02`,
    socket_flow_key: `8877665544332211 fd000010009600000000 00000000000b 0035 0000 02000000`,
  };
  for (const [name, hex] of Object.entries(expected))
    assert.equal(SAMPLES[name as keyof typeof SAMPLES].encode(), hex.replaceAll(' ', ''), name);
});

test('sizes and maps match abi.json', () => {
  for (const [name, sample] of Object.entries(SAMPLES)) assert.equal(sample.size, layout.structs[name].size, name);
  for (const table of Object.values(abi.TABLES)) {
    const { key, value, ...rest } = layout.maps[table.name];
    assert.deepEqual({ type: table.type, flags: table.flags, maxEntries: table.maxEntries }, rest, table.name);
    assert.equal(table.key.size, layout.structs[key].size, table.name);
    assert.equal(table.value.size, layout.structs[value].size, table.name);
  }
  assert.deepEqual(Object.keys(layout.maps).sort(), [...Object.keys(abi.TABLES), 'socket_state'].sort());
});

test('outcomes have a name for each counter', () => {
  assert.equal(abi.OUTCOMES.length, abi.OUTCOME_COUNT);
  assert.equal(abi.TABLES.counters.maxEntries, abi.OUTCOME_COUNT);
  assert.equal(abi.OUTCOMES[abi.OUTCOME_PACKET_DROP_SOURCE_RANGE], 'packet_drop_source_range');
});

test('values that do not fit are refused', () => {
  const bytes = new Uint8Array(256);
  const refused = (encode: () => void, message: RegExp): void => assert.throws(encode, { name: 'RangeError', message });
  refused(() => abi.frontendKey.encode({ address: ip('10.0.0.1'), port: 65536, protocol: 6 }, bytes, 0), /value is 65536, .* 16 bits/);
  refused(() => abi.frontendKey.encode({ address: ip('10.0.0.1'), port: 80, protocol: 256 }, bytes, 0), /value is 256, .* 8 bits/);
  refused(() => abi.index.encode({ value: -1 }, bytes, 0), /value is -1, .* 32 bits/);
  refused(() => abi.index.encode({ value: 1.5 }, bytes, 0), /value is 1.5/);
  refused(() => abi.counter.encode({ count: 2n ** 64n }, bytes, 0), /64 bits/);
  refused(() => abi.serviceName.encode({ text: 'x'.repeat(152), family: 4, protocol: 6, lostFrontends: 0 }, bytes, 0), /at most 151 bytes/);
  refused(() => abi.serviceName.encode({ text: 'é'.repeat(76), family: 4, protocol: 6, lostFrontends: 0 }, bytes, 0), /at most 151 bytes/);
  refused(() => abi.socketState.encode({ flows: [], moved: 0, connected: [] }, bytes, 0), /has 0 elements, must have 4/);
});

test('the longest text fits and is ended', () => {
  const bytes = new Uint8Array(abi.serviceName.size).fill(0xaa);
  const text = `${'é'.repeat(75)}x`;
  abi.serviceName.encode({ text, family: 4, protocol: 6, lostFrontends: 0 }, bytes, 0);
  assert.equal(bytes[151], 0);
  assert.equal(abi.serviceName.decode(bytes, 0).text, text);
});

function runCheckProgram(): Readonly<Record<string, string>> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-check-'));
  try {
    execFileSync('clang', ['-Wall', '-Werror', join(ABI_DIR, 'check.c'), '-o', join(dir, 'check')]);
    const lines = execFileSync(join(dir, 'check'), { encoding: 'utf8' }).trimEnd().split('\n');
    return Object.fromEntries(lines.map((line) => line.split(' ') as [string, string]));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
