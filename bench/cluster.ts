import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createLab } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { bpffsDir, WEIR } from '#lab/paths.ts';
import {
  clusterIP,
  node,
  nodeAddress,
  nodePort,
  numbered,
  type PodSpec,
  parked,
  podAddress,
  SERVICE_CIDRS,
  slice,
} from '../test/datapath/objects.ts';

const ROOT = join(import.meta.dirname, '..');
/** The compiled load generator. */
export const LOAD = join(ROOT, 'dist/bench/load');
const SERVER_THREADS = 2;

/** n1 and n2 run weir; n3 nothing; n4 nothing but the kernel's connection tracking, which weir turns on. */
const NEAR: PodSpec = { name: 'p1', node: 'n1' };
const FAR: PodSpec = { name: 'p2', node: 'n2' };
const BARE: PodSpec = { name: 'p3', node: 'n3' };
const TRACKING: PodSpec = { name: 'p6', node: 'n4' };
const CLIENT: PodSpec = { name: 'p4', node: 'n1' };
const BARE_CLIENT: PodSpec = { name: 'p5', node: 'n3' };
const TRACKING_CLIENT: PodSpec = { name: 'p7', node: 'n4' };
const PODS = [NEAR, FAR, BARE, TRACKING, CLIENT, BARE_CLIENT, TRACKING_CLIENT];

/** A way to a server, from a place of the lab. */
export interface Path {
  readonly name: string;
  readonly from: string;
  readonly address: string;
  readonly port: number;
}

/** Paths that are compared; the first is what the others are compared with. */
export interface Group {
  readonly name: string;
  readonly paths: readonly [Path, ...Path[]];
}

/**
 * A server for each path: two paths from one client to one server would take each other's ports away, because a translated flow
 * and a direct one must differ in the replies that conntrack expects.
 */
const SERVERS = [
  { pod: NEAR, port: 9000 },
  { pod: NEAR, port: 9001 },
  { pod: NEAR, port: 9002 },
  { pod: NEAR, port: 9003 },
  { pod: FAR, port: 9000 },
  { pod: FAR, port: 9001 },
  { pod: BARE, port: 9000 },
  { pod: TRACKING, port: 9000 },
];

const direct = (name: string, from: string, pod: PodSpec): Path => ({ name, from, address: podAddress(pod), port: 9000 });
const nodePortOf = (name: string, n: number): Path => ({ name, from: 'outside', address: nodeAddress('n1'), port: nodePort(n) });

export const GROUPS: readonly Group[] = [
  {
    name: 'from a pod to a pod on the same node',
    paths: [
      direct('direct', CLIENT.name, NEAR),
      { name: 'ClusterIP (A3)', from: CLIENT.name, address: clusterIP(1), port: 80 },
      direct('direct, conntrack without weir', TRACKING_CLIENT.name, TRACKING),
      direct('direct, nothing on the node', BARE_CLIENT.name, BARE),
    ],
  },
  {
    name: 'from outside to a pod',
    paths: [
      direct('direct', 'outside', NEAR),
      nodePortOf('NodePort (A2), policy Cluster', 2),
      nodePortOf('NodePort (A2), policy Local', 3),
      direct('direct, conntrack without weir', 'outside', TRACKING),
      direct('direct, nothing on the node', 'outside', BARE),
    ],
  },
  {
    name: 'from outside to a pod on another node than the one dialled',
    paths: [direct('direct, without the detour', 'outside', FAR), nodePortOf('NodePort (A2)', 4)],
  },
];

/** Service number `n` over one port of one pod. */
export function serviceOver(n: number, pod: PodSpec, port: number, spec: object = {}): object[] {
  const ports = (['TCP', 'UDP'] as const).map((protocol) => ({ name: protocol.toLowerCase(), protocol, port }));
  return [numbered(`s${n}`, n, { families: [4], spec }), slice({ of: `s${n}`, pods: [pod], ports })];
}

const SERVICES = [
  ...serviceOver(1, NEAR, 9001),
  ...serviceOver(2, NEAR, 9002),
  ...serviceOver(3, NEAR, 9003, { externalTrafficPolicy: 'Local' }),
  ...serviceOver(4, FAR, 9001),
];

/** Three nodes, their echo servers and agents, ready to be dialled on every path. */
export async function raiseCluster(signal: AbortSignal): Promise<Lab> {
  buildLoad();
  const objects = [...['n1', 'n2', 'n3', 'n4'].map(node), ...parked(PODS)];
  const lab = await createLab({ name: 'bench', objects, agents: false, serviceCidr: SERVICE_CIDRS, signal });
  try {
    lab.writeManifest('services.json', SERVICES);
    await Promise.all(['n1', 'n2'].map((name) => lab.agent(name).start({ signal })));
    await turnOnTracking(lab, TRACKING.node);
    await Promise.all(SERVERS.map(({ pod, port }) => startServer(lab, pod, port)));
    return lab;
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** As any rule with `ct state` and NAT chains do, on every node with kube-proxy too. */
export async function turnOnTracking(lab: Lab, name: string): Promise<void> {
  const hooks = ['prerouting', 'input', 'output', 'postrouting'];
  const chains = hooks.map((hook) => `chain ${hook} {\ntype nat hook ${hook} priority 0\nct state new\n}\n`);
  const { code, stderr } = await lab.exec(name, ['nft', '-f', '-'], `table inet tracking {\n${chains.join('')}}\n`);
  if (code !== 0) throw new Error(`Cannot turn on conntrack on ${name}: ${stderr}`);
}

/** Compiles the load generator. */
export function buildLoad(): void {
  mkdirSync(dirname(LOAD), { recursive: true });
  const { status, stderr } = spawnSync('clang', ['-O2', '-pthread', '-o', LOAD, join(import.meta.dirname, 'load.c')], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot build the load generator: ${stderr}`);
}

const startServer = (lab: Lab, pod: PodSpec, port: number): Promise<void> =>
  startEnd(lab, pod, [LOAD, 'serve', `${SERVER_THREADS}`, podAddress(pod), `${port}`]);

/** Starts the other end of the load in a pod, and waits until it is ready. */
export async function startEnd(lab: Lab, pod: PodSpec, argv: readonly string[]): Promise<void> {
  const server = lab.spawn(pod.name, [...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = server.stdout ? await Promise.race([once(server.stdout, 'data'), once(server, 'exit')]) : [];
  if (`${line}`.trim() !== 'ready') throw new Error(`Cannot start the server of ${pod.name}: ${line}`);
}

/** What the load generator counted, and the processor time of both ends and of what the kernel did for them. */
export interface Sample {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly processorSeconds: number;
}

/** Load for a path: clients at a time, each with one request, and how long. */
export interface Load {
  readonly workload: string;
  readonly threads: number;
  readonly ms: number;
}

/** Puts load on a path. */
export async function measure(lab: Lab, { from, address, port }: Path, { workload, threads, ms }: Load): Promise<Sample> {
  const before = processorSeconds(lab);
  const { code, stdout, stderr } = await lab.exec(from, [LOAD, workload, `${threads}`, `${ms}`, address, `${port}`]);
  if (code !== 0) throw new Error(`Cannot put load on ${address}:${port} from ${from}: ${stderr || `exit code ${code}`}`);
  return { ...JSON.parse(stdout), processorSeconds: processorSeconds(lab) - before };
}

/** Of all processes of the lab, since it stands. */
function processorSeconds(lab: Lab): number {
  const statistics = readFileSync(join(dirname(lab.place('n1').cgroup), 'cpu.stat'), 'utf8');
  return Number(/^usage_usec (\d+)$/m.exec(statistics)?.[1]) / 1e6;
}

/** What the programs of n1 decided so far, by outcome. */
export async function decisions(lab: Lab): Promise<Record<string, number>> {
  const { code, stdout, stderr } = await lab.exec('n1', [WEIR, 'dump', '--state-dir', bpffsDir(lab.topology.name, 'n1'), '-o', 'json']);
  if (code !== 0) throw new Error(`Cannot read the counters of n1: ${stderr}`);
  return JSON.parse(stdout).outcomes;
}
