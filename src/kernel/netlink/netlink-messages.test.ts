import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLink, decodeLinkAddress, dumpRequest, RTM_GETLINK, splitMessages } from './netlink-messages.ts';

const bytes = (...parts: string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');

/** struct ifinfomsg: family, ARPHRD 1, index 7, IFF_UP | IFF_BROADCAST; then attributes: name, master 3, kind inside IFLA_LINKINFO. */
const VETH = bytes(
  '0000 0100 07000000 03100000 00000000',
  '0a00 0300 766574683000 0000',
  '0800 0a00 03000000',
  '1000 1200 0900 0100 7665746800 000000',
);

test('a device is read from its message', () => {
  assert.deepEqual(decodeLink(VETH), {
    ifindex: 7,
    name: 'veth0',
    kind: 'veth',

    master: 3,
    isUp: true,
    isLoopback: false,
  });
});

test('a device without master and kind has neither, and a cut-off attribute is left out', () => {
  const link = decodeLink(bytes('0000 0403 01000000 49000000 00000000', '0700 0300 6c6f00 00', 'ff00 0a00'));
  assert.deepEqual(link, { ifindex: 1, name: 'lo', kind: undefined, master: undefined, isUp: true, isLoopback: true });
});

test("of a point-to-point device's two addresses the local one counts", () => {
  const body = bytes('02 20 80 00 04000000', '0800 0100 0a000002', '0800 0200 0a000001', '0800 0800 80000000');
  assert.deepEqual(decodeLinkAddress(body), {
    ifindex: 4,
    address: '10.0.0.1',
    prefixLength: 32,
    scope: 'global',
    isTentative: false,
    isDeprecated: false,
    isSecondary: false,
  });
});

test('flags beyond eight bits come from their attribute', () => {
  const body = bytes('0a 40 00 fd 04000000', '1400 0100 fe800000000000000000000000000001', '0800 0800 61000000');
  const address = decodeLinkAddress(body);
  assert.equal(address?.address, 'fe80::1');
  assert.equal(address?.scope, 'link');
  assert.deepEqual([address?.isTentative, address?.isDeprecated, address?.isSecondary], [true, true, true]);
});

test('addresses of families other than IP are left out', () => {
  assert.equal(decodeLinkAddress(bytes('07 00 00 00 04000000', '0800 0100 0a000002')), undefined);
});

test('messages of a datagram are split, and a cut-off one ends it', () => {
  const datagram = bytes(
    '12000000 1000 0200 00000000 00000000 abcd 0000',
    '14000000 1400 0000 00000000 00000000 01020304',
    '20000000 1000',
  );
  const messages = [...splitMessages(datagram)].map(({ type, flags, body }) => ({ type, flags, body: body.toString('hex') }));
  assert.deepEqual(messages, [
    { type: 16, flags: 2, body: 'abcd' },
    { type: 20, flags: 0, body: '01020304' },
  ]);
  assert.deepEqual([...splitMessages(bytes('00000000 1000 0000 00000000 00000000'))], []);
});

test('a dump is asked for with REQUEST and DUMP', () => {
  assert.equal(dumpRequest(RTM_GETLINK).toString('hex'), `200000001200010300000000${'00'.repeat(20)}`);
});
