import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchCluster } from './cluster.ts';
import { cluster, endpoint, endpointsOf, MAX_ENDPOINTS, type Size, slice } from './objects.ts';
import { now, OFTEN_US } from './reach.ts';

/** Services beside the others whose only endpoint is changed, one after the other. */
const CHANGED = 20;
const CHANGES = 400;
/** Pause between two measured changes, ms: from this to twice as much. */
const PAUSE_MS = 25;
/** Between two of the other changes, ms. */
const OTHERS_MS = 50;
/** How often lists, starts and restarts are measured. */
const ROUNDS = 5;
/** Services that are dialled to see whether a start is over. */
const SAMPLE = 100;
/** Longer than the agent waits before it gives back memory that it does not need, ms. */
const REST_MS = 15_000;
/** For what the kernel and the API server still do for an agent that is gone, ms. */
const GONE_MS = 3000;

/** Milliseconds from when a change was sent and from when the API server had answered. */
export interface Change {
  readonly fromSent: number;
  readonly fromAccepted: number;
}

/** Milliseconds until the change was in force, and until the agent had compared everything. */
export interface Restart {
  readonly inForce: number;
  readonly compared: number;
}

/** Times in milliseconds, memory in megabytes. */
export interface Measured {
  readonly lists: readonly number[];
  readonly listBytes: number;
  readonly starts: readonly number[];
  readonly restarts: readonly Restart[];
  readonly idle: readonly Change[];
  readonly busy: readonly Change[];
  readonly memory: { readonly small: number; readonly rest: number; readonly peak: number };
}

/** Everything, one after the other. Calls `say` with the progress. */
export async function measureAll(on: BenchCluster, small: Size, size: Size, say: (step: string) => void): Promise<Measured> {
  say(`${small.services} Services`);
  await on.controlPlane.apply(cluster(small));
  const smallMemory = await memoryWithFew(on);
  say(`${size.services} Services: minutes`);
  await on.controlPlane.apply(cluster(size));
  await on.controlPlane.apply(cluster({ services: CHANGED, endpoints: 1 }, size.services));
  await sleep(REST_MS);
  say('lists');
  const lists = await inTurn(ROUNDS, () => on.receiveLists());
  say('starts');
  const starts = await inTurn(ROUNDS, () => start(on, size));
  let { peak } = on.memory();
  const change = createChanges(on, size);
  say('restarts');
  const restarts = await inTurn(ROUNDS, () => restart(on, change));
  await sleep(REST_MS);
  say('changes');
  const idle = await changes(change);
  say('changes among others');
  const busy = await amongOthers(on, size, () => changes(change));
  await sleep(REST_MS);
  const memory = on.memory();
  peak = Math.max(peak, memory.peak);
  return {
    ...{ lists: lists.map(({ ms }) => ms), listBytes: lists[0]?.bytes ?? 0, starts, restarts, idle, busy },
    memory: { small: smallMemory, rest: memory.now, peak },
  };
}

async function inTurn<T>(times: number, act: (i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < times; i++) results.push(await act(i));
  return results;
}

async function memoryWithFew(on: BenchCluster): Promise<number> {
  await on.startAgent();
  await sleep(REST_MS);
  const memory = on.memory().now;
  await on.killAgent();
  return memory;
}

/** From nothing until Services spread over all of them answer; then all are dialled. */
async function start(on: BenchCluster, { services }: Size): Promise<number> {
  await on.killAgent();
  await on.cleanUp();
  await sleep(GONE_MS);
  const all = Array.from({ length: services }, (_, n) => n);
  const step = Math.ceil(services / SAMPLE);
  const answered = on.reach.untilAnswered(all.filter((n) => n % step === 0 || n === services - 1));
  const began = now();
  await on.startAgent();
  const ms = (await answered) - began;
  await on.reach.untilAnswered(all);
  return ms;
}

/** The next change of one endpoint: what it makes of the cluster, and where it can be seen. */
type Changes = () => { readonly send: () => Promise<void>; readonly reached: (intervalUs?: number) => Promise<number> };

/** The Services that are changed take turns. */
function createChanges({ controlPlane, reach }: BenchCluster, { services }: Size): Changes {
  let count = 0;
  return () => {
    const n = services + (count % CHANGED);
    const address = endpoint(n, 1 + (Math.floor(count++ / CHANGED) % (MAX_ENDPOINTS - 1)));
    return { send: () => controlPlane.apply([slice(n, [address])]), reached: (intervalUs) => reach.untilAt(n, address, intervalUs) };
  };
}

/** The agent is killed and started; something is changed meanwhile. */
async function restart(on: BenchCluster, next: Changes): Promise<Restart> {
  const { send, reached } = next();
  await on.killAgent();
  await send();
  await sleep(GONE_MS);
  const seen = reached();
  const began = now();
  await on.startAgent();
  const compared = now() - began;
  return { inForce: (await seen) - began, compared };
}

const changes = (next: Changes): Promise<Change[]> =>
  inTurn(CHANGES, async () => {
    await sleep(PAUSE_MS * (1 + Math.random()));
    const { send, reached } = next();
    const seen = reached(OFTEN_US);
    const sent = now();
    await send();
    const accepted = now();
    const at = await seen;
    return { fromSent: at - sent, fromAccepted: at - accepted };
  });

/** Does something while one endpoint each of other Services is replaced, one after the other. */
async function amongOthers<T>({ controlPlane }: BenchCluster, { services, endpoints }: Size, act: () => Promise<T>): Promise<T> {
  const sent: Promise<void>[] = [];
  const changeOther = (): void => {
    const n = (sent.length * 7) % services;
    const spare = endpoint(n, endpoints + (Math.floor((sent.length * 7) / services) % (MAX_ENDPOINTS - endpoints)));
    const change = controlPlane.apply([slice(n, [...endpointsOf(n, endpoints - 1), spare])]);
    // Looked at when all is over
    change.catch(() => {});
    sent.push(change);
  };
  const timer = setInterval(changeOther, OTHERS_MS);
  try {
    return await act();
  } finally {
    clearInterval(timer);
    await Promise.all(sent);
  }
}
