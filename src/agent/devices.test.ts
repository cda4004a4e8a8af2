import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '#lib/address.ts';
import { attachableDevices, type DeviceFacts, localDevices } from './devices.ts';

const device = (ifindex: number, name: string, more: Partial<DeviceFacts> = {}): DeviceFacts => ({
  ifindex,
  name,
  kind: undefined,
  master: undefined,
  isLoopback: false,
  ...more,
});

const attachable = (devices: readonly DeviceFacts[], exclude: readonly string[]) =>
  attachableDevices(devices, { exclude, bridgesAskNetfilter: false });

test('a port of a bridge or bond is left to its master, loopback is left out', () => {
  const devices = [
    device(1, 'lo', { isLoopback: true }),
    device(2, 'eth0'),
    device(3, 'br0', { kind: 'bridge' }),
    device(4, 'veth1', { kind: 'veth', master: 3 }),
  ];
  assert.deepEqual([...attachable(devices, []).keys()], [2, 3]);
});

test('a port of a VRF is taken itself, because a VRF device runs no tc ingress', () => {
  const devices = [device(2, 'eth0', { master: 3 }), device(3, 'red', { kind: 'vrf' })];
  assert.deepEqual([...attachable(devices, []).keys()], [2]);
});

test('if bridges pass packets to netfilter their ports get programs too, ports of bonds do not', () => {
  const devices = [
    device(3, 'br0', { kind: 'bridge' }),
    device(4, 'veth1', { kind: 'veth', master: 3 }),
    device(5, 'bond0', { kind: 'bond' }),
    device(6, 'eth1', { master: 5 }),
  ];
  assert.deepEqual(
    [...attachableDevices(devices, { exclude: [], bridgesAskNetfilter: true })],
    [
      [3, 'own'],
      [4, 'port'],
      [5, 'own'],
    ],
  );
  assert.deepEqual(
    localDevices(devices, []).map((each) => each.bridge),
    [undefined, 'br0', undefined, undefined],
  );
});

test('devices can be excluded by a glob, whose other characters stand for themselves', () => {
  const devices = [device(2, 'eth0'), device(3, 'eth0.1'), device(4, 'eth0x1')];
  assert.deepEqual([...attachable(devices, ['eth0.*']).keys()], [2, 4]);
  assert.deepEqual([...attachable(devices, ['eth?']).keys()], [3, 4]);
});

test('an address that is not proven yet is left out, one that is deprecated comes last', () => {
  const address = (ifindex: number, text: string, more: { isTentative?: boolean; isDeprecated?: boolean } = {}) => ({
    ifindex,
    address: text as Address,
    isTentative: false,
    isDeprecated: false,
    ...more,
  });
  const addresses = [
    address(2, 'fd00::5', { isDeprecated: true }),
    address(2, 'fd00::1'),
    address(3, 'fd00::3', { isTentative: true }),
    address(2, 'fd00::2'),
  ];
  assert.deepEqual(
    localDevices([device(2, 'eth0'), device(3, 'eth1')], addresses).map((each) => each.addresses),
    [['fd00::1', 'fd00::2', 'fd00::5'], []],
  );
});
