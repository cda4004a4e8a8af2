import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, type Family, parseAddress } from '#lib/address.ts';
import { socketAddress } from './socket-address.ts';

const hex = (family: Family, address: string | undefined, port: number) =>
  socketAddress(family, address === undefined ? undefined : (parseAddress(address) as Address), port).toString('hex');

test('socket addresses have the layout of the kernel', () => {
  assert.equal(hex(4, '10.1.2.3', 80), '020000500a0102030000000000000000');
  assert.equal(hex(6, 'fd00::1', 8080), `0a001f9000000000fd00${'00'.repeat(13)}0100000000`);
  assert.equal(hex(6, undefined, 53), `0a000035${'00'.repeat(24)}`);
});

test('an IPv4 address of an IPv6 socket is mapped', () => {
  assert.equal(hex(6, '10.1.2.3', 80), `0a00005000000000${'00'.repeat(10)}ffff0a01020300000000`);
});
