import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  FRONTEND_DROP_LOCAL,
  FRONTEND_RANGES_ADMIT_NODE,
  FRONTEND_SOURCE_RANGES,
} from '#abi/generated.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { createFakeRuleset } from '#support/fake-ruleset.ts';
import { reconcilerOfRuleset } from '#support/reconciling.ts';
import { sampleBackend, sampleFrontend, samplePlan, UDP } from '#support/sample-plans.ts';
import { itemId } from '../ports/ruleset.ts';

test('a UDP port without an endpoint for the node is in the maps that refuse or drop its datagrams [udp-refusal]', () => {
  const ruleset = createFakeRuleset(0);
  const reconciler = reconcilerOfRuleset({ ruleset, now: () => 0 });
  const frontends = [
    sampleFrontend('172.30.0.1', { flags: FRONTEND_DROP_LOCAL, localSource: 'local' }),
    sampleFrontend('5.6.7.8', { outsideSource: 'local' }),
    sampleFrontend('0.0.0.0', { port: 30080 }),
    sampleFrontend('5.6.7.9', { flags: FRONTEND_SOURCE_RANGES }),
    sampleFrontend('5.6.7.10', { flags: FRONTEND_SOURCE_RANGES | FRONTEND_RANGES_ADMIT_NODE }),
  ];
  const held = (...backends: PortPlan['backends'][number][]): string[] => {
    const plan = samplePlan('t/dns:udp', { protocol: UDP, frontends, backends });
    reconciler.want(plan, plan);
    reconciler.flush(true);
    const unserved = [...ruleset.held.values()].filter((item) => item.kind === 'element' && item.verdict !== undefined);
    return unserved.map((item) => `${itemId(item)} -> ${'verdict' in item && item.verdict}`).sort();
  };
  const fromRanges = 'udp_unserved4 5.6.7.9 . 80 -> drop';
  assert.deepEqual(held(), [
    'udp_node_ports_unserved4 30080 -> refuse',
    'udp_unserved4 172.30.0.1 . 80 -> drop',
    'udp_unserved4 5.6.7.10 . 80 -> refuse',
    'udp_unserved4 5.6.7.8 . 80 -> refuse',
    fromRanges,
  ]);
  assert.deepEqual(held(sampleBackend('10.0.0.1')), ['udp_unserved4 172.30.0.1 . 80 -> drop', fromRanges]);
  assert.deepEqual(held(sampleBackend('10.0.0.1', BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST)), [fromRanges]);
});
