import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeRuleset } from '#support/fake-ruleset.ts';
import { reconcilerOfRuleset } from '#support/reconciling.ts';
import { sampleBackend, samplePlan } from '#support/sample-plans.ts';

const REFUSED = '10.9.9.9';

test('a Service that nft refuses waits for its retry, however often it changes', () => {
  const ruleset = createFakeRuleset(0);
  ruleset.poison = REFUSED;
  const clock = { now: 0 };
  const reconciler = reconcilerOfRuleset({ ruleset, now: () => clock.now });
  const change = (i: number): void => {
    const plan = samplePlan('t/bad', { protocol: 132, backends: [sampleBackend(REFUSED), sampleBackend(`10.0.0.${i}`)] });
    reconciler.want(plan, plan);
  };
  change(0);
  assert.equal(reconciler.flush(true), 200);
  for (let i = 1; i <= 10; i++) {
    clock.now += 10;
    change(i);
    assert.equal(reconciler.flush(true), 200 - clock.now);
  }
  clock.now = 200;
  assert.equal(reconciler.flush(true), 400);
});
