/** Compares Services with direct connections on one machine. Argument: a Markdown file whose measured part is replaced. */
import type { Lab } from '#lab/lab.ts';
import { decisions, GROUPS, type Group, measure, raiseCluster, type Sample } from './cluster.ts';
import { machine, updatePage } from './page.ts';
import { type Comparison, report } from './report.ts';

const ROUNDS = 25;
const CLIENTS = { threads: 4, ms: 100 };
const WORKLOADS: Readonly<Record<string, string>> = {
  connect: 'new TCP connection, request, close',
  stream: 'on open TCP connections',
  flow: 'new UDP socket, request',
  dgram: 'on open UDP sockets, not connected',
};

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort(new Error('Interrupted')));

/** One round of a group under one workload; every other round goes backwards, so that no path is always the first. */
async function oneRound(lab: Lab, { paths }: Group, workload: string, round: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  const order = paths.map((_, i) => (round % 2 === 0 ? i : paths.length - 1 - i));
  for (const i of order) {
    interruption.signal.throwIfAborted();
    const path = paths[i];
    if (path !== undefined) samples[i] = await measure(lab, path, { workload, ...CLIENTS });
  }
  return samples;
}

async function compare(lab: Lab, group: Group, workload: string): Promise<Comparison> {
  await oneRound(lab, group, workload, 0);
  const rounds: Sample[][] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await oneRound(lab, group, workload, round));
  const series = group.paths.map((path, i) => ({ path, samples: rounds.flatMap((samples) => samples[i] ?? []) }));
  return { group, workload: WORKLOADS[workload] ?? workload, series };
}

async function run(): Promise<string> {
  const where = machine();
  const lab = await raiseCluster(interruption.signal);
  try {
    const comparisons: Comparison[] = [];
    for (const group of GROUPS) {
      for (const workload of Object.keys(WORKLOADS)) comparisons.push(await compare(lab, group, workload));
    }
    const decided = Object.entries(await decisions(lab)).filter(([, count]) => count > 0);
    return `${where}. ${ROUNDS} rounds of ${CLIENTS.ms} ms for each path, ${CLIENTS.threads} clients.\n\n${report(comparisons)}\n\nDecisions of node n1: ${decided.map(([outcome, count]) => `${outcome} ${count}`).join(', ')}.\n`;
  } finally {
    await lab.down();
  }
}

try {
  const text = await run();
  process.stdout.write(text);
  const [file] = process.argv.slice(2);
  if (file !== undefined) updatePage(file, 'measured', text);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
