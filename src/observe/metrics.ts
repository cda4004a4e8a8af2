import { Counter, exponentialBuckets, Gauge, Histogram, Registry } from 'prom-client';
import type { ModelKind } from '#model/objects.ts';
import type { Counters } from './counters.ts';

/** Numbers for Prometheus: kube-proxy's names and meanings (pkg/proxy/metrics/metrics.go), and ours with the prefix `weir_`. */
export interface Metrics {
  /** A source said something new of an object. */
  changed(kind: ModelKind): void;
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

interface Sources {
  readonly counters: Counters;
  /** How often each decision was taken on this node, by its name in `weir dump`. */
  readonly outcomes: () => Readonly<Record<string, number>>;
}

/** Every pass serves both families at once, so both tell the same of it. */
const FAMILIES = ['IPv4', 'IPv6'] as const;

/** Deleted conntrack entries by family stand under kube-proxy's name. */
const OF_FAMILY = 'deleted_conntrack_entries_of';

/** Everything is 0. Labels come from small fixed sets. */
export function createMetrics({ counters, outcomes }: Sources): Metrics {
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
  const readings = [showCounters(registry, counters), showOutcomes(registry, outcomes), showProcess(registry)];
  return {
    changed(kind) {
      if (kind === 'Service') services.one();
      if (kind === 'EndpointSlice') endpoints.one();
    },
    queued: queuedAt,
    passed(ms, isFull) {
      for (const observe of [passes, isFull ? full : partial]) observe(ms);
      passedAt();
      services.done();
      endpoints.done();
    },
    lookedForStaleFlows: looks,
    asked: (path, status) => asked[path]?.inc({ code: String(status) }),
    async text() {
      for (const read of readings) read();
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

/** Each name of `counters` is a metric, its label the reason. What is returned reads them, as with the next two. */
function showCounters(registry: Registry, counters: Counters): () => void {
  const shown = new Map<string, Counter>();
  const deleted = new Counter({
    name: 'kubeproxy_conntrack_reconciler_deleted_entries_total',
    help: 'Stale conntrack entries deleted',
    labelNames: ['ip_family'],
    registers: [registry],
  });
  const counterOf = (name: string): Counter => {
    const made =
      shown.get(name) ??
      new Counter({
        name: `weir_${name}_total`,
        help: `What the log calls ${name.replaceAll('_', ' ')}`,
        labelNames: ['reason'],
        registers: [registry],
      });
    shown.set(name, made);
    return made;
  };
  return () => {
    for (const counter of [deleted, ...shown.values()]) counter.reset();
    for (const [key, count] of Object.entries(counters.totals())) {
      const [name = '', label = ''] = key.split('.');
      if (name === OF_FAMILY) deleted.inc({ ip_family: label }, count);
      else counterOf(name).inc({ reason: label }, count);
    }
  };
}

function showOutcomes(registry: Registry, outcomes: Sources['outcomes']): () => void {
  const counter = new Counter({
    name: 'weir_outcomes_total',
    help: 'Decisions of the programs on first packets and sockets, since the tables were made',
    labelNames: ['outcome'],
    registers: [registry],
  });
  return () => {
    counter.reset();
    for (const [outcome, count] of Object.entries(outcomes())) counter.inc({ outcome }, count);
  };
}

/** The three of a process that dashboards of kube-proxy look at. */
function showProcess(registry: Registry): () => void {
  const registers = [registry];
  const memory = new Gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory of the agent', registers });
  const cpu = new Counter({ name: 'process_cpu_seconds_total', help: 'Processor time of the agent', registers });
  const start = new Gauge({ name: 'process_start_time_seconds', help: 'When the agent started, since 1970', registers });
  start.set(performance.timeOrigin / 1000);
  return () => {
    const { user, system } = process.cpuUsage();
    memory.set(process.memoryUsage.rss());
    cpu.reset();
    cpu.inc((user + system) / 1e6);
  };
}
