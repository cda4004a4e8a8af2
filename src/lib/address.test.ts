import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import {
  type Address,
  addressBytes,
  addressFromBytes,
  decodeAddress,
  encodeAddress,
  formatPrefix,
  type Prefix,
  parseAddress,
  parsePrefix,
  parseSloppyAddress,
  prefixContains,
  tablePrefixBits,
  withoutMapped,
  ZERO_ADDRESS,
} from './address.ts';

/* Half of the bytes are zero: runs of zeros are the difficult part of IPv6 texts. */
const sixteenBytes = fc
  .array(fc.oneof(fc.constant(0), fc.nat(255)), { minLength: 16, maxLength: 16 })
  .map((bytes) => Uint8Array.from(bytes));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('known addresses have the bytes that the RFCs give', () => {
  const known: readonly (readonly [string, string])[] = [
    ['10.96.0.1', '00000000000000000000ffff0a600001'],
    ['255.255.255.255', '00000000000000000000ffffffffffff'],
    ['0.0.0.0', '00000000000000000000ffff00000000'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['fe80::', 'fe800000000000000000000000000000'],
    ['fd00:10:96::a', 'fd00001000960000000000000000000a'],
    ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001'],
    ['2001:0:0:1::1', '20010000000000010000000000000001'],
  ];
  for (const [text, bytes] of known) {
    assert.equal(hex(addressBytes(text as Address)), bytes);
    assert.equal(addressFromBytes(Buffer.from(bytes, 'hex')), text);
  }
});

test('any 16 bytes decode to one address, whose text encodes to the same bytes', () => {
  fc.assert(
    fc.property(sixteenBytes, (bytes) => {
      assert.equal(hex(addressBytes(addressFromBytes(bytes))), hex(bytes));
    }),
    { numRuns: 2000 },
  );
});

test('texts equal the texts of ipaddr.js, for both families', () => {
  fc.assert(
    fc.property(sixteenBytes, fc.boolean(), (bytes, mapped) => {
      if (mapped) bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
      assert.equal(addressFromBytes(bytes), ipaddr.process(ipaddr.fromByteArray([...bytes]).toString()).toString());
      assert.equal(parseAddress(addressFromBytes(bytes)), addressFromBytes(bytes));
    }),
    { numRuns: 2000 },
  );
});

test('encodeAddress writes its 16 bytes and no others', () => {
  for (const address of ['10.1.2.3', 'fd00::1', '::'] as Address[]) {
    const bytes = new Uint8Array(32).fill(0xaa);
    encodeAddress(address, bytes, 8);
    assert.equal(hex(bytes), 'aa'.repeat(8) + hex(addressBytes(address)) + 'aa'.repeat(8));
    assert.equal(decodeAddress(bytes, 8), address);
  }
});

test('parseAddress returns the canonical text or undefined', () => {
  assert.equal(parseAddress('FD00:0:0::0001'), 'fd00::1');
  assert.equal(parseAddress('::ffff:10.0.0.1'), '10.0.0.1');
  for (const text of ['', '10.1', '10.0.0.256', '010.0.0.1', '1.2.3.4.5', 'fe80::1%eth0', 'fd00::1::2', 'localhost', ' 10.0.0.1']) {
    assert.equal(parseAddress(text), undefined, text);
  }
});

test('a prefix has its host bits cleared and the length of its own family', () => {
  const prefix = parsePrefix(' 10.1.2.3/20 ');
  assert.ok(prefix);
  assert.equal(formatPrefix(prefix), '10.1.0.0/20');
  assert.equal(tablePrefixBits(prefix), 116);
  const wide = parsePrefix('fd00:1:ffff::/33');
  assert.ok(wide);
  assert.equal(formatPrefix(wide), 'fd00:1:8000::/33');
  assert.equal(tablePrefixBits(wide), 33);
  for (const text of ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0.0/8/8', '/8', '10.0.0.0/-1']) {
    assert.equal(parsePrefix(text), undefined, text);
  }
});

test('the end of an IPv6 address may be a dotted quad: only ::ffff: makes it an IPv4 address, as in net.ParseIP', () => {
  for (const [text, expected] of [
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::10.0.0.1', '::a00:1'],
    ['fd00::10.0.0.1', 'fd00::a00:1'],
    ['1:2:3:4:5:6:255.255.255.255', '1:2:3:4:5:6:ffff:ffff'],
    ['::ffff:0x0a.0.0.1', undefined],
    ['::ffff:10.0.0.010', undefined],
    ['::ffff:10.0.1', undefined],
    ['::10.0.0.1:1', undefined],
    ['1:2:3:4:5:6:7:10.0.0.1', undefined],
    ['10.0.0.1::', undefined],
  ] as const)
    assert.equal(parseAddress(text), expected, text);
  assert.equal(parseSloppyAddress('::ffff:010.0.0.010'), '10.0.0.10');
  assert.equal(parseSloppyAddress('fd00:0010::010.0.0.1'), 'fd00:10::a00:1');
});

test('a prefix in IPv4-mapped form is the IPv4 network if it fixes the mapped part, else an IPv6 network, as in net.ParseCIDR', () => {
  for (const [text, expected] of [
    ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
    ['::ffff:a01:203/104', '10.0.0.0/8'],
    ['::FFFF:10.0.0.1/128', '10.0.0.1/32'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
    ['::ffff:10.0.0.0/90', '::ffc0:0:0/90'],
    ['::ffff:10.0.0.0/24', '::/24'],
    ['::ffff:10.0.0.0/0', '::/0'],
    ['::ffff:10.0.0.0/129', undefined],
    ['::10.0.0.0/104', '::a00:0/104'],
    ['::10.1.2.3/128', '::a01:203/128'],
    ['::ffff:0x0a.0.0.0/104', undefined],
  ] as const) {
    const prefix = parsePrefix(text);
    assert.equal(prefix && formatPrefix(prefix), expected, text);
  }
});

test('a prefix contains the addresses of its own family that share its bits', () => {
  const prefix = parsePrefix('10.0.16.0/20');
  const all = parsePrefix('::/0');
  assert.ok(prefix && all);
  assert.ok(prefixContains(prefix, '10.0.31.255' as Address));
  assert.ok(!prefixContains(prefix, '10.0.32.0' as Address));
  assert.ok(prefixContains(all, 'fd00::1' as Address));
  assert.ok(!prefixContains(all, ZERO_ADDRESS[4]));
});

test('an IPv6 network in the tables contains all of its IPv6 addresses and no IPv4 address', () => {
  const isIn = (text: string, prefixes: readonly Prefix[]): boolean =>
    prefixes.some(({ address, length }) => {
      const [own, other] = [address, text as Address].map((one) =>
        [...addressBytes(one)].map((byte) => byte.toString(2).padStart(8, '0')).join(''),
      );
      return own?.slice(0, length) === other?.slice(0, length);
    });
  for (const text of ['::/0', '::/1', '::/80', '::8000:0:0/81', '::ff00:0:0/88']) {
    const prefix = parsePrefix(text);
    assert.ok(prefix);
    const parts = withoutMapped(prefix);
    assert.equal(parts.length, 96 - prefix.length, text);
    for (const ip of ['0.0.0.0', '10.0.0.1', '255.255.255.255']) assert.ok(!isIn(ip, parts), `${ip} in ${text}`);
    for (const ip of ['::fffe:ffff:ffff', '::fffe:0:1']) assert.ok(isIn(ip, parts), `${ip} in ${text}`);
  }
  for (const text of ['fd00::/8', '8000::/1', '::/96', '::1/128']) {
    const prefix = parsePrefix(text);
    assert.ok(prefix);
    assert.deepEqual(withoutMapped(prefix), [prefix]);
  }
});
