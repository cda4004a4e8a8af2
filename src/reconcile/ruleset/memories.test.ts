import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { createFakeRuleset } from '#support/fake-ruleset.ts';
import { reconcilerOfRuleset } from '#support/reconciling.ts';
import { sampleBackend, samplePlan } from '#support/sample-plans.ts';
import { MAX_MEMORIES } from './memories.ts';

/** A Service over SCTP with an address and so many endpoints of its own. */
function plan(name: 'a' | 'b' | 'c', count: number, affinitySeconds = 10): PortPlan {
  const backends = Array.from({ length: count }, (_, i) => sampleBackend(`10.${name.charCodeAt(0)}.${i >> 8}.${i & 255}`));
  const clusterIPs = [`172.30.0.${name.charCodeAt(0)}` as Address];
  return samplePlan(`t/${name}`, { protocol: 132, clusterIPs, backends, affinitySeconds });
}

test("session affinity goes by a hash of the client's address where a set for each endpoint does not fit, until it does", () => {
  const ruleset = createFakeRuleset(0);
  const reconciler = reconcilerOfRuleset({ ruleset, now: () => 0 });
  const chosenBy = (name: string) => {
    const chain = ruleset.held.get(`chain cluster4/t/${name}`);
    return chain?.kind === 'chain' ? chain.rules.map((rule) => (rule.kind === 'translate' ? rule.by : rule.kind)).at(-1) : undefined;
  };
  const programmed = (...plans: PortPlan[]): (string | undefined)[] => {
    for (const one of plans) reconciler.want(one, one.backends.length > 0 ? one : undefined);
    reconciler.flush(true);
    return ['a', 'b', 'c'].map(chosenBy);
  };
  assert.deepEqual(programmed(plan('a', 300), plan('b', 201), plan('c', 200)), ['choose', 'source', 'choose']);
  assert.equal([...ruleset.held.values()].filter(({ kind }) => kind === 'memory').length, MAX_MEMORIES);
  assert.deepEqual(
    reconciler.problems().map(({ port, code, message }) => [port, code, message]),
    [
      [
        't/b',
        'full',
        'Cannot remember clients of Service "t/b" over IPv4: table inet weir has room for the clients of 500 endpoints; a hash of the client\'s address chooses until there is room',
      ],
    ],
  );
  assert.deepEqual(programmed(plan('c', 200, 0)), ['choose', 'source', 'chance']);
  assert.deepEqual(programmed(plan('a', 299)), ['choose', 'choose', 'chance']);
  assert.deepEqual(reconciler.problems(), []);
  assert.deepEqual(programmed(plan('a', 300)), ['source', 'choose', 'chance']);
  assert.deepEqual(programmed(plan('b', 0)), ['choose', undefined, 'chance']);
});

test('a Service that waits for room for its clients gets it before a Service that comes later', () => {
  const reconciler = reconcilerOfRuleset({ ruleset: createFakeRuleset(0), now: () => 0 });
  const [first, waiting, late] = [plan('a', MAX_MEMORIES), plan('b', MAX_MEMORIES), plan('c', MAX_MEMORIES)];
  reconciler.want(first, first);
  reconciler.want(waiting, waiting);
  reconciler.flush(true);
  reconciler.want(first, undefined);
  reconciler.want(late, late);
  reconciler.flush(true);
  assert.deepEqual(
    reconciler.problems().map(({ port }) => port),
    ['t/c'],
  );
});
