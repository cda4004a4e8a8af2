/**
 * Compares the packet paths with kube-proxy's rules and with plain routing: time of a packet, and new connections. Argument: a Markdown file
 * whose part `packets` is replaced.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createLab } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { PACKET_PATHS } from '#reconcile/ports/datapath.ts';
import { clusterIP, node, nodeAddress, nodePort, type PodSpec, parked, podAddress, SERVICE_CIDRS } from '../test/datapath/objects.ts';
import { buildLoad, LOAD, serviceOver, startEnd, turnOnTracking } from './cluster.ts';
import { kubeProxyRules } from './kube-proxy-rules.ts';
import { machine, row, updatePage } from './page.ts';
import { spread } from './report.ts';

const ROUNDS = 25;
const MS = 100;
const THREADS = 4;
const FLOOD = join(import.meta.dirname, '../dist/bench/flood');
const [SINK_PORT, SERVER_PORT] = [9100, 9000];

/** What translates on a node. The first is what the others are compared with. */
const KINDS = [
  { name: "kube-proxy's nftables rules", node: 'n1' },
  ...PACKET_PATHS.map((name, i) => ({ name: `weir, ${name}`, node: `n${i + 2}` })),
  { name: 'no proxy, connection tracking on', node: 'n4' },
  { name: 'no proxy', node: 'n5' },
] as const;
const PROXIES = KINDS.slice(0, 3);
const FAR: PodSpec = { name: 'p6', node: 'n6' };
const near = (place: string): PodSpec => ({ name: place.replace('n', 'p'), node: place });
const PODS = [...KINDS.map((kind) => near(kind.node)), FAR];

/** Numbers of the Services on a node: to a sink and to a server on the node, and to a sink and to a server on another node. */
const numbersOf = (kind: number) => ({ sink: kind * 10 + 1, server: kind * 10 + 2, farSink: kind * 10 + 3, farServer: kind * 10 + 4 });

const SERVICES = PROXIES.flatMap(({ node: place }, i) => {
  const numbers = numbersOf(i);
  return [
    { n: numbers.sink, pod: near(place), port: SINK_PORT },
    { n: numbers.server, pod: near(place), port: SERVER_PORT },
    { n: numbers.farSink, pod: FAR, port: SINK_PORT },
    { n: numbers.farServer, pod: FAR, port: SERVER_PORT },
  ];
});

interface Row {
  readonly name: string;
  readonly unit: 'ns a packet' | 'connections a second';
  readonly series: readonly { readonly kind: string; readonly argv: readonly string[] }[];
}

const flood = (address: string, port: number): string[] => [FLOOD, 'send', `${MS}`, address, `${port}`];
const connect = (address: string, port: number): string[] => [LOAD, 'connect', `${THREADS}`, `${MS}`, address, `${port}`];

type Numbers = ReturnType<typeof numbersOf>;

const byNodePort = (argv: typeof flood, number: (numbers: Numbers) => number): Row['series'] =>
  PROXIES.map(({ name, node: place }, i) => ({ kind: name, argv: argv(nodeAddress(place), nodePort(number(numbersOf(i)))) }));

const toPods = (argv: typeof flood, port: number): Row['series'] =>
  KINDS.map(({ name, node: place }) => ({ kind: name, argv: argv(podAddress(near(place)), port) }));

const ROWS: readonly Row[] = [
  { name: 'foreign traffic, one UDP flow', unit: 'ns a packet', series: toPods(flood, SINK_PORT) },
  { name: 'NodePort, one UDP flow', unit: 'ns a packet', series: byNodePort(flood, ({ sink }) => sink) },
  { name: 'NodePort, endpoint on another node, one UDP flow', unit: 'ns a packet', series: byNodePort(flood, ({ farSink }) => farSink) },
  { name: 'foreign new TCP connections', unit: 'connections a second', series: toPods(connect, SERVER_PORT) },
  { name: 'new TCP connections, NodePort', unit: 'connections a second', series: byNodePort(connect, ({ server }) => server) },
  {
    name: 'new TCP connections, NodePort, endpoint on another node',
    unit: 'connections a second',
    series: byNodePort(connect, ({ farServer }) => farServer),
  },
];

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort(new Error('Interrupted')));

async function raise(): Promise<Lab> {
  buildLoad();
  mkdirSync(join(FLOOD, '..'), { recursive: true });
  const { status, stderr } = spawnSync('clang', ['-O2', '-o', FLOOD, join(import.meta.dirname, 'flood.c')], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot build flood.c: ${stderr}`);
  const objects = [...['n1', 'n2', 'n3', 'n4', 'n5', 'n6'].map(node), ...parked(PODS)];
  const lab = await createLab({ name: 'packets', objects, agents: false, serviceCidr: SERVICE_CIDRS, signal: interruption.signal });
  try {
    lab.writeManifest(
      'services.json',
      SERVICES.flatMap(({ n, pod, port }) => serviceOver(n, pod, port)),
    );
    for (const [i, path] of PACKET_PATHS.entries()) await lab.agent(`n${i + 2}`).start({ extraFlags: [`--packet-path=${path}`] });
    const ruled = SERVICES.map(({ n, pod, port }) => ({
      ...{ name: `s${n}`, clusterIP: clusterIP(n), nodePort: nodePort(n), endpoint: podAddress(pod), port },
    }));
    const { code, stderr: said } = await lab.exec('n1', ['nft', '-f', '-'], kubeProxyRules(nodeAddress('n1'), ruled));
    if (code !== 0) throw new Error(`Cannot install kube-proxy's rules: ${said}`);
    await turnOnTracking(lab, 'n4');
    for (const pod of PODS) {
      await startEnd(lab, pod, [LOAD, 'serve', '2', podAddress(pod), `${SERVER_PORT}`]);
      await startEnd(lab, pod, [FLOOD, 'sink', podAddress(pod), `${SINK_PORT}`]);
    }
    return lab;
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** Requests per second and failed requests of one round. */
interface Rate {
  readonly rate: number;
  readonly errors: number;
}

async function measure(lab: Lab, argv: readonly string[]): Promise<Rate> {
  interruption.signal.throwIfAborted();
  const { code, stdout, stderr } = await lab.exec('outside', [...argv]);
  if (code !== 0) throw new Error(`Cannot run ${argv.join(' ')}: ${stderr}`);
  const { requests, errors, seconds } = JSON.parse(stdout);
  return { rate: requests / seconds, errors };
}

/** One line for each kind; ratios are of one round. */
async function compare(lab: Lab, { name, unit, series }: Row): Promise<string[]> {
  const rounds: Rate[][] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const rates: Rate[] = [];
    for (let i = 0; i < series.length; i++) {
      const at = round % 2 === 0 ? i : series.length - 1 - i;
      rates[at] = await measure(lab, series[at]?.argv ?? []);
    }
    if (round > 0) rounds.push(rates);
  }
  const figure = (round: readonly Rate[], i: number): number => {
    const rate = round[i]?.rate ?? Number.NaN;
    return unit === 'ns a packet' ? 1e9 / rate : rate;
  };
  return series.map(({ kind }, i) => {
    const median = Math.round(spread(rounds.map((round) => figure(round, i))).median).toLocaleString('en');
    const ratio = spread(rounds.map((round) => figure(round, i) / figure(round, 0)));
    const ratios = `**${ratio.median.toFixed(2)}** (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})`;
    const errors = rounds.reduce((sum, round) => sum + (round[i]?.errors ?? 0), 0);
    return row([i === 0 ? `${name}, ${unit}` : '', kind, median, i === 0 ? '1' : ratios, `${errors}`]);
  });
}

async function run(): Promise<string> {
  const where = machine();
  const lab = await raise();
  try {
    const head = [row(['What', 'Node', 'median', 'ratio (lowest to highest round)', 'errors']), row(['---', '---', '--:', '--:', '--:'])];
    const rows: string[] = [];
    for (const each of ROWS) rows.push(...(await compare(lab, each)));
    return `${where}.\n${ROUNDS} rounds of ${MS} ms for each line, interleaved.\n\n${[...head, ...rows].join('\n')}\n`;
  } finally {
    await lab.down();
  }
}

try {
  const text = await run();
  process.stdout.write(text);
  const [file] = process.argv.slice(2);
  if (file !== undefined) updatePage(file, 'packets', text);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
