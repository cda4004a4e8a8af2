/**
 * Measures `weir kpng-server` with many clients on a Unix socket. Arguments: number of Services (10000), of all endpoints (100000), of
 * agents (200), and a Markdown file whose section `kpng` is replaced.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WEIR } from '#lab/paths.ts';
import { endpoint, type Size } from '../api/objects.ts';
import { machine, row, updatePage } from '../page.ts';
import { spread } from '../report.ts';
import { nodes, service, services } from './objects.ts';

/** Number of simultaneous starts of all agents, and of changes of one endpoint. */
const ROUNDS = 3;
const CHANGES = 100;
const PAUSE_MS = 20;
/** Number of changes while 20 clients read nothing, and of Services per change. */
const MISSED = 50;
const MISSED_SERVICES = 200;
/** Longer than the delay after which the server returns unused memory, ms. */
const REST_MS = 15_000;

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

interface Answer {
  readonly times: readonly number[];
  readonly messages: number;
}

/** One server with its folder, and the processes of its agents. */
class Bench {
  readonly #dir = mkdtempSync(join(tmpdir(), 'weir-bench-kpng-'));
  readonly #size: Size;
  readonly #agents: number;
  readonly #processes: ChildProcess[] = [];
  #server: ChildProcess | undefined;
  #changes = 0;

  constructor(size: Size, agents: number) {
    this.#size = size;
    this.#agents = agents;
    writeFileSync(join(this.#dir, 'all.json'), JSON.stringify({ kind: 'List', items: [...nodes(agents), ...services(size, agents)] }));
    this.#write(endpoint(size.services, 0));
  }

  get #socket(): string {
    return join(this.#dir, 'kpng.sock');
  }

  /** Starts the server; returns the time until it has read its folder, ms. */
  async startServer(): Promise<number> {
    const start = now();
    const server = spawn(WEIR, ['kpng-server', '--dir', this.#dir, '--listen', `unix://${this.#socket}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#server = server;
    this.#processes.push(server);
    let log = '';
    for await (const chunk of server.stderr ?? []) {
      log += chunk;
      if (log.includes('Ready:')) break;
    }
    return now() - start;
  }

  /** Starts agents; returns the time until each has its first Sync, ms, and the number of all messages. */
  async startAgents(count: number, stuck = 0): Promise<Answer & { readonly agents: ChildProcess }> {
    const agents = fork(new URL('agents.ts', import.meta.url).pathname, [this.#socket, String(count), String(stuck)]);
    this.#processes.push(agents);
    await once(agents, 'spawn');
    // Exclude the start of Node itself
    const start = now() + 100;
    const [{ times, messages }] = (await once(agents, 'message')) as [Answer];
    return { agents, messages, times: times.map((time) => time - start) };
  }

  /** Changes one endpoint of each of `count` Services; returns the time until each agent has the change, ms. */
  async change(agents: ChildProcess, count = 1): Promise<readonly number[]> {
    const address = endpoint(this.#size.services, 1 + (this.#changes++ % 15));
    agents.send(address);
    await sleep(PAUSE_MS);
    const answer = once(agents, 'message') as Promise<[Answer]>;
    const start = now();
    this.#write(address, count);
    const [{ times }] = await answer;
    return times.map((time) => time - start);
  }

  /** Memory of the server now and at its peak, MB. */
  memory(): { readonly now: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.#server?.pid}/status`, 'utf8');
    const of = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
    return { now: of('VmRSS'), peak: of('VmHWM') };
  }

  end(): void {
    for (const process of this.#processes) process.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true });
  }

  /** Writes further Services whose first endpoint has the address. */
  #write(address: string, count = 1): void {
    const draft = join(this.#dir, 'draft');
    const items = Array.from({ length: count }, (_, i) => service(this.#size.services + i, 1, this.#agents, address));
    writeFileSync(draft, JSON.stringify({ kind: 'List', items: items.flat() }));
    renameSync(draft, join(this.#dir, 'changed.json'));
  }
}

interface Measured {
  readonly ready: number;
  readonly alone: number;
  readonly memory: { readonly idle: number; readonly served: number; readonly peak: number; readonly stuck: number };
  /** Time until the first and until the last agent has its first Sync, per round, ms. */
  readonly firsts: readonly number[];
  readonly lasts: readonly number[];
  readonly messages: number;
  readonly changes: readonly number[];
  readonly besideStuck: readonly number[];
}

async function measure(size: Size, count: number): Promise<Measured> {
  const bench = new Bench(size, count);
  try {
    const ready = await bench.startServer();
    await sleep(REST_MS);
    const idle = bench.memory().now;
    const one = await bench.startAgents(1);
    one.agents.kill();
    const starts: Awaited<ReturnType<Bench['startAgents']>>[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      starts.at(-1)?.agents.kill();
      await sleep(1000);
      starts.push(await bench.startAgents(count));
    }
    const { agents, messages } = starts.at(-1) as (typeof starts)[0];
    await sleep(REST_MS);
    const served = bench.memory().now;
    const changes = await inTurn(CHANGES, () => bench.change(agents));
    agents.kill();
    await sleep(1000);
    const withStuck = await bench.startAgents(count, 20);
    const besideStuck = await inTurn(CHANGES, () => bench.change(withStuck.agents));
    await inTurn(MISSED, () => bench.change(withStuck.agents, MISSED_SERVICES));
    await sleep(REST_MS);
    const { now: stuck, peak } = bench.memory();
    const ends = starts.map(({ times }) => spread(times));
    return {
      ...{ ready, alone: one.times[0] ?? Number.NaN, memory: { idle, served, peak, stuck }, messages },
      firsts: ends.map(({ min }) => min),
      lasts: ends.map(({ max }) => max),
      changes: changes.map((times) => Math.max(...times)),
      besideStuck: besideStuck.map((times) => Math.max(...times)),
    };
  } finally {
    bench.end();
  }
}

async function inTurn<T>(times: number, act: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < times; i++) results.push(await act());
  return results;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const megabytes = (count: number): string => `${Math.round(count)} MB`;

function percentiles(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): string => `${Math.round(sorted[Math.ceil(part * sorted.length) - 1] ?? Number.NaN)} ms`;
  return `median ${at(0.5)}, p99 **${at(0.99)}**`;
}

function report(measured: Measured, count: number): string {
  const { memory, firsts, lasts } = measured;
  const rows = [
    ['Start of the server, until it has read its folder', seconds(measured.ready)],
    ['One agent alone, until its first Sync', seconds(measured.alone)],
    [`${count} agents at once, until the first of them has its first Sync`, seconds(spread(firsts).median)],
    [`until the last of them has (${measured.messages.toLocaleString('en')} messages)`, `**${seconds(spread(lasts).median)}**`],
    ['One endpoint is changed, until the last agent has the Sync after it', percentiles(measured.changes)],
    [`the same, while 20 further clients read nothing`, percentiles(measured.besideStuck)],
    ['Memory of the server without clients', megabytes(memory.idle)],
    [`with ${count} agents, at rest`, `**${megabytes(memory.served)}**`],
    [`with those and 20 that read nothing, after ${MISSED} changes of ${MISSED_SERVICES} Services each`, megabytes(memory.stuck)],
    ['at most', megabytes(memory.peak)],
  ];
  return [row(['', 'measured']), row(['---', '--:']), ...rows.map(row)].join('\n');
}

try {
  const [serviceCount = '10000', endpoints = '100000', agents = '200', file] = process.argv.slice(2);
  const size = { services: Number(serviceCount), endpoints: Number(endpoints) / Number(serviceCount) };
  const where = machine();
  const measured = await measure(size, Number(agents));
  const what = `${size.services.toLocaleString('en')} Services with ${size.endpoints} endpoints each, on ${agents} nodes`;
  const text = `${where}. ${what}.\n\n${report(measured, Number(agents))}\n`;
  process.stdout.write(text);
  if (file !== undefined) updatePage(file, 'kpng', text);
} catch (error) {
  process.stderr.write(`bench-kpng: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
