import { once } from 'node:events';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findCgroupRoot, mountBpffs } from '#kernel/node/mounts.ts';
import { formatPrefix } from '#lib/address.ts';
import { AgentProcess } from './agent-process.ts';
import { Lab } from './lab.ts';
import * as paths from './paths.ts';
import { outcomeOf, spawnInCgroup } from './place.ts';
import { localDetectorFlags, serviceRanges } from './ranges.ts';
import { readObjects } from './read-objects.ts';
import { removeLab } from './removal.ts';
import { claimLab, findPlace, type LabState, writeState } from './state.ts';
import { OUTSIDE, planTopology, type Topology } from './topology.ts';
import { wiringScript } from './wiring.ts';

export const DEFAULT_LAB = 'lab';

/** What to raise. */
export interface LabSpec {
  /** Lower-case letters and digits, at most 12. */
  readonly name?: string;
  /** Manifest files: copied into the lab's manifest folder under their own names. */
  readonly files?: readonly string[];
  /** Kubernetes objects as JSON has them: written to `objects.json` there. */
  readonly objects?: readonly unknown[];
  /** False: no agents, only the places. */
  readonly agents?: boolean;
  /** Flags of `weir run` that every agent gets after the lab's own. */
  readonly agentFlags?: readonly string[];
  /** Instead of ranges computed from the ClusterIPs in use. */
  readonly serviceCidr?: string;
  readonly signal?: AbortSignal;
}

/** Raises a lab and waits until its servers listen and its agents are ready. Whatever fails: nothing is left of it. */
export async function createLab(spec: LabSpec): Promise<Lab> {
  const { name = DEFAULT_LAB } = spec;
  if (!/^[a-z0-9]{1,12}$/.test(name)) throw new Error(`Cannot name a lab "${name}": lower-case letters and digits are allowed, at most 12`);
  const cgroupRoot = findCgroupRoot();
  if (cgroupRoot === undefined) throw new Error('Cannot build a lab: cgroup v2 is not mounted, it should be in /proc/mounts');
  if (!existsSync(paths.KEEPER)) throw new Error(`Cannot build a lab: there is no ${paths.KEEPER}, the image comes without it`);
  claimLab(name);
  try {
    return await build({ topology: await readTopology(name, spec), cgroupRoot }, spec);
  } catch (error) {
    await removeLab(name);
    throw error;
  }
}

async function readTopology(lab: string, spec: LabSpec): Promise<Topology> {
  const { objects, problems } = await readObjects(writeManifests(lab, spec));
  const topology = planTopology(lab, objects);
  if (!topology.ok) throw new Error([...topology.errors, ...problems].join('\n'));
  return { ...topology.value, notes: [...topology.value.notes, ...problems] };
}

async function build(state: LabState, spec: LabSpec): Promise<Lab> {
  writeState(state);
  makeFolders(state);
  await wire(state, spec.signal);
  spec.signal?.throwIfAborted();
  for (const node of state.topology.nodes) mountBpffs(paths.bpffsDir(state.topology.name, node.name));
  await startKeeper(state);
  spec.signal?.throwIfAborted();
  const agents = new Map(state.topology.nodes.map((node) => [node.name, agentOf(state, node.name, spec)]));
  if (spec.agents !== false) await Promise.all([...agents.values()].map((agent) => agent.start({ signal: spec.signal })));
  return new Lab(state, agents);
}

/** Fills the lab's manifest folder; returns the files to read the cluster from. */
function writeManifests(lab: string, { files = [], objects }: LabSpec): string[] {
  const dir = paths.manifestsDir(lab);
  mkdirSync(dir);
  for (const [i, file] of files.entries()) {
    const twin = files.slice(0, i).some((other) => basename(other) === basename(file));
    copyManifest(file, join(dir, twin ? `${i}-${basename(file)}` : basename(file)));
  }
  if (!objects) return [...files];
  const listed = join(dir, 'objects.json');
  writeFileSync(listed, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, null, 1));
  return [...files, listed];
}

function copyManifest(file: string, copy: string): void {
  try {
    copyFileSync(file, copy);
  } catch (cause) {
    throw new Error(`Cannot copy ${file} into the lab`, { cause });
  }
}

function makeFolders({ topology: { name, nodes }, cgroupRoot }: LabState): void {
  for (const node of nodes) mkdirSync(paths.nodeDir(name, node.name), { recursive: true });
  for (const place of [...nodes.map((node) => node.name), OUTSIDE, paths.KEEPER_CGROUP]) {
    mkdirSync(paths.placeCgroup(cgroupRoot, name, place), { recursive: true });
  }
}

async function wire({ topology, cgroupRoot }: LabState, signal: AbortSignal | undefined): Promise<void> {
  const cgroup = paths.placeCgroup(cgroupRoot, topology.name, paths.KEEPER_CGROUP);
  const { code, stderr } = await outcomeOf(spawnInCgroup(cgroup, ['/bin/sh', '-e'], { stdio: 'pipe', signal }), wiringScript(topology));
  if (code !== 0) throw new Error(`Cannot build the namespaces of lab "${topology.name}": ${stderr.trim() || `exit code ${code}`}`);
}

async function startKeeper({ topology, cgroupRoot }: LabState): Promise<void> {
  const { name } = topology;
  writeFileSync(paths.serversFile(name), JSON.stringify(topology.servers));
  const log = openSync(paths.keeperLog(name), 'a');
  const argv = [process.execPath, paths.KEEPER, paths.serversFile(name), paths.labCgroup(cgroupRoot, name)];
  const keeper = spawnInCgroup(paths.placeCgroup(cgroupRoot, name, paths.KEEPER_CGROUP), argv, {
    detached: true,
    stdio: ['ignore', 'pipe', log],
  });
  closeSync(log);
  const [line] = keeper.stdout ? await Promise.race([once(keeper.stdout, 'data'), once(keeper, 'exit')]) : [];
  if (`${line}`.trim() !== 'ready') throw new Error(`Cannot start the servers of lab "${name}": ${line}`);
  keeper.stdout?.destroy();
  keeper.unref();
}

function agentOf(state: LabState, node: string, spec: LabSpec): AgentProcess {
  const { name } = state.topology;
  const place = findPlace(state, node);
  return new AgentProcess(place, agentFlags(state.topology, node, place.cgroup, spec), {
    log: paths.agentLog(name, node),
    pid: join(paths.nodeDir(name, node), 'agent.pid'),
  });
}

function agentFlags(topology: Topology, node: string, cgroup: string, { serviceCidr, agentFlags = [] }: LabSpec): string[] {
  const ranges = serviceCidr ?? serviceRanges(topology).map(formatPrefix).join(',');
  return [
    ...['--source', 'manifests', '--dir', paths.manifestsDir(topology.name), '--node-name', node],
    ...['--cgroup-root', cgroup, '--state-dir', paths.bpffsDir(topology.name, node)],
    ...['--journal-dir', paths.journalDir(topology.name, node)],
    ...localDetectorFlags(topology),
    ...(ranges ? ['--service-cidr', ranges] : []),
    ...agentFlags,
  ];
}
