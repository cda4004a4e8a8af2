import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, formatPrefix } from '#lib/address.ts';
import { coveringPrefixes, freeAddress, networkOf } from './network.ts';

const addresses = (...texts: string[]): Address[] => texts as Address[];

test('an on-link network is a /24 or a /64', () => {
  assert.deepEqual(
    addresses('192.0.2.11', 'fd00:2::11').map((a) => formatPrefix(networkOf(a))),
    ['192.0.2.0/24', 'fd00:2::/64'],
  );
});

test('the router takes the highest free address', () => {
  const [member, ...used] = addresses('192.0.2.11', '192.0.2.254', '192.0.2.253');
  assert.equal(freeAddress(networkOf(member as Address), new Set(used)), '192.0.2.252');
});

test('a range covers all addresses of its family and is no longer than a /24 or a /112', () => {
  const shown = (...texts: string[]) => coveringPrefixes(addresses(...texts)).map(formatPrefix);
  assert.deepEqual(shown('10.244.1.5', 'fd00:96::1', '10.244.3.99'), ['10.244.0.0/22', 'fd00:96::/112']);
  assert.deepEqual(shown('10.96.0.1'), ['10.96.0.0/24']);
  assert.deepEqual(shown('1.2.3.4', '200.2.3.4'), ['0.0.0.0/0']);
  assert.deepEqual(shown(), []);
});
