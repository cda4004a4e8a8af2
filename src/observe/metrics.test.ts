import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCounters } from './counters.ts';
import { createMetrics } from './metrics.ts';
import type { PortSeries } from './own-metrics.ts';

function started(maxServices = 10) {
  const counters = createCounters();
  const outcomes: Record<string, number> = { packet_translated: 3 };
  const services: PortSeries[] = [];
  const sources = {
    counters,
    outcomes: () => outcomes,
    tables: () => ({ frontends: { entries: 5, limit: 100 } }),
    services: () => services,
    withoutLocal: () => [{ family: 6, policy: 'external' }] as const,
  };
  const metrics = createMetrics(sources, maxServices);
  /** Values of a metric by name and labels. */
  const valuesOf = async (name: string): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await metrics.text())
        .split('\n')
        .filter((line) => line.startsWith(name))
        .map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
    );
  return { counters, outcomes, services, metrics, valuesOf };
}

test('a pass counts for both families, as full or as partial, and ends the wait of changes', async () => {
  const { metrics, valuesOf } = started();
  for (const kind of ['Service', 'EndpointSlice', 'EndpointSlice', 'Node'] as const) metrics.changed(kind, 'shop/a');
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

test('counters increase from one scrape to the next, whatever the number of scrapes', async () => {
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

test('the time from the trigger of a change of endpoints counts after the pass, unless the trigger is older than the agent', async () => {
  const { metrics, valuesOf } = started();
  const counts = async () => valuesOf('kubeproxy_network_programming_duration_seconds_count');
  metrics.changed('EndpointSlice', 'shop/a', { family: 4, at: Date.now() - 3_600_000 });
  metrics.passed(1, true);
  assert.deepEqual(await counts(), {});
  metrics.changed('EndpointSlice', 'shop/a', { family: 6, at: Date.now() + 1 });
  assert.deepEqual(await counts(), {});
  metrics.passed(1, false);
  metrics.passed(1, false);
  assert.deepEqual(await counts(), { '{ip_family="IPv6"}': 1 });
  metrics.changed('EndpointSlice', 'shop/b', { family: 6, at: Date.now() + 1 });
  metrics.changed('EndpointSlice', 'shop/b');
  metrics.passed(1, false);
  assert.deepEqual(await counts(), { '{ip_family="IPv6"}': 1 }, 'a removed slice waits for no pass');
  assert.deepEqual(await valuesOf('weir_change_programming_duration_seconds_count'), { '': 3 });
});

test('policies without a local endpoint are counted by policy and family, and tables by name', async () => {
  const { valuesOf } = started();
  assert.deepEqual(await valuesOf('kubeproxy_sync_proxy_rules_no_local_endpoints_total'), {
    '{traffic_policy="internal",ip_family="IPv4"}': 0,
    '{traffic_policy="internal",ip_family="IPv6"}': 0,
    '{traffic_policy="external",ip_family="IPv4"}': 0,
    '{traffic_policy="external",ip_family="IPv6"}': 1,
  });
  assert.deepEqual(await valuesOf('weir_table_entries'), { '{table="frontends"}': 5 });
  assert.deepEqual(await valuesOf('weir_table_max_entries'), { '{table="frontends"}': 100 });
});

const count = (service: string, connections: number): PortSeries => ({
  ...{ namespace: 'shop', port: 'http', protocol: 'TCP', family: 4 as const },
  ...{ service, connections, refusals: 1 },
});

test('Service ports keep their series; a removed Service frees its series for another port', async () => {
  const { services, valuesOf } = started(2);
  const shown = async () =>
    Object.entries(await valuesOf('weir_service_connections_total')).map(([key, n]) => `${/service="(\w+)"/.exec(key)?.[1]} ${n}`);
  services.push(count('a', 1), count('b', 2));
  assert.deepEqual(await shown(), ['a 1', 'b 2']);
  services.splice(0, 2, count('new', 9), count('b', 5), count('a', 4));
  assert.deepEqual(await shown(), ['a 4', 'b 5']);
  assert.deepEqual(await valuesOf('weir_services_without_series'), { '': 1 });
  assert.deepEqual(await valuesOf('weir_service_refusals_total'), {
    '{namespace="shop",service="a",port="http",protocol="TCP",ip_family="IPv4"}': 1,
    '{namespace="shop",service="b",port="http",protocol="TCP",ip_family="IPv4"}': 1,
  });
  services.pop();
  assert.deepEqual(await shown(), ['b 5', 'new 9']);
});

test('unreadable values do not remove other metrics', async () => {
  const broken = (): never => {
    throw new Error('gone');
  };
  const sources = { counters: createCounters(), outcomes: broken, tables: broken, services: broken, withoutLocal: () => [] };
  const text = await createMetrics(sources, 1).text();
  assert.match(text, /^weir_unreadable_total 3$/m);
  assert.match(text, /^process_resident_memory_bytes [1-9]/m);
});
