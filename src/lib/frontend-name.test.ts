import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from './address.ts';
import { frontendName } from './frontend-name.ts';

test('a NodePort frontend shows its family, other frontends show their address', () => {
  const name = (address: string, port: number, protocol: number): string => frontendName({ address: address as Address, port, protocol });
  assert.equal(name('203.0.113.1', 80, 6), '203.0.113.1:80/TCP');
  assert.equal(name('fd00::1', 53, 17), '[fd00::1]:53/UDP');
  assert.equal(name('0.0.0.0', 30080, 6), 'NodePort4:30080/TCP');
  assert.equal(name('::', 30080, 132), 'NodePort6:30080/SCTP');
  assert.equal(name('10.0.0.1', 1, 47), '10.0.0.1:1/47');
});
