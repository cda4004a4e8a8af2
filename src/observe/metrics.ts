import { Counter, exponentialBuckets, Gauge, Histogram, linearBuckets, Registry } from 'prom-client';
import type { Family } from '#lib/address.ts';
import type { ModelKind } from '#model/objects.ts';
import { type Readings, showReadings } from './own-metrics.ts';

/** The event that caused a change of endpoints, such as a pod that became ready: its time (ms since 1970) and family. */
export interface Trigger {
  readonly family: Family;
  readonly at: number;
}

/** Metrics for Prometheus: kube-proxy's names and meanings (pkg/proxy/metrics/metrics.go), and weir's own with the prefix `weir_`. */
export interface Metrics {
  /** A source reported a changed or removed object; a removal has no trigger. */
  changed(kind: ModelKind, key: string, trigger?: Trigger): void;
  /** A change waits for the next pass. */
  queued(): void;
  /** A pass ended after `ms`. `isFull`: it compared everything, not only changes. */
  passed(ms: number, isFull: boolean): void;
  /** A search for stale conntrack entries ended after `ms`. */
  lookedForStaleFlows(ms: number): void;
  /** A request for `/healthz` or `/livez` got this status. */
  asked(path: string, status: number): void;
  /** All metrics in Prometheus' text format, version 0.0.4. */
  text(): Promise<string>;
}

interface Sources extends Readings {
  /** Service ports with policy Local and endpoints on other nodes only. */
  withoutLocal(): readonly { readonly family: Family; readonly policy: 'internal' | 'external' }[];
}

/** Every pass serves both families, so both have the same values. */
const FAMILIES = ['IPv4', 'IPv6'] as const;

/** kube-proxy's buckets, s. */
const NETWORK_PROGRAMMING_BUCKETS = [
  ...linearBuckets(0.25, 0.25, 2),
  ...linearBuckets(1, 1, 59),
  ...linearBuckets(60, 5, 12),
  ...linearBuckets(120, 30, 7),
];

/** Metrics with the value 0. Labels come from small fixed sets, except for `maxServices` Service ports. */
export function createMetrics(sources: Sources, maxServices: number): Metrics {
  const registry = new Registry();
  const make = makersFor(registry);
  const passes = make.durations('sync_proxy_rules_duration_seconds', 'Duration of a pass that writes the wanted state to the kernel');
  const full = make.durations('sync_full_proxy_rules_duration_seconds', 'Duration of a pass that compares everything');
  const partial = make.durations('sync_partial_proxy_rules_duration_seconds', 'Duration of a pass that writes only changes');
  const looks = make.durations('conntrack_reconciler_sync_duration_seconds', 'Duration of a search for stale conntrack entries');
  const passedAt = make.times(
    'sync_proxy_rules_last_timestamp_seconds',
    'Time of the last pass that brought the kernel to the wanted state',
  );
  const queuedAt = make.times('sync_proxy_rules_last_queued_timestamp_seconds', 'Time of the last change that required a pass');
  const services = make.changes('sync_proxy_rules_service_changes', 'Changes of Services');
  const endpoints = make.changes('sync_proxy_rules_endpoint_changes', 'Changes of EndpointSlices');
  const asked = { '/healthz': make.answers('proxy_healthz_total'), '/livez': make.answers('proxy_livez_total') } as Record<string, Counter>;
  const programming = new Histogram({
    ...make.of(
      'network_programming_duration_seconds',
      'Time from the event that caused a change of endpoints until this node has applied the change',
      'ip_family',
    ),
    buckets: NETWORK_PROGRAMMING_BUCKETS,
  });
  const reaction = new Histogram({
    name: 'weir_change_programming_duration_seconds',
    help: 'Time from the arrival of a change until the kernel has it',
    buckets: exponentialBuckets(0.0001, 2, 18),
    registers: [registry],
  });
  const readings = [...showReadings(registry, sources, maxServices), showWithoutLocal(make, sources)];
  const startedAt = Date.now();
  /** First trigger of each slice since the last pass. */
  const triggers = new Map<string, Trigger>();
  const unreadable = new Counter({
    name: 'weir_unreadable_total',
    help: 'Failed reads of values from the kernel',
    registers: [registry],
  });
  let arrivedAt: number | undefined;
  return {
    changed(kind, key, trigger) {
      arrivedAt ??= performance.now();
      // Events before the start of the agent do not measure it (kube-proxy: trackerStartTime)
      if (trigger !== undefined && trigger.at > startedAt && !triggers.has(key)) triggers.set(key, trigger);
      if (kind === 'EndpointSlice' && trigger === undefined) triggers.delete(key);
      if (kind === 'Service') services.one();
      if (kind === 'EndpointSlice') endpoints.one();
    },
    queued: queuedAt,
    passed(ms, isFull) {
      for (const observe of [passes, isFull ? full : partial]) observe(ms);
      passedAt();
      services.done();
      endpoints.done();
      for (const { family, at } of triggers.values()) programming.observe({ ip_family: `IPv${family}` }, (Date.now() - at) / 1000);
      triggers.clear();
      if (arrivedAt !== undefined) reaction.observe((performance.now() - arrivedAt) / 1000);
      arrivedAt = undefined;
    },
    lookedForStaleFlows: looks,
    asked: (path, status) => asked[path]?.inc({ code: String(status) }),
    async text() {
      for (const read of readings) {
        try {
          read();
        } catch {
          unreadable.inc();
        }
      }
      return registry.metrics();
    },
  };
}

function makersFor(registry: Registry) {
  const of = <L extends string>(name: string, help: string, ...labelNames: L[]) => ({
    name: `kubeproxy_${name}`,
    help,
    labelNames,
    registers: [registry],
  });
  return {
    of,
    durations(name: string, help: string): (ms: number) => void {
      const histogram = new Histogram({ ...of(name, help, 'ip_family'), buckets: exponentialBuckets(0.001, 2, 15) });
      return (ms) => {
        for (const ip_family of FAMILIES) histogram.observe({ ip_family }, ms / 1000);
      };
    },
    times(name: string, help: string): () => void {
      const gauge = new Gauge(of(name, help, 'ip_family'));
      return () => {
        for (const ip_family of FAMILIES) gauge.set({ ip_family }, Date.now() / 1000);
      };
    },
    changes(name: string, help: string): { one(): void; done(): void } {
      const [total, pending] = [new Counter(of(`${name}_total`, help)), new Gauge(of(`${name}_pending`, `${help} that wait for a pass`))];
      return {
        one() {
          total.inc();
          pending.inc();
        },
        done: () => pending.set(0),
      };
    },
    answers: (name: string): Counter => new Counter(of(name, 'Answers by HTTP status code', 'code')),
  };
}

function showWithoutLocal({ of }: ReturnType<typeof makersFor>, { withoutLocal }: Sources): () => void {
  const name = 'sync_proxy_rules_no_local_endpoints_total';
  const gauge = new Gauge(of(name, 'Service ports with policy Local and endpoints on other nodes only', 'traffic_policy', 'ip_family'));
  return () => {
    for (const traffic_policy of ['internal', 'external']) for (const ip_family of FAMILIES) gauge.set({ traffic_policy, ip_family }, 0);
    for (const { family, policy } of withoutLocal()) gauge.inc({ traffic_policy: policy, ip_family: `IPv${family}` });
  };
}
