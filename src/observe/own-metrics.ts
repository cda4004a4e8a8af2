import { Counter, Gauge, type Registry } from 'prom-client';
import type { Family } from '#lib/address.ts';
import type { Counters } from './counters.ts';

/** Values that each scrape reads. Each function may throw if the kernel cannot be read. */
export interface Readings {
  readonly counters: Counters;
  /** Number of decisions on this node, by their name in `weir dump`. */
  outcomes(): Readonly<Record<string, number>>;
  /** By the name of the table in --map-size. */
  tables(): Readonly<Record<string, { readonly entries: number; readonly limit: number }>>;
  services(): readonly PortSeries[];
}

/** Connections and refusals of a Service port in one family. */
export interface PortSeries {
  readonly namespace: string;
  readonly service: string;
  /** Name of the port; empty if unnamed. */
  readonly port: string;
  readonly protocol: string;
  readonly family: Family;
  readonly connections: number;
  readonly refusals: number;
}

/** Counter of deleted conntrack entries by family, exported under kube-proxy's name. */
const OF_FAMILY = 'deleted_conntrack_entries_of';

/**
 * Registers the metrics that each scrape reads: weir's own, with the prefix `weir_`, and three of the process. The returned functions
 * update them. `maxServices`: maximum of Service ports with series of their own.
 */
export function showReadings(registry: Registry, readings: Readings, maxServices: number): readonly (() => void)[] {
  return [
    showCounters(registry, readings.counters),
    showOutcomes(registry, readings),
    showTables(registry, readings),
    showServices(registry, readings, maxServices),
    showProcess(registry),
  ];
}

/** Each name of `counters` is a metric; its label is the reason. */
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
        help: `Events that the log calls ${name.replaceAll('_', ' ')}`,
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

function showOutcomes(registry: Registry, { outcomes }: Readings): () => void {
  const counter = new Counter({
    name: 'weir_outcomes_total',
    help: 'Decisions of the programs on first packets and sockets, since the creation of the tables',
    labelNames: ['outcome'],
    registers: [registry],
  });
  return () => {
    counter.reset();
    for (const [outcome, count] of Object.entries(outcomes())) counter.inc({ outcome }, count);
  };
}

function showTables(registry: Registry, { tables }: Readings): () => void {
  const of = (name: string, help: string): Gauge => new Gauge({ name, help, labelNames: ['table'], registers: [registry] });
  const entries = of('weir_table_entries', 'Entries in a kernel table of Services');
  const limits = of('weir_table_max_entries', 'Maximum of entries in a kernel table, see --map-size');
  return () => {
    for (const [table, { entries: held, limit }] of Object.entries(tables())) {
      entries.set({ table }, held);
      limits.set({ table }, limit);
    }
  };
}

/** A Service port with series keeps them from one scrape to the next. */
function showServices(registry: Registry, { services }: Readings, max: number): () => void {
  const labelNames = ['namespace', 'service', 'port', 'protocol', 'ip_family'];
  const of = (name: string, help: string): Counter => new Counter({ name, help, labelNames, registers: [registry] });
  const connections = of('weir_service_connections_total', 'Connections and UDP flows sent to an endpoint');
  const refusals = of('weir_service_refusals_total', 'Sockets and first packets refused or dropped');
  const hidden = new Gauge({
    name: 'weir_services_without_series',
    help: 'Service ports with connections or refusals but without series because of --metrics-max-services',
    registers: [registry],
  });
  let shown = new Set<string>();
  return () => {
    const counts = new Map(services().map((count) => [JSON.stringify(labelsOf(count)), count]));
    const kept = [...shown].filter((key) => counts.has(key));
    const others = [...counts.keys()].filter((key) => !shown.has(key));
    shown = new Set([...kept, ...others].slice(0, max));
    connections.reset();
    refusals.reset();
    for (const key of shown) {
      const count = counts.get(key) as PortSeries;
      connections.inc(labelsOf(count), count.connections);
      refusals.inc(labelsOf(count), count.refusals);
    }
    hidden.set(counts.size - shown.size);
  };
}

const labelsOf = ({ namespace, service, port, protocol, family }: PortSeries) => ({
  ...{ namespace, service, port, protocol },
  ip_family: `IPv${family}`,
});

/** The three process metrics that dashboards of kube-proxy use. */
function showProcess(registry: Registry): () => void {
  const registers = [registry];
  const memory = new Gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory of the agent', registers });
  const cpu = new Counter({ name: 'process_cpu_seconds_total', help: 'Processor time of the agent', registers });
  const start = new Gauge({ name: 'process_start_time_seconds', help: 'Start time of the agent, seconds since 1970', registers });
  start.set(performance.timeOrigin / 1000);
  return () => {
    const { user, system } = process.cpuUsage();
    memory.set(process.memoryUsage.rss());
    cpu.reset();
    cpu.inc((user + system) / 1e6);
  };
}
