import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Folder that holds a folder for each lab of this machine. */
export const LABS_DIR = '/run/weir-lab';

/** Folder of a lab: everything that is a file lies in it. */
export const labDir = (lab: string): string => join(LABS_DIR, lab);
/** What a later process needs to know, see `LabState`. */
export const stateFile = (lab: string): string => join(labDir(lab), 'state.json');
/** The folder of Kubernetes objects that all agents of a lab follow. */
export const manifestsDir = (lab: string): string => join(labDir(lab), 'manifests');
/** Folder of a node: bpffs, log and process id of its agent. */
export const nodeDir = (lab: string, node: string): string => join(labDir(lab), 'nodes', node);
/** bpffs of a node's agent. */
export const bpffsDir = (lab: string, node: string): string => join(nodeDir(lab, node), 'bpf');
/** Standard output and error of a node's agent, of all its starts. */
export const agentLog = (lab: string, node: string): string => join(nodeDir(lab, node), 'agent.log');
/** The list that the keeper serves. */
export const serversFile = (lab: string): string => join(labDir(lab), 'servers.json');
/** Standard error of the keeper. */
export const keeperLog = (lab: string): string => join(labDir(lab), 'keeper.log');

/** The one cgroup that every process of a lab is in. */
export const labCgroup = (root: string, lab: string): string => join(root, `weir-${lab}`);
/** Cgroup of a node and its pods, of the outside, of the keeper. */
export const placeCgroup = (root: string, lab: string, node: string): string => join(labCgroup(root, lab), node);
/** Folder in the lab's cgroup for its keeper; no node can have this name. */
export const KEEPER_CGROUP = '_keeper';

/** Folder of this checkout, found from the source file or from the bundle, whichever runs. */
export const CHECKOUT = checkoutAbove(import.meta.dirname);

/** Programs that a lab starts. */
export const WEIR = join(CHECKOUT, 'bin/weir');
export const KEEPER = join(CHECKOUT, 'src/lab/keeper.ts');
export const PROBER = join(CHECKOUT, 'src/lab/prober.ts');

function checkoutAbove(dir: string): string {
  if (existsSync(join(dir, 'src/lab/keeper.ts'))) return dir;
  if (dir === '/') throw new Error('Cannot find the sources of the lab: it runs from a checkout of weir');
  return checkoutAbove(dirname(dir));
}
