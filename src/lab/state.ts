import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { LABS_DIR, labDir, placeCgroup, stateFile } from './paths.ts';
import type { Place } from './place.ts';
import { OUTSIDE, outsideNetns, type Topology } from './topology.ts';

/** What a later process needs in order to work with a lab. */
export interface LabState {
  readonly topology: Topology;
  /** Where cgroup v2 is mounted. */
  readonly cgroupRoot: string;
}

/** Takes a lab's name for this process, before anything of the lab is made; throws if it is taken. */
export function claimLab(lab: string): void {
  mkdirSync(LABS_DIR, { recursive: true });
  try {
    mkdirSync(labDir(lab));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new Error(`Cannot build lab "${lab}": it exists, "weir lab down${lab === 'lab' ? '' : ` --name ${lab}`}" removes it`);
  }
}

/** Keeps the state for `readState`. */
export const writeState = (state: LabState): void => writeFileSync(stateFile(state.topology.name), JSON.stringify(state));

/** State of a running lab; throws if there is none. */
export function readState(lab: string): LabState {
  if (!existsSync(stateFile(lab))) throw new Error(`There is no lab "${lab}": "weir lab up FILE..." makes one`);
  return JSON.parse(readFileSync(stateFile(lab), 'utf8'));
}

/** Every name that a command can be run at: nodes, the outside, pods. */
export function places({ topology, cgroupRoot }: LabState): Place[] {
  const cgroup = (node: string) => placeCgroup(cgroupRoot, topology.name, node);
  const outside = { name: OUTSIDE, netns: outsideNetns(topology.name), cgroup: cgroup(OUTSIDE) };
  return [...topology.nodes.map(({ name, netns }) => ({ name, netns, cgroup: cgroup(name) })), outside].concat(
    topology.pods.map(({ name, netns, node }) => ({ name, netns, cgroup: cgroup(node) })),
  );
}

/** Place of a name; pods answer to their name without the namespace too, if it is theirs alone, and to their addresses. */
export function findPlace(state: LabState, name: string): Place {
  const all = places(state);
  const pods = state.topology.pods.filter((pod) => pod.name.endsWith(`/${name}`) || pod.addresses.some((address) => address === name));
  const found =
    all.find((place) => place.name === name) ?? (pods.length === 1 ? all.find((place) => place.name === pods[0]?.name) : undefined);
  if (found) return found;
  throw new Error(`There is no "${name}" in lab "${state.topology.name}", it has: ${all.map((place) => place.name).join(', ')}`);
}
