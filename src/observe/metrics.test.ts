import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCounters } from './counters.ts';
import { createMetrics } from './metrics.ts';

function started() {
  const counters = createCounters();
  const outcomes: Record<string, number> = { packet_translated: 3 };
  const metrics = createMetrics({ counters, outcomes: () => outcomes });
  /** Values of a metric by what stands before them. */
  const valuesOf = async (name: string): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await metrics.text())
        .split('\n')
        .filter((line) => line.startsWith(name))
        .map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
    );
  return { counters, outcomes, metrics, valuesOf };
}

test('a pass is told for both families, as full or as partial, and changes wait until then', async () => {
  const { metrics, valuesOf } = started();
  for (const kind of ['Service', 'EndpointSlice', 'EndpointSlice', 'Node'] as const) metrics.changed(kind);
  metrics.queued();
  const [services, endpoints] = ['kubeproxy_sync_proxy_rules_service_changes', 'kubeproxy_sync_proxy_rules_endpoint_changes'];
  assert.deepEqual(await valuesOf(services), { _total: 1, _pending: 1 });
  assert.deepEqual(await valuesOf(endpoints), { _total: 2, _pending: 2 });
  metrics.passed(3, true);
  metrics.passed(3, false);
  metrics.passed(3, false);
  assert.deepEqual(await valuesOf(endpoints), { _total: 2, _pending: 0 });
  const each = (count: number) => ({ '{ip_family="IPv4"}': count, '{ip_family="IPv6"}': count });
  assert.deepEqual(await valuesOf('kubeproxy_sync_proxy_rules_duration_seconds_count'), each(3));
  assert.deepEqual(await valuesOf('kubeproxy_sync_full_proxy_rules_duration_seconds_count'), each(1));
  assert.deepEqual(await valuesOf('kubeproxy_sync_partial_proxy_rules_duration_seconds_sum'), each(0.006));
  const [at] = Object.values(await valuesOf('kubeproxy_sync_proxy_rules_last_timestamp_seconds'));
  const [queued] = Object.values(await valuesOf('kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds'));
  assert.ok(at !== undefined && queued !== undefined && queued > 1e9 && at >= queued, `${queued}, ${at}`);
});

test('counts keep growing from one reading to the next, whatever the number of readings', async () => {
  const { counters, outcomes, metrics, valuesOf } = started();
  counters.increment('source_problems', 'parse');
  counters.increment('deleted_conntrack_entries_of', 'IPv6');
  metrics.asked('/healthz', 503);
  metrics.asked('/elsewhere', 404);
  await metrics.text();
  counters.increment('source_problems', 'parse');
  outcomes.packet_translated = 5;
  assert.deepEqual(await valuesOf('weir_source_problems_total'), { '{reason="parse"}': 2 });
  assert.deepEqual(await valuesOf('kubeproxy_conntrack_reconciler_deleted_entries_total'), { '{ip_family="IPv6"}': 1 });
  assert.deepEqual(await valuesOf('weir_outcomes_total'), { '{outcome="packet_translated"}': 5 });
  assert.deepEqual(await valuesOf('kubeproxy_proxy_healthz_total'), { '{code="503"}': 1 });
  assert.deepEqual(await valuesOf('kubeproxy_proxy_livez_total'), {});
});
