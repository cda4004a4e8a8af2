import type { Config } from '#config/config.ts';
import type { EventRecorder } from '#events/event-recorder.ts';
import { createProxyHealth, type ProxyHealth } from '#health/proxy-health.ts';
import { createServiceHealth, type ServiceHealth } from '#health/service-health.ts';
import { listLinks, watchLinks } from '#kernel/netlink/links.ts';
import { createRuleset, hasRuleset } from '#kernel/nftables/ruleset.ts';
import { whyUncovered } from '#kernel/node/coverage.ts';
import { namespacesBelow } from '#kernel/node/namespaces.ts';
import { netnsCookie } from '#kernel/node/netns.ts';
import { bridgesAskNetfilter } from '#kernel/node/sysctl.ts';
import type { ModelObject } from '#model/objects.ts';
import type { Counters } from '#observe/counters.ts';
import type { Log } from '#observe/log.ts';
import { createMetrics, type Metrics, type Trigger } from '#observe/metrics.ts';
import type { Datapath, Flows } from '#reconcile/ports/datapath.ts';
import { createReconciler } from '#reconcile/reconciler.ts';
import { createRulesetWriter } from '#reconcile/ruleset/ruleset-writer.ts';
import { createTablesWriter } from '#reconcile/tables/tables-writer.ts';
import type { WantedHealth } from '#reconcile/wanted/wanted-state.ts';
import { createWantedState } from '#reconcile/wanted/wanted-state.ts';
import type { Source } from '#sources/source.ts';
import { type Alarm, createAlarm } from './alarm.ts';
import { createAttachments } from './attachments.ts';
import type { ExitError } from './exit-error.ts';
import { createLoop, type Loop } from './loop.ts';
import { watchNeighbours } from './neighbour-watch.ts';
import { watchOutcomes } from './outcome-watch.ts';
import { createPassLog } from './pass-log.ts';
import { createPasses } from './passes.ts';
import { openPorts } from './ports.ts';
import { applyProcessSettings } from './process-settings.ts';
import { createProgrammer } from './programmer.ts';
import { readingsOf } from './readings.ts';
import { createRulesetGuard } from './ruleset-guard.ts';
import { createStaleFlows } from './stale-flows.ts';
import { createStore, type Store } from './store.ts';
import { takeNode } from './take-node.ts';

/** The parts of an agent that its configuration does not create. */
export interface Surroundings {
  /** Folder with the compiled programs. */
  readonly objectsDir: string;
  readonly source: Source;
  readonly events: EventRecorder;
  readonly log: Log;
  readonly counters: Counters;
  /** Ends the process, after the start too. */
  readonly fail: (reason: ExitError) => void;
}

/** A running agent. */
export interface Agent {
  /** Stops the agent; further calls wait for the same stop. The kernel goes on serving. */
  stop(): Promise<void>;
}

/**
 * Starts the agent of a node in this network namespace. Resolves when its source is followed; `Ready` is logged when the kernel
 * holds the first complete state and programs are attached. Throws an ExitError if a person can remedy the cause, any other error otherwise.
 */
export async function startAgent(config: Config, { objectsDir, source, events, log, counters, fail }: Surroundings): Promise<Agent> {
  const { cgroupRoot, datapath, release } = await takeNode(config, objectsDir);
  applyProcessSettings(config, log);
  const now = (): number => performance.now();
  const wanted = createWantedState();
  const tables = createTablesWriter({ tables: datapath.tables, wanted, now });
  const store = createStore(config.nodeName);
  const alarm = createAlarm(log, events);
  const health = healthOf(wanted.health, now, alarm, log);
  const ruleset = createRulesetWriter({
    ruleset: createRuleset(config, datapath.fillBackendMaps),
    wanted,
    keepsEarlierTable: datapath.adopted,
    now,
  });
  const reconciler = createReconciler({ wanted, writers: [tables, ruleset], now });
  const programmer = createProgrammer({ config, store, wanted, isContested: tables.isContested, netnsCookie: netnsCookie() });
  const readings = readingsOf({ tables: datapath.tables, writer: tables });
  const metrics = createMetrics({ counters, ...readings, withoutLocal: programmer.withoutLocal }, config.metricsMaxServices);
  const rules = () => ({ exclude: config.excludeDevices, bridgesAskNetfilter: bridgesAskNetfilter() });
  const attachments = createAttachments({ datapath, listLinks, rules, alarm, log });
  const rulesetGuard = createRulesetGuard({ install: ruleset.install, isThere: hasRuleset }, alarm);
  warnIfUncovered(cgroupRoot, alarm, counters);
  const socketFlows = openSocketFlows(datapath, cgroupRoot, alarm);
  if (socketFlows !== undefined) await warnOfHidden(cgroupRoot, alarm);
  const staleFlows = createStaleFlows({
    reconciler: tables,
    packetFlows: datapath.packetFlows,
    socketFlows,
    looked: metrics.lookedForStaleFlows,
    log,
    counters,
  });
  const passLog = createPassLog({ nodeName: config.nodeName, reconciler, alarm, log, counters });
  const runPass = createPasses({ programmer, reconciler, tables });
  const kernel = { cgroupRoot, datapath, attachments, rulesetGuard, staleFlows, tables };
  const loop = createLoop({ store, runPass, reconciler, ...health, ...kernel, metrics, passLog });
  const links = watchLinks({ onChange: loop.wakeForDevices, onError: (error) => log.error('Cannot follow network devices', { error }) });
  const ports = openPorts({ config, store, proxyHealth: health.proxyHealth, metrics, alarm, log, fail });
  const outcomes = watchOutcomes(datapath.tables, { log, events });
  const neighbours = watchNeighbours({ attachments, datapath, alarm, log });
  events.record({ reason: 'Starting', note: 'Starting weir' });
  followSource(source, { store, loop, metrics, log, counters });
  const stop = async (): Promise<void> => {
    await source.stop();
    events.stop();
    loop.stop();
    staleFlows.stop();
    socketFlows?.close();
    health.serviceHealth.close();
    for (const port of ports) port.close();
    rulesetGuard.stop();
    links.close();
    outcomes.stop();
    neighbours.stop();
    datapath.close();
    release();
    log.info('Stopped; the kernel goes on serving. "weir cleanup" removes what it holds', counters.totals());
  };
  let stopped: Promise<void> | undefined;
  return {
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Nothing else would show it: the programs attach to any folder of cgroup v2. */
function warnIfUncovered(cgroupRoot: string, alarm: Alarm, counters: Counters): void {
  const why = whyUncovered(cgroupRoot);
  if (why === undefined) return;
  counters.increment('uncovered_sockets', 'no_process');
  const remedy = "name the folder with the node's processes with --cgroup-root";
  alarm.warn('SocketsUncovered', `The socket path serves no process of this node: ${why}; ${remedy}`, { cgroup_root: cgroupRoot });
}

/** Returns undefined if the node cannot end sockets; everything else works. */
function openSocketFlows(datapath: Datapath, cgroupRoot: string, alarm: Alarm): Flows | undefined {
  try {
    const opened = datapath.openSocketFlows(cgroupRoot);
    if (opened.ok) return opened.value;
    alarm.warn('StaleSocketsKept', `Connected UDP sockets keep an endpoint that is gone: ending them needs ${opened.errors.join(', ')}`);
  } catch (error) {
    alarm.warn('StaleSocketsKept', 'Connected UDP sockets keep an endpoint that is gone: the program that ends them does not load', {
      error,
    });
  }
  return undefined;
}

/** An agent in a container with its own PID namespace cannot see processes of other containers. */
async function warnOfHidden(cgroupRoot: string, alarm: Alarm): Promise<void> {
  const { hidden } = await namespacesBelow(cgroupRoot, new AbortController().signal);
  if (hidden === 0) return;
  const remedy = "run weir in the node's PID namespace and with CAP_SYS_PTRACE";
  alarm.warn('HiddenProcesses', `Connected UDP sockets of processes that cannot be seen keep an endpoint that is gone: ${remedy}`, {
    processes: hidden,
  });
}

function healthOf(
  state: WantedHealth,
  now: () => number,
  alarm: Alarm,
  log: Log,
): { readonly proxyHealth: ProxyHealth; readonly serviceHealth: ServiceHealth } {
  const proxyHealth = createProxyHealth(now);
  const serviceHealth = createServiceHealth(state, {
    isProxyHealthy: proxyHealth.isHealthy,
    problem: (message, service) => alarm.error('FailedToStartServiceHealthcheck', message, {}, service),
    note: (message) => log.info(message),
  });
  return { proxyHealth, serviceHealth };
}

interface Listeners {
  readonly store: Store;
  readonly loop: Loop;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly counters: Counters;
}

/** Only EndpointSlices carry the time of the event that led to their last change. */
const triggerOf = ({ kind, value }: ModelObject): Trigger | undefined =>
  kind === 'EndpointSlice' && value.triggeredAt > 0 ? { family: value.family, at: value.triggeredAt } : undefined;

function followSource(source: Source, { store, loop, metrics, log, counters }: Listeners): void {
  source.start({
    recall(object) {
      loop.begun();
      store.recall(object);
    },
    set(object) {
      loop.begun();
      store.set(object);
      metrics.changed(object.kind, object.key, triggerOf(object));
      loop.wake();
    },
    remove(kind, key) {
      store.remove(kind, key);
      metrics.changed(kind, key);
      loop.wake();
    },
    missed: (kind) => counters.increment('events_lost', kind),
    synced: loop.synced,
    complete: loop.complete,
    problem({ reason, message }) {
      counters.increment('source_problems', reason);
      log.warn(message);
    },
  });
}
