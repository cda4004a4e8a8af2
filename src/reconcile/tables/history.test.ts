import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BACKEND_CLUSTER_LIST, BACKEND_LOCAL_LIST, DEVICE_PODS, FRONTEND_SOURCE_RANGES } from '#abi/generated.ts';
import { type Address, type Prefix, ZERO_ADDRESS } from '#lib/address.ts';
import type { PlannedBackend, PortPlan } from '#plan/port-plan.ts';
import { Crash, createFakeTables, type FakeTables } from '#support/fake-tables.ts';
import { reconcilerOfTables, type TablesReconciler } from '#support/reconciling.ts';
import { sampleFrontend, samplePlan, TCP, UDP } from '#support/sample-plans.ts';
import { readerOf } from '#support/table-reader.ts';
import { SLOW_MS, WriteWatcher } from '#support/write-watcher.ts';
import type { NodeFacts } from '../wanted/wanted-state.ts';
import { REST_MS } from './state.ts';

/*
 * Any history of plans, faults, pauses and kills ends in the same tables as the last plans alone, and after every single write of
 * it each frontend leads to living backends of its own Service port.
 */

type Deed =
  | { readonly do: 'want'; readonly plan: PortPlan }
  | { readonly do: 'drop'; readonly name: string }
  | { readonly do: 'node'; readonly facts: NodeFacts }
  | { readonly do: 'flush' }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'kill'; readonly afterWrites: number };

const NAMES = ['a/one:http', 'a/two', 'b/one:dns', 'c/four'];
const CLUSTER_IPS = ['172.30.0.1', '172.30.0.2', '172.30.0.3'] as Address[];
const OUTER = [...CLUSTER_IPS, '203.0.113.1', ZERO_ADDRESS[4]] as Address[];
const ENDPOINTS = Array.from({ length: 7 }, (_, i) => `10.0.0.${i + 1}` as Address);

/** In the order that PortPlan asks for: cluster only, both, local only. */
const backendsOf = (flags: readonly number[]): PlannedBackend[] =>
  [BACKEND_CLUSTER_LIST, BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST, BACKEND_LOCAL_LIST].flatMap((wanted) =>
    flags.flatMap((flag, i) => (flag === wanted ? [{ address: ENDPOINTS[i] as Address, port: 8080, flags: flag }] : [])),
  );

const prefix = fc.constantFrom<Prefix>(
  { address: '192.168.0.0' as Address, length: 24 },
  { address: '192.168.0.0' as Address, length: 16 },
  { address: '203.0.113.0' as Address, length: 25 },
);

const list = fc.constantFrom('cluster' as const, 'local' as const);

const plan = fc
  .record({
    name: fc.constantFrom(...NAMES),
    protocol: fc.constantFrom(TCP, TCP, TCP, UDP),
    createdAt: fc.constantFrom('2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z', ''),
    clusterIPs: fc.subarray(CLUSTER_IPS, { maxLength: 2 }),
    flags: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: ENDPOINTS.length, maxLength: ENDPOINTS.length }),
    outer: fc.uniqueArray(
      fc.record({ address: fc.constantFrom(...OUTER), port: fc.constantFrom(80, 443), localSource: list, outsideSource: list }),
      {
        selector: ({ address, port }) => `${address} ${port}`,
        maxLength: 5,
      },
    ),
    sourceRanges: fc.uniqueArray(prefix, { maxLength: 2 }),
    affinitySeconds: fc.constantFrom(0, 0, 10800),
  })
  .map(({ flags, outer, ...fields }): PortPlan => {
    const frontendFlags = fields.sourceRanges.length > 0 ? FRONTEND_SOURCE_RANGES : 0;
    const frontends = outer.map((frontend) => sampleFrontend(frontend.address, { ...frontend, flags: frontendFlags }));
    return samplePlan(fields.name, { ...fields, backends: backendsOf(flags), frontends });
  });

const facts = fc
  .record({
    heldAddresses: fc.subarray([...CLUSTER_IPS.slice(0, 2)]),
    nodeAddresses: fc.subarray([...CLUSTER_IPS.slice(0, 1), '192.168.0.2' as Address]),
    localNets: fc.uniqueArray(prefix, { maxLength: 2 }),
    serviceCIDRs: fc.uniqueArray(prefix, { maxLength: 2 }),
    ifindexes: fc.uniqueArray(fc.integer({ min: 1, max: 3 })),
    flags: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ ifindexes, flags, ...fields }): NodeFacts => {
    const snat = { snat4: '192.168.0.2' as Address, snat6: ZERO_ADDRESS[6] };
    return {
      ...fields,
      devices: ifindexes.map((ifindex) => ({ ifindex, ...snat, flags: DEVICE_PODS })),
      settings: { nodeNetnsCookie: 7n, flags, conntrackMark: 2, ...snat },
    };
  });

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 6, arbitrary: plan.map((wanted): Deed => ({ do: 'want', plan: wanted })) },
  { weight: 2, arbitrary: fc.constantFrom(...NAMES).map((name): Deed => ({ do: 'drop', name })) },
  { weight: 1, arbitrary: facts.map((wanted): Deed => ({ do: 'node', facts: wanted })) },
  { weight: 5, arbitrary: fc.constant<Deed>({ do: 'flush' }) },
  { weight: 2, arbitrary: fc.constantFrom(10, 300, SLOW_MS, REST_MS).map((ms): Deed => ({ do: 'wait', ms })) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 40 }).map((afterWrites): Deed => ({ do: 'kill', afterWrites })) },
);

/** An agent's life on one set of tables, watched at every write. */
class Life {
  readonly tables: FakeTables;
  readonly plans = new Map<string, PortPlan>();
  facts: NodeFacts | undefined;
  now = 0;
  reconciler: TablesReconciler;
  readonly #watcher: WriteWatcher;

  constructor(seed: number) {
    this.tables = createFakeTables({ seed, limits: { slots: 120, backends: 100, services: 40 } });
    this.#watcher = new WriteWatcher({ tables: this.tables, wanted: () => this.plans.values(), now: () => this.now });
    this.reconciler = reconcilerOfTables({ tables: this.tables, now: () => this.now });
  }

  run(deed: Deed): void {
    if (deed.do === 'want') this.#want(deed.plan.name, deed.plan);
    else if (deed.do === 'drop') this.#want(deed.name, undefined);
    else if (deed.do === 'wait') this.now += deed.ms;
    else if (deed.do === 'flush') this.reconciler.flush();
    else if (deed.do === 'node') this.#wantNode(deed.facts);
    else this.#kill(deed.afterWrites);
  }

  /** No more faults; flushes until nothing is pending. */
  heal(): void {
    this.tables.faultRate = 0;
    this.reconciler.prune();
    for (let round = 0; round < 20; round++) {
      const { pending, retryInMs } = this.reconciler.flush();
      if (pending === 0) break;
      this.now += retryInMs ?? 0;
    }
    assert.deepEqual(
      this.reconciler.problems().filter((problem) => problem.code !== 'conflict'),
      [],
    );
    this.now += REST_MS;
    assert.deepEqual(this.reconciler.flush().writes, {});
  }

  #want(name: string, wanted: PortPlan | undefined): void {
    if (wanted === undefined) this.plans.delete(name);
    else this.plans.set(name, wanted);
    this.reconciler.want({ name, family: 4 }, wanted);
    this.#watcher.wantedChanged();
  }

  #wantNode(wanted: NodeFacts): void {
    this.facts = wanted;
    this.reconciler.wantNode(wanted);
  }

  #kill(afterWrites: number): void {
    this.tables.crashAfter(afterWrites);
    try {
      this.reconciler.flush();
    } catch (error) {
      assert.ok(error instanceof Crash);
    }
    this.tables.crashAfter(undefined);
    this.#watcher.forgetSlowPrograms();
    this.reconciler = reconcilerOfTables({ tables: this.tables, now: () => this.now });
    this.reconciler.adopt();
    for (const wanted of this.plans.values()) this.reconciler.want(wanted, wanted);
    if (this.facts !== undefined) this.reconciler.wantNode(this.facts);
    this.reconciler.flush();
    this.reconciler.prune();
  }
}

/** Tables of a reconciler that only ever wanted the last plans. */
function writtenAtOnce({ plans, facts: wanted }: Life): { readonly meaning: unknown; readonly usage: unknown } {
  const tables = createFakeTables({ faultRate: 0 });
  const reconciler = reconcilerOfTables({ tables, now: () => 0 });
  for (const one of plans.values()) reconciler.want(one, one);
  if (wanted !== undefined) reconciler.wantNode(wanted);
  reconciler.flush();
  return { meaning: readerOf(tables).meaning(), usage: reconciler.usage() };
}

test('any history ends in the tables of its last plans, and no step of it misleads a client', () => {
  fc.assert(
    fc.property(fc.array(deed, { minLength: 1, maxLength: 30 }), fc.integer({ min: 1, max: 1 << 30 }), (deeds, seed) => {
      const life = new Life(seed);
      for (const one of deeds) life.run(one);
      life.heal();
      const expected = writtenAtOnce(life);
      assert.deepEqual(readerOf(life.tables).meaning(), expected.meaning);
      assert.deepEqual(life.reconciler.usage(), expected.usage);
    }),
    { numRuns: Number(process.env.WEIR_RUNS ?? 150) },
  );
});
