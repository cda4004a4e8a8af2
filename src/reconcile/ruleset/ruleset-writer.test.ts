import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BACKEND_CLUSTER_LIST,
  BACKEND_LOCAL_LIST,
  DEVICE_PODS,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
} from '#abi/generated.ts';
import { type Address, type Prefix, parsePrefix } from '#lib/address.ts';
import type { PortPlan } from '#plan/port-plan.ts';
import { createFakeRuleset, type FakeRuleset } from '#support/fake-ruleset.ts';
import { type RulesetReconciler, reconcilerOfRuleset } from '#support/reconciling.ts';
import { sampleBackend, sampleFrontend, samplePlan } from '#support/sample-plans.ts';
import type { NodeFacts } from '../wanted/wanted-state.ts';

const SCTP = 132;

const sctpPlan = (name: string, fields: Partial<PortPlan> = {}): PortPlan =>
  samplePlan(name, { protocol: SCTP, backends: [sampleBackend('10.0.0.1'), sampleBackend('10.0.0.2')], ...fields });

function ground(faultRate = 0): { ruleset: FakeRuleset; reconciler: RulesetReconciler; clock: { now: number } } {
  const ruleset = createFakeRuleset(faultRate);
  const clock = { now: 0 };
  return { ruleset, clock, reconciler: reconcilerOfRuleset({ ruleset, now: () => clock.now }) };
}

/** What the kernel holds, a line for each item. */
const lines = ({ held }: FakeRuleset): string[] => {
  const texts = [...held.values()].map((item) => {
    if (item.kind === 'memory') return `memory ${item.name}`;
    if (item.kind === 'chain') return `chain ${item.name}: ${item.rules.map((rule) => rule.kind).join(' ')}`;
    const verdict = typeof item.verdict === 'object' ? item.verdict.chain : item.verdict;
    return `${item.set} ${item.key}${verdict === undefined ? '' : ` -> ${verdict}`}`;
  });
  return texts.sort();
};

/** Everything but the names that elements carry: of several Services with one ClusterIP the first is named. */
const contents = ({ held }: FakeRuleset): string[] => [...held.values()].map((item) => JSON.stringify({ ...item, comment: '' })).sort();

const want = (reconciler: RulesetReconciler, plan: PortPlan): void => reconciler.want(plan, plan);
const forget = (reconciler: RulesetReconciler, plan: PortPlan): void => reconciler.want(plan, undefined);

/** Flushes until nothing is pending. */
function settle({ reconciler, clock }: ReturnType<typeof ground>): void {
  for (let i = 0; i < 1000; i++) {
    let wait: number | undefined = 0;
    try {
      wait = reconciler.flush(true);
    } catch {
      // The loop tries again.
    }
    if (wait === undefined) return;
    clock.now += wait;
  }
  assert.fail('It never settles');
}

test('a ClusterIP is live as long as one port of its Service is there, whatever the protocol', () => {
  const { ruleset, reconciler } = ground();
  const [web, dns] = [samplePlan('t/web:http'), samplePlan('t/web:dns', { protocol: 17, backends: [sampleBackend('10.0.0.1')] })];
  want(reconciler, web);
  want(reconciler, dns);
  reconciler.flush(true);
  assert.deepEqual(lines(ruleset), ['cluster_ips4 172.30.0.1']);
  forget(reconciler, web);
  reconciler.flush(true);
  assert.deepEqual(lines(ruleset), ['cluster_ips4 172.30.0.1']);
  forget(reconciler, dns);
  reconciler.flush(true);
  assert.deepEqual(lines(ruleset), []);
});

test('an SCTP port has its frontends in the sets of both sides, and a chain for each list that is used', () => {
  const { ruleset, reconciler } = ground();
  const frontends = [
    sampleFrontend('172.30.0.1', { flags: FRONTEND_SNAT_OUTSIDE }),
    sampleFrontend('5.6.7.8', { flags: FRONTEND_SOURCE_RANGES | FRONTEND_DROP_OUTSIDE, outsideSource: 'local' }),
    sampleFrontend('0.0.0.0', { port: 30080, flags: FRONTEND_SNAT_LOCAL | FRONTEND_SNAT_OUTSIDE }),
  ];
  want(reconciler, sctpPlan('t/web:s', { frontends, sourceRanges: [parsePrefix('10.0.0.0/8') as Prefix] }));
  reconciler.flush(true);
  assert.deepEqual(lines(ruleset), [
    'chain cluster4/t/web/s: translate',
    'chain ranges4/t/web/s: admit',
    'cluster_ips4 172.30.0.1',
    'hairpin4 10.0.0.1 . 10.0.0.1',
    'hairpin4 10.0.0.2 . 10.0.0.2',
    'sctp_local4 172.30.0.1 . 80 -> cluster4/t/web/s',
    'sctp_local4 5.6.7.8 . 80 -> cluster4/t/web/s',
    'sctp_node_ports_local4 30080 -> cluster4/t/web/s',
    'sctp_node_ports_outside4 30080 -> cluster4/t/web/s',
    'sctp_outside4 172.30.0.1 . 80 -> cluster4/t/web/s',
    'sctp_outside4 5.6.7.8 . 80 -> drop',
    'sctp_ranged4 5.6.7.8 . 80 -> ranges4/t/web/s',
    'snat_local4 172.30.0.1 . 80 -> accept',
    'snat_local4 5.6.7.8 . 80 -> accept',
    'snat_node_ports_local4 30080 -> masquerade',
    'snat_node_ports_outside4 30080 -> masquerade',
    'snat_outside4 172.30.0.1 . 80 -> masquerade',
    'snat_outside4 5.6.7.8 . 80 -> accept',
  ]);
});

test('session affinity keeps a memory for each backend, which goes with it and stays when others change', () => {
  const { ruleset, reconciler } = ground();
  const both = BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST;
  const sticky = (...backends: string[]) =>
    sctpPlan('t/web', { affinitySeconds: 10, backends: backends.map((address) => sampleBackend(address, both)) });
  want(reconciler, sticky('10.0.0.1', '10.0.0.2'));
  reconciler.flush(true);
  const kept = ruleset.held.get('memory clients4/10.0.0.1_8080/t/web');
  assert.ok(kept !== undefined && ruleset.held.has('memory clients4/10.0.0.2_8080/t/web'));
  want(reconciler, sticky('10.0.0.1', '10.0.0.3'));
  reconciler.flush(true);
  assert.equal(ruleset.held.get('memory clients4/10.0.0.1_8080/t/web'), kept);
  assert.ok(!ruleset.held.has('memory clients4/10.0.0.2_8080/t/web'));
  assert.ok(ruleset.held.has('memory clients4/10.0.0.3_8080/t/web'));
});

test('the older Service keeps a frontend, the other gets it when that goes', () => {
  const { ruleset, reconciler } = ground();
  const shared = { frontends: [sampleFrontend('5.6.7.8')], clusterIPs: [] };
  const old = sctpPlan('t/old', { ...shared, createdAt: '2025-01-01T00:00:00Z' });
  want(reconciler, sctpPlan('t/young', shared));
  want(reconciler, old);
  reconciler.flush(true);
  assert.ok(lines(ruleset).includes('sctp_local4 5.6.7.8 . 80 -> cluster4/t/old'));
  forget(reconciler, old);
  reconciler.flush(true);
  assert.ok(lines(ruleset).includes('sctp_local4 5.6.7.8 . 80 -> cluster4/t/young'));
});

test('the size of a transaction depends on the change alone', () => {
  const { ruleset, reconciler } = ground();
  const numbered = (i: number, fields: Partial<PortPlan> = {}) =>
    sctpPlan(`t/s${i}`, { clusterIPs: [`172.30.${i >> 8}.${i & 255}` as Address], ...fields });
  for (let i = 0; i < 1000; i++) want(reconciler, numbered(i));
  reconciler.flush(true);
  ruleset.sizes.length = 0;
  want(reconciler, numbered(7, { backends: [sampleBackend('10.0.0.1')] }));
  reconciler.flush(true);
  want(reconciler, numbered(1000));
  reconciler.flush(true);
  want(reconciler, numbered(1000));
  reconciler.flush(true);
  assert.deepEqual(ruleset.sizes, [1, 6]);
});

test('the items of the node say where NodePorts answer, which sources are pods and which addresses belong to Services; no network appears twice', () => {
  const { ruleset, reconciler } = ground();
  const facts = {
    nodeAddresses: ['192.0.2.1', 'fd00::1'],
    localNets: ['10.1.0.0/16', '10.0.0.0/8', '10.0.0.0/8', 'fd00:1::/64'].map(parsePrefix),
    serviceCIDRs: ['172.30.0.0/24', '172.30.0.0/16'].map(parsePrefix),
    devices: [DEVICE_PODS, 0].map((flags, i) => ({ ifindex: 3 + i, flags })),
  };
  reconciler.wantNode(facts as unknown as NodeFacts);
  reconciler.flush(true);
  assert.deepEqual(lines(ruleset), [
    'local_nets4 10.0.0.0/8',
    'local_nets6 fd00:1::/64',
    'node_addresses4 192.0.2.1',
    'node_addresses6 fd00::1',
    'pod_devices 3',
    'service_cidrs4 172.30.0.0/16',
  ]);
});

test('one Service that nft refuses does not stop the others, is reported in one line, and is retried', () => {
  const { ruleset, reconciler, clock } = ground();
  ruleset.poison = '10.9.9.9';
  const bad = sctpPlan('t/bad', { clusterIPs: ['172.30.0.2' as Address], backends: [sampleBackend('10.9.9.9')] });
  for (const i of [3, 4, 5]) want(reconciler, sctpPlan(`t/s${i}`, { clusterIPs: [`172.30.0.${i}` as Address] }));
  want(reconciler, bad);
  assert.equal(reconciler.flush(true), 200);
  assert.deepEqual(
    reconciler.problems().map(({ port, message }) => `${port} ${message}`),
    ['t/bad Cannot program Service "t/bad" over IPv4 of table inet weir: nft refuses 10.9.9.9'],
  );
  assert.equal(lines(ruleset).filter((line) => line.startsWith('chain')).length, 3);
  want(reconciler, sctpPlan('t/s6', { clusterIPs: ['172.30.0.6' as Address] }));
  assert.equal(reconciler.flush(true), 200);
  assert.ok(ruleset.held.has('chain cluster4/t/s6'));
  clock.now += 200;
  assert.equal(reconciler.flush(true), 400);
  ruleset.poison = undefined;
  clock.now += 400;
  assert.equal(reconciler.flush(true), undefined);
  assert.ok(ruleset.held.has('chain cluster4/t/bad'));
  assert.deepEqual(reconciler.problems(), []);
});

test('a Service that loses a frontend to one that nft refuses goes on with its other ones', () => {
  const { ruleset, reconciler } = ground();
  ruleset.poison = '10.9.9.9';
  const frontends = [sampleFrontend('5.6.7.8'), sampleFrontend('5.6.7.9')];
  want(reconciler, sctpPlan('t/young', { frontends, clusterIPs: [] }));
  reconciler.flush(true);
  const backends = [sampleBackend('10.9.9.9')];
  want(reconciler, sctpPlan('t/bad', { frontends: frontends.slice(1), clusterIPs: [], backends, createdAt: '2025-01-01T00:00:00Z' }));
  reconciler.flush(true);
  assert.deepEqual(
    reconciler.problems().map(({ port }) => port),
    ['t/bad'],
  );
  assert.deepEqual(
    lines(ruleset).filter((line) => line.startsWith('sctp_local4')),
    ['sctp_local4 5.6.7.8 . 80 -> cluster4/t/young'],
  );
});

test("an earlier agent's table stays until the wanted state is complete", () => {
  const { ruleset, reconciler } = ground();
  const before = sctpPlan('t/before');
  ruleset.install([]);
  want(reconciler, before);
  reconciler.flush(false);
  assert.deepEqual(lines(ruleset), []);
  reconciler.flush(true);
  assert.ok(ruleset.held.has('chain cluster4/t/before'));
});

test('without a table it is installed at once, and again after it was removed', () => {
  const { ruleset, reconciler } = ground();
  want(reconciler, sctpPlan('t/web'));
  reconciler.flush(false);
  const whole = lines(ruleset);
  assert.ok(whole.length > 0);
  ruleset.flush();
  want(reconciler, sctpPlan('t/meanwhile', { clusterIPs: ['172.30.0.9' as Address] }));
  reconciler.flush(true);
  assert.deepEqual(reconciler.problems(), []);
  forget(reconciler, sctpPlan('t/meanwhile'));
  reconciler.install();
  assert.deepEqual(lines(ruleset), whole);
});

const arbitraryPlan = fc
  .record({
    name: fc.constantFrom('t/a', 't/b:x', 't/c:y'),
    family: fc.constant(4 as const),
    protocol: fc.constantFrom(SCTP, SCTP, 6),
    createdAt: fc.constantFrom('2025-01-01T00:00:00Z', '2026-01-01T00:00:00Z'),
    clusterIPs: fc.subarray(['172.30.0.1', '172.30.0.2'] as Address[]),
    backends: fc
      .subarray(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
      .map((addresses) => addresses.map((address, i) => sampleBackend(address, 1 + (i % 3)))),
    frontends: fc
      .subarray(['172.30.0.1', '5.6.7.8', '0.0.0.0'])
      .chain((addresses) =>
        fc
          .record({ flags: fc.constantFrom(0, 3, 8, 16), outsideSource: fc.constantFrom('cluster' as const, 'local' as const) })
          .map((fields) => addresses.map((address) => sampleFrontend(address, fields))),
      ),
    sourceRanges: fc.constant([parsePrefix('10.0.0.0/8') as Prefix]),
    affinitySeconds: fc.constantFrom(0, 10),
  })
  .map((plan): PortPlan => plan);

const arbitraryStep = fc.record({
  plan: arbitraryPlan,
  isGone: fc.boolean(),
  flush: fc.boolean(),
  isRemoved: fc.constantFrom(false, false, false, true),
});

test('whatever changes and fails, the kernel ends with what one installation of the last state would hold', () => {
  fc.assert(
    fc.property(fc.array(arbitraryStep, { maxLength: 20 }), (steps) => {
      const one = ground(0.3);
      const last = new Map<string, PortPlan>();
      settle(one);
      for (const { plan, isGone, flush, isRemoved } of steps) {
        one.reconciler.want(plan, isGone ? undefined : plan);
        if (isGone) last.delete(plan.name);
        else last.set(plan.name, plan);
        if (flush) one.reconciler.flush(true);
        if (!isRemoved) continue;
        one.ruleset.flush();
        one.ruleset.faultRate = 0;
        one.reconciler.install();
        one.ruleset.faultRate = 0.3;
      }
      settle(one);
      const other = ground();
      for (const plan of last.values()) want(other.reconciler, plan);
      other.reconciler.flush(true);
      assert.deepEqual(contents(one.ruleset), contents(other.ruleset));
      assert.deepEqual(one.reconciler.problems(), []);
    }),
    { numRuns: 500 },
  );
});
