/** What the datapath's tests do to a lab besides dialling in it. */
import { spawnSync } from 'node:child_process';
import { after } from 'node:test';
import { createLab } from '#lab/create-lab.ts';
import type { Lab } from '#lab/lab.ts';
import { bpffsDir, WEIR } from '#lab/paths.ts';
import { netnsPrefix } from '#lab/topology.ts';
import { PACKET_PATH_FLAG } from '#support/packet-path.ts';
import { node, type PodSpec, parked, SERVICE_CIDRS } from './objects.ts';

/** How much slower than a usual machine this one is. */
const TIME_SCALE = Number(process.env.WEIR_TIME_SCALE ?? 1);

/** A bound in milliseconds, stretched for slow machines. */
export const scaled = (ms: number): number => ms * TIME_SCALE;

/** A number of rounds or connections, fewer on slow machines. */
export const fewer = (count: number): number => Math.ceil(count / TIME_SCALE);

/** Contents of a test file's lab. */
interface Ground {
  /** Names of its nodes; n1 and n2 unless given. */
  readonly nodes?: readonly string[];
  readonly pods?: readonly PodSpec[];
  /** Services and slices, beside the nodes and the pods. */
  readonly objects?: readonly object[];
  /** Flags of every agent, after the usual ones. */
  readonly agentFlags?: readonly string[];
  /** False: no agents. */
  readonly agents?: boolean;
}

/**
 * Raises the lab of a test file, before its tests, and removes it after them. The lab's name holds the id of this process; `letter`
 * distinguishes labs of different files.
 */
export async function raise(
  letter: string,
  { nodes = ['n1', 'n2'], pods = [], objects = [], agentFlags = [], agents }: Ground,
): Promise<Lab> {
  const lab = await createLab({
    name: `${letter}${process.pid}`,
    objects: [...nodes.map(node), ...parked(pods), ...objects],
    serviceCidr: SERVICE_CIDRS,
    agentFlags: ['-v', '2', PACKET_PATH_FLAG, ...agentFlags],
    ...(agents === undefined ? {} : { agents }),
  });
  after(() => lab.down());
  await Promise.all(lab.topology.nodes.map(({ name }) => lab.exec(name, ['sh', '-c', UNLIMITED_ICMP])));
  return lab;
}

/** Otherwise the kernel tells one client of a refused datagram about once a second. */
export const UNLIMITED_ICMP = 'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit';

/** Name of a namespace of the lab; the lab removes namespaces that a test adds. */
export const netns = (lab: Lab, place: string): string => `${netnsPrefix(lab.topology.name)}${place}`;

/** Runs a command of `ip` in a namespace of the lab (`''`: in none). Throws what it complains about. */
export function ip(lab: Lab, place: string, line: string): string {
  const argv = [...(place ? ['-n', netns(lab, place)] : []), ...line.split(' ')];
  const { status, stdout, stderr } = spawnSync('ip', argv, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`Cannot run "ip ${argv.join(' ')}": ${stderr.trim()}`);
  return stdout;
}

/** Clients outside have a way to Service addresses by this node, as where a router knows them. */
export function routeServicesBy(lab: Lab, address: string): void {
  for (const cidr of SERVICE_CIDRS.split(','))
    if (cidr.includes(':') === address.includes(':')) ip(lab, 'wire', `route replace ${cidr} via ${address}`);
}

/** Runs a function in a process of its own at a place of the lab; it sees nothing but its arguments, and imports with `await import`. */
export async function inside<A extends readonly unknown[], R>(
  lab: Lab,
  place: string,
  run: (...given: A) => Promise<R>,
  ...given: A
): Promise<R> {
  const script = `const run = ${run}; console.log(JSON.stringify(await run(...${JSON.stringify(given)}))); process.exit()`;
  const { code, stdout, stderr } = await lab.exec(place, [process.execPath, '--input-type=module', '-'], script);
  if (code !== 0) throw new Error(`A function failed at ${place}: ${stderr}`);
  return JSON.parse(stdout);
}

/** What `weir` says when run at a node; the state folder of the node's agent is named for the commands that want one. */
export async function weir(lab: Lab, node: string, command: string, ...more: string[]) {
  const outcome = await lab.exec(node, [WEIR, command, ...stateDir(lab, node), ...more]);
  if (outcome.code !== 0) throw new Error(`weir ${command} failed on ${node}: ${outcome.stderr}`);
  return outcome.stdout;
}

/** The flag that names the state folder of a node's agent. */
export const stateDir = (lab: Lab, node: string): string[] => ['--state-dir', bpffsDir(lab.topology.name, node)];

/** How often each decision was taken on a node. */
export const outcomes = async (lab: Lab, node: string): Promise<Readonly<Record<string, number>>> =>
  JSON.parse(await weir(lab, node, 'dump', '-o', 'json')).outcomes;

/** Lines of the conntrack table of a node. */
export async function conntrackEntries(lab: Lab, node: string, ...filter: string[]): Promise<string[]> {
  const { stdout } = await lab.exec(node, ['conntrack', '-L', ...filter]);
  return stdout.split('\n').filter((line) => line !== '');
}

/** Starts a node's agent anew, with flags after its own. */
export async function restartAgent(lab: Lab, node: string, ...extraFlags: string[]): Promise<void> {
  await lab.agent(node).kill();
  await lab.agent(node).start({ extraFlags });
}
