/** Heap of the wanted state and its writers with 10,000 Services of 10 endpoints, without the plans. Run with `node --expose-gc`. */
import type { Address } from '#lib/address.ts';
import { createReconciler } from '#reconcile/reconciler.ts';
import { createRulesetWriter } from '#reconcile/ruleset/ruleset-writer.ts';
import { createTablesWriter } from '#reconcile/tables/tables-writer.ts';
import { createWantedState } from '#reconcile/wanted/wanted-state.ts';
import { sampleBackend, samplePlan } from '#support/sample-plans.ts';

const [SERVICES, ENDPOINTS] = [10_000, 10];

const plans = Array.from({ length: SERVICES }, (_, i) => {
  const place = `${i >> 8}.${i & 255}`;
  const backends = Array.from({ length: ENDPOINTS }, (__, e) => sampleBackend(`10.${16 + e}.${place}`));
  return samplePlan(`t/s${i}:http`, { clusterIPs: [`10.96.${place}` as Address], backends });
});

function heapBytes(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  return process.memoryUsage().heapUsed;
}

const before = heapBytes();
const now = (): number => 0;
const wanted = createWantedState();
const tables = createTablesWriter({ tables: { dump: () => [], put() {}, remove() {}, limit: () => 1 << 20 }, wanted, now });
const ruleset = createRulesetWriter({ ruleset: { install() {}, change() {}, isThere: () => true }, wanted, keepsEarlierTable: true, now });
const reconciler = createReconciler({ wanted, writers: [tables, ruleset], now });
for (const plan of plans) wanted.want(plan.name.replace(/:.*/, ''), { plans: [plan], healthChecks: [] });
const megabytes = (): string => ((heapBytes() - before) / 1e6).toFixed(1);
console.log(`${SERVICES} Services, ${ENDPOINTS} endpoints each: wanted ${megabytes()} MB`);
reconciler.prune();
console.log(`and written ${megabytes()} MB, ${reconciler.problems().length} problems`);
