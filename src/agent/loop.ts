import type { Config } from '#config/config.ts';
import type { Reason } from '#events/announcer.ts';
import type { ProxyHealth } from '#health/proxy-health.ts';
import type { ServiceHealth } from '#health/service-health.ts';
import type { Datapath } from '#kernel/bpf/datapath.ts';
import { listAddresses, listLinks } from '#kernel/netlink/links.ts';
import type { Counters } from '#observe/counters.ts';
import type { Log } from '#observe/log.ts';
import type { Metrics } from '#observe/metrics.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import type { RulesetReconciler } from '#reconcile/ruleset/reconciler.ts';
import type { Problem, Reconciler, Report } from '#reconcile/tables/reconciler.ts';
import { createStanding, type Finding } from '#sources/standing.ts';
import type { Alarm } from './alarm.ts';
import type { Attachments } from './attachments.ts';
import { localDevices } from './devices.ts';
import type { Programmer } from './programmer.ts';
import type { RulesetGuard } from './ruleset-guard.ts';
import { createSpareMemory } from './spare-memory.ts';
import type { StaleFlows } from './stale-flows.ts';
import type { Store } from './store.ts';

export interface LoopParts {
  readonly config: Config;
  /** cgroup v2 folder that holds every process of this node. */
  readonly cgroupRoot: string;
  readonly datapath: Datapath;
  readonly reconciler: Reconciler;
  readonly store: Store;
  readonly programmer: Programmer;
  readonly attachments: Attachments;
  readonly ruleset: RulesetReconciler;
  readonly rulesetGuard: RulesetGuard;
  readonly staleFlows: StaleFlows;
  readonly proxyHealth: ProxyHealth;
  readonly serviceHealth: ServiceHealth;
  readonly metrics: Metrics;
  readonly alarm: Alarm;
  readonly log: Log;
  readonly counters: Counters;
}

/** Turns many small changes into few passes over what changed; writes nothing before the first complete state. */
export interface Loop {
  /** Objects have changed. */
  wake(): void;
  /** Devices or their addresses have changed. */
  wakeForDevices(): void;
  /** The store has what the source could deliver. */
  synced(): void;
  /** What the store does not have does not exist. */
  complete(): void;
  stop(): void;
}

/** Wait after a pass that failed as a whole, ms. */
const RETRY_MS = 1000;
/** Wait until another look at devices that the kernel refused, ms. */
const REFUSED_DEVICES_MS = 10_000;

/** A loop that sleeps until it is woken; one pass runs at a time. */
export function createLoop(parts: LoopParts): Loop {
  let isSynced = false;
  let isReady = false;
  let isComplete = false;
  let isPruned = false;
  let areNewsTold = false;
  let isStopped = false;
  let areLossesKnown = true;
  let devices: readonly LocalDevice[] | undefined;
  let next: NodeJS.Immediate | undefined;
  let retry: NodeJS.Timeout | undefined;
  const memory = createSpareMemory();
  const say = createSpeaker(parts);

  /** The kernel serves already, so what has changed since comes first; all else is looked at after it. */
  const bringNews = (): void => {
    areLossesKnown = false;
    say(parts.reconciler.flush());
    next = setImmediate(pass);
  };

  const pass = (): void => {
    next = undefined;
    clearTimeout(retry);
    if (!isReady && !isComplete && mustWaitForNode(parts)) return;
    memory.busy();
    const start = performance.now();
    const isFull = !isReady || (isComplete && !isPruned);
    try {
      const devicesChanged = devices === undefined;
      devices ??= localDevices(listLinks(), listAddresses());
      if (!areNewsTold && !isReady && parts.datapath.adopted) {
        areNewsTold = true;
        if (parts.programmer.planNews(devices, isComplete) > 0) {
          bringNews();
          return;
        }
      }
      parts.programmer.plan(devices, parts.datapath.adopted && !isComplete);
      const report = isComplete && !isPruned ? parts.reconciler.prune() : parts.reconciler.flush();
      if (isComplete && !isPruned) areLossesKnown = false;
      isPruned = isComplete;
      const rulesetRetryInMs = parts.ruleset.flush(isComplete || !parts.datapath.adopted);
      say(report);
      if (areLossesKnown) parts.staleFlows.follow(report.udpLosses);
      else parts.staleFlows.lookAtAll();
      areLossesKnown = true;
      const areServed = isReady ? !devicesChanged || parts.attachments.follow() : begin(parts, isPruned);
      isReady = true;
      parts.serviceHealth.follow();
      parts.metrics.passed(performance.now() - start, isFull);
      parts.proxyHealth.flushed(problemsOf(parts));
      if (!areServed) devices = undefined;
      const waits = [report.retryInMs, rulesetRetryInMs, areServed ? undefined : REFUSED_DEVICES_MS].filter((wait) => wait !== undefined);
      if (waits.length > 0) retry = setTimeout(wake, Math.min(...waits));
    } catch (error) {
      parts.alarm.error('FailedToProgram', `Cannot bring the kernel to the wanted state, trying again in ${RETRY_MS} ms`, { error });
      devices = undefined;
      areLossesKnown = false;
      retry = setTimeout(wake, RETRY_MS);
    }
  };

  const wake = (): void => {
    if (!isSynced || isStopped) return;
    parts.proxyHealth.queued();
    parts.metrics.queued();
    next ??= setImmediate(pass);
  };

  return {
    wake,
    wakeForDevices() {
      devices = undefined;
      wake();
    },
    synced() {
      isSynced = true;
      wake();
    },
    complete() {
      isComplete = true;
      wake();
    },
    stop() {
      isStopped = true;
      clearImmediate(next);
      clearTimeout(retry);
      memory.stop();
    },
  };
}

/** An earlier agent knew the Node: as long as its object may be in what cannot be used yet, that knowledge stays in force. */
function mustWaitForNode({ datapath, store, config, log }: LoopParts): boolean {
  const waits = datapath.adopted && store.node() === undefined;
  if (waits) log.warn(`Waiting for Node ${config.nodeName}, what an earlier agent served stays: the source is not complete yet`);
  return waits;
}

/** After the first pass: the tables are complete, so the programs that use them may come. Says whether all devices have theirs. */
function begin(parts: LoopParts, isPruned: boolean): boolean {
  const { config, datapath, attachments, rulesetGuard, log, store } = parts;
  rulesetGuard.start();
  const areServed = attachments.follow();
  datapath.attachSockets(parts.cgroupRoot);
  for (const folder of datapath.removeStaleStates()) log.info('Removed tables of another layout', { folder });
  if (datapath.adopted && !isPruned)
    log.warn('The source is empty or something in it cannot be used: what an earlier agent served stays until that is over');
  if (store.node() === undefined) log.warn(`Node ${config.nodeName} is not among the objects: no NodePort is served until it is`);
  const { services, slices } = store.counts();
  log.info(`Ready: ${services} Services, ${slices} EndpointSlices, ${attachments.count()} devices`);
  return areServed;
}

const problemsOf = ({ reconciler, ruleset }: LoopParts): readonly Problem[] => [...reconciler.problems(), ...ruleset.problems()];

const REASON_OF: Partial<Record<Problem['code'], Reason>> = { conflict: 'AddressConflict', full: 'TableFull' };

/** Tells what a pass wrote, and each problem once, however often it is tried again. */
function createSpeaker(parts: LoopParts): (report: Report) => void {
  const { alarm, log, counters } = parts;
  const standing = createStanding<Problem & Finding>(({ code, port, message }) => {
    counters.increment('table_problems', code);
    // Of an id without a name nobody knows the Service
    const service = port?.includes('/') ? port.replace(/:[^:]*$/, '') : undefined;
    alarm.error(REASON_OF[code] ?? 'FailedToProgram', message, {}, service);
  });
  return ({ writes }) => {
    const problems = problemsOf(parts).map((problem) => ({ ...problem, id: problem.message, reason: problem.code }));
    const areSolved = standing.replace('tables', problems);
    if (Object.keys(writes).length > 0) log.debug(2, 'Wrote tables', { ...writes });
    if (areSolved) log.info('What did not fit or failed before is in the tables now');
  };
}
