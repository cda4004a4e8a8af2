import { Counter, exponentialBuckets, Gauge, Histogram, linearBuckets, Registry } from 'prom-client';
import type { Family } from '#lib/address.ts';
import type { ModelKind } from '#model/objects.ts';
import { type Readings, showReadings } from './own-metrics.ts';

/** What led to a change of endpoints, such as a pod that became ready: when, in ms since 1970, and in which family. */
export interface Trigger {
  readonly family: Family;
  readonly at: number;
}

/** Numbers for Prometheus: kube-proxy's names and meanings (pkg/proxy/metrics/metrics.go), and ours with the prefix `weir_`. */
export interface Metrics {
  /** A source said something new of an object, or that it is gone, which has no trigger. */
  changed(kind: ModelKind, key: string, trigger?: Trigger): void;
  /** The kernel has to learn of something. */
  queued(): void;
  /** It has, in so many ms; `isFull`: everything was compared, not only what had changed. */
  passed(ms: number, isFull: boolean): void;
  /** Stale conntrack entries were looked for, in so many ms. */
  lookedForStaleFlows(ms: number): void;
  /** Somebody asked for `/healthz` or `/livez` and got this status. */
  asked(path: string, status: number): void;
  /** All of it in Prometheus' text format, version 0.0.4. */
  text(): Promise<string>;
}

interface Sources extends Readings {
  /** Service ports with an endpoint, but none on this node, where their policy wants one. */
  withoutLocal(): readonly { readonly family: Family; readonly policy: 'internal' | 'external' }[];
}

/** Every pass serves both families at once, so both tell the same of it. */
const FAMILIES = ['IPv4', 'IPv6'] as const;

/** s, of kube-proxy. */
const NETWORK_PROGRAMMING_BUCKETS = [
  ...linearBuckets(0.25, 0.25, 2),
  ...linearBuckets(1, 1, 59),
  ...linearBuckets(60, 5, 12),
  ...linearBuckets(120, 30, 7),
];

/** Everything is 0. Labels come from small fixed sets, but for `maxServices` Service ports. */
export function createMetrics(sources: Sources, maxServices: number): Metrics {
  const registry = new Registry();
  const make = makersFor(registry);
  const passes = make.durations('sync_proxy_rules_duration_seconds', 'Time to bring the kernel to the wanted state');
  const full = make.durations('sync_full_proxy_rules_duration_seconds', 'The same where everything was compared');
  const partial = make.durations('sync_partial_proxy_rules_duration_seconds', 'The same where only changes were written');
  const looks = make.durations('conntrack_reconciler_sync_duration_seconds', 'Time to look for stale conntrack entries');
  const passedAt = make.times('sync_proxy_rules_last_timestamp_seconds', 'The last time the kernel was as wanted');
  const queuedAt = make.times('sync_proxy_rules_last_queued_timestamp_seconds', 'The last time something had to be written');
  const services = make.changes('sync_proxy_rules_service_changes', 'Changes of Services');
  const endpoints = make.changes('sync_proxy_rules_endpoint_changes', 'Changes of EndpointSlices');
  const asked = { '/healthz': make.answers('proxy_healthz_total'), '/livez': make.answers('proxy_livez_total') } as Record<string, Counter>;
  const programming = new Histogram({
    ...make.of(
      'network_programming_duration_seconds',
      'Time from what led to a change of endpoints until this node follows it',
      'ip_family',
    ),
    buckets: NETWORK_PROGRAMMING_BUCKETS,
  });
  const reaction = new Histogram({
    name: 'weir_change_programming_duration_seconds',
    help: 'Time from the arrival of a change until the kernel follows it',
    buckets: exponentialBuckets(0.0001, 2, 18),
    registers: [registry],
  });
  const readings = [...showReadings(registry, sources, maxServices), showWithoutLocal(make, sources)];
  const startedAt = Date.now();
  /** What the kernel does not follow yet, by slice: of several changes the first counts. */
  const triggers = new Map<string, Trigger>();
  const unreadable = new Counter({
    name: 'weir_unreadable_total',
    help: 'Numbers that could not be read from the kernel when somebody asked',
    registers: [registry],
  });
  let arrivedAt: number | undefined;
  return {
    changed(kind, key, trigger) {
      arrivedAt ??= performance.now();
      // What happened before the agent started says nothing about it (kube-proxy: trackerStartTime)
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
      const [total, pending] = [new Counter(of(`${name}_total`, help)), new Gauge(of(`${name}_pending`, `${help} that wait`))];
      return {
        one() {
          total.inc();
          pending.inc();
        },
        done: () => pending.set(0),
      };
    },
    answers: (name: string): Counter => new Counter(of(name, 'Answers by HTTP status', 'code')),
  };
}

function showWithoutLocal({ of }: ReturnType<typeof makersFor>, { withoutLocal }: Sources): () => void {
  const name = 'sync_proxy_rules_no_local_endpoints_total';
  const gauge = new Gauge(of(name, 'Service ports without an endpoint here, where their policy wants one', 'traffic_policy', 'ip_family'));
  return () => {
    for (const traffic_policy of ['internal', 'external']) for (const ip_family of FAMILIES) gauge.set({ traffic_policy, ip_family }, 0);
    for (const { family, policy } of withoutLocal()) gauge.inc({ traffic_policy: policy, ip_family: `IPv${family}` });
  };
}
