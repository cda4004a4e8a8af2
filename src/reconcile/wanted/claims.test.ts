import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '#lib/address.ts';
import { sampleFrontend, samplePlan, TCP, UDP } from '#support/sample-plans.ts';
import { createClaims, lossMessage } from './claims.ts';
import { frontendKeys, identityOf } from './keys.ts';

const SHARED = '203.0.113.1';
const born = (name: string, createdAt: string) => samplePlan(name, { createdAt, frontends: [sampleFrontend(SHARED)] });
const [key] = frontendKeys(born('x', ''), [sampleFrontend(SHARED)]);
assert.ok(key !== undefined);

const cases: readonly { readonly who: string; readonly claimants: readonly (readonly [string, string])[]; readonly winner: string }[] = [
  { who: 'the only one', claimants: [['a', '']], winner: 'a' },
  {
    who: 'the older one',
    claimants: [
      ['a', '2026-02-01T00:00:00Z'],
      ['b', '2026-01-01T00:00:00Z'],
    ],
    winner: 'b',
  },
  {
    who: 'the older one in another time zone',
    claimants: [
      ['a', '2026-01-01T00:00:00Z'],
      ['b', '2026-01-01T01:00:00+02:00'],
    ],
    winner: 'b',
  },
  {
    who: 'the one from the beginning of time',
    claimants: [
      ['a', '2026-01-01T00:00:00Z'],
      ['b', '1970-01-01T00:00:00Z'],
    ],
    winner: 'b',
  },
  {
    who: 'the one with an age',
    claimants: [
      ['a', ''],
      ['b', '2026-01-01T00:00:00Z'],
    ],
    winner: 'b',
  },
  {
    who: 'the first by name among equals',
    claimants: [
      ['b', ''],
      ['a', ''],
      ['c', ''],
    ],
    winner: 'a',
  },
];

for (const { who, claimants, winner } of cases) {
  test(`a frontend that ${claimants.length} want belongs to ${who}`, () => {
    const claims = createClaims();
    for (const [name, createdAt] of claimants) claims.replace(undefined, born(name, createdAt));
    assert.equal(claims.winner(key)?.name, winner);
  });
}

test('the message of the loser names the owner of a frontend, and whether age or name decided', () => {
  const told = (loser: string, winner: string): string =>
    lossMessage(key, born('b', loser), born('a', winner)).replace(/^.*keeps it, /, '');
  const [old, young] = ['1970-01-01T00:00:00Z', '2026-01-01T00:00:00Z'];
  assert.equal(
    lossMessage(key, born('b', young), born('a', old)),
    'Cannot give 203.0.113.1:80/TCP to Service "b": Service "a" keeps it, because it is older',
  );
  assert.equal(told('', young), 'because it is older');
  assert.equal(told(young, young), 'because their ages are equal and its name comes first');
  assert.equal(told('', ''), 'because their ages are equal and its name comes first');
});

test("a ClusterIP is its Service's, however old another is that names it as an external address [conflict-cluster-ip]", () => {
  const claims = createClaims();
  const owner = samplePlan('owner', {
    createdAt: '2026-02-01T00:00:00Z',
    clusterIPs: [SHARED as Address],
    frontends: [sampleFrontend(SHARED)],
  });
  const older = born('older', '2026-01-01T00:00:00Z');
  claims.replace(undefined, older);
  assert.deepEqual([...claims.replace(undefined, owner)].sort(), [identityOf(older), identityOf(owner)]);
  assert.equal(claims.winner(key), owner);
  assert.match(lossMessage(key, older, owner), /to Service "older": Service "owner" keeps it, because it is its ClusterIP$/);
});

test('when the winner goes, the waiting claimants are affected', () => {
  const claims = createClaims();
  const [old, young] = [born('old', '2026-01-01T00:00:00Z'), born('young', '2026-02-01T00:00:00Z')];
  claims.replace(undefined, old);
  assert.deepEqual([...claims.replace(undefined, young)], []);
  assert.deepEqual([...claims.replace(old, undefined)], [identityOf(young)]);
  assert.equal(claims.winner(key), young);
});

test('a frontend named twice in one plan is one claim', () => {
  const claims = createClaims();
  const twice = samplePlan('a', { frontends: [sampleFrontend(SHARED), sampleFrontend(SHARED)] });
  claims.replace(undefined, twice);
  claims.replace(twice, undefined);
  assert.equal(claims.winner(key), undefined);
});

test('one port in two protocols is two frontends', () => {
  const claims = createClaims();
  claims.replace(undefined, born('tcp', ''));
  claims.replace(undefined, { ...born('udp', ''), protocol: UDP });
  assert.equal(claims.winner({ ...key, protocol: UDP })?.name, 'udp');
  assert.equal(claims.winner({ ...key, protocol: TCP })?.name, 'tcp');
});
