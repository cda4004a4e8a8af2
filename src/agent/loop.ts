import type { ProxyHealth } from '#health/proxy-health.ts';
import type { ServiceHealth } from '#health/service-health.ts';
import { listAddresses, listLinks } from '#kernel/netlink/links.ts';
import type { Metrics } from '#observe/metrics.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import type { Datapath } from '#reconcile/ports/datapath.ts';
import type { FlushReport, Reconciler } from '#reconcile/reconciler.ts';
import type { TablesWriter } from '#reconcile/tables/tables-writer.ts';
import type { Attachments } from './attachments.ts';
import { localDevices } from './devices.ts';
import { isServing, type Knowledge, nextPass, type Phase, phaseAfter, type SourceState } from './lifecycle.ts';
import type { PassLog } from './pass-log.ts';
import type { RunPass } from './passes.ts';
import type { RulesetGuard } from './ruleset-guard.ts';
import { createScheduler } from './scheduler.ts';
import { createSpareMemory } from './spare-memory.ts';
import type { StaleFlows } from './stale-flows.ts';
import type { Store } from './store.ts';

export interface LoopParts {
  /** cgroup v2 folder that holds every process of this node. */
  readonly cgroupRoot: string;
  readonly datapath: Datapath;
  readonly store: Store;
  readonly runPass: RunPass;
  readonly reconciler: Pick<Reconciler, 'problems'>;
  readonly tables: Pick<TablesWriter, 'held'>;
  readonly attachments: Attachments;
  readonly rulesetGuard: RulesetGuard;
  readonly staleFlows: StaleFlows;
  readonly proxyHealth: ProxyHealth;
  readonly serviceHealth: ServiceHealth;
  readonly metrics: Metrics;
  readonly passLog: PassLog;
}

/** Follows the source with few passes over what changed. lifecycle.ts decides which pass comes next. */
export interface Loop {
  /** The source has delivered its first object. */
  begun(): void;
  /** Objects have changed. */
  wake(): void;
  /** Devices or their addresses have changed. */
  wakeForDevices(): void;
  /** The store has every object that the source can read. */
  synced(): void;
  /** An object that the store lacks does not exist. */
  complete(): void;
  stop(): void;
}

/** Pause after a pass that failed as a whole, ms. */
const RETRY_MS = 1000;
/** Pause until devices that the kernel refused are tried again, ms. */
const REFUSED_DEVICES_MS = 10_000;

/** Sleeps until it is woken; one pass runs at a time. */
export function createLoop(parts: LoopParts): Loop {
  const { datapath, store, runPass, tables, staleFlows, passLog } = parts;
  const memory = createSpareMemory();
  let phase: Phase = 'starting';
  let source: SourceState = 'silent';
  /** Undefined: they must be listed again. */
  let devices: readonly LocalDevice[] | undefined;
  /** Whether the reports of all passes since the last listing of flows say what UDP flows lost. */
  let areLossesKnown = true;

  const hasSynced = (): boolean => source === 'synced' || source === 'complete';
  const knowledge = (): Knowledge => ({ hasEarlierTables: datapath.adopted, source, hasNode: store.node() !== undefined });

  const run = (): void => {
    const pass = nextPass(phase, knowledge());
    if (pass === 'await-node') passLog.awaitsNode();
    if (pass === 'wait' || pass === 'await-node') return;
    memory.busy();
    try {
      if (pass === 'adopt') adopt();
      else if (pass === 'delta') bringDelta();
      else bringAll(pass);
    } catch (error) {
      passLog.failed(error, RETRY_MS);
      devices = undefined;
      areLossesKnown = false;
      scheduler.wakeIn(RETRY_MS);
    }
  };
  /** Health and metrics expect the success of a pass over the tables. */
  const queued = (): void => {
    if (!hasSynced()) return;
    parts.proxyHealth.queued();
    parts.metrics.queued();
  };
  const scheduler = createScheduler(run, queued);

  const adopt = (): void => {
    runPass('adopt', [], knowledge());
    phase = phaseAfter(phase, 'adopt');
    passLog.adopted(tables.held());
    scheduler.wake();
  };

  /** Services that have changed come first, because the kernel serves the others already. */
  const bringDelta = (): void => {
    // A delta that fails is not retried: the next pass writes it with everything else
    phase = phaseAfter(phase, 'delta');
    devices ??= localDevices(listLinks(), listAddresses());
    const report = runPass('delta', devices, knowledge());
    if (report !== undefined) {
      areLossesKnown = false;
      passLog.passed(report);
    }
    scheduler.wake();
  };

  /** A pass over everything that changed, with all that depends on the tables. */
  const bringAll = (pass: 'flush' | 'prune'): void => {
    const start = performance.now();
    const areDevicesNew = devices === undefined;
    devices ??= localDevices(listLinks(), listAddresses());
    const report = runPass(pass, devices, knowledge()) as FlushReport;
    passLog.passed(report);
    if (areLossesKnown && pass !== 'prune') staleFlows.follow(report.udpLosses);
    else staleFlows.lookAtAll();
    areLossesKnown = true;
    const wasServing = isServing(phase);
    const areServed = wasServing ? !areDevicesNew || parts.attachments.follow() : begin(parts, pass);
    phase = phaseAfter(phase, pass);
    parts.serviceHealth.follow();
    parts.metrics.passed(performance.now() - start, !wasServing || pass === 'prune');
    parts.proxyHealth.flushed(parts.reconciler.problems());
    if (!areServed) devices = undefined;
    const waits = [report.retryInMs, areServed ? undefined : REFUSED_DEVICES_MS].filter((wait) => wait !== undefined);
    if (waits.length > 0) scheduler.wakeIn(Math.min(...waits));
  };

  const wake = (): void => {
    if (!hasSynced()) return;
    queued();
    scheduler.wake();
  };

  return {
    begun() {
      if (source !== 'silent') return;
      source = 'listing';
      scheduler.wake();
    },
    wake,
    wakeForDevices() {
      devices = undefined;
      wake();
    },
    synced() {
      if (source !== 'complete') source = 'synced';
      wake();
    },
    complete() {
      source = 'complete';
      wake();
    },
    stop() {
      scheduler.stop();
      memory.stop();
    },
  };
}

/** After the first pass over all Services the tables are complete, so the programs may come. Returns whether all devices have theirs. */
function begin({ cgroupRoot, datapath, attachments, rulesetGuard, store, passLog }: LoopParts, pass: 'flush' | 'prune'): boolean {
  rulesetGuard.start();
  const areServed = attachments.follow();
  datapath.attachSockets(cgroupRoot);
  passLog.ready({
    removedFolders: datapath.removeStaleStates(),
    keepsEarlier: datapath.adopted && pass !== 'prune',
    hasNode: store.node() !== undefined,
    devices: attachments.devices().size,
    ...store.counts(),
  });
  return areServed;
}
