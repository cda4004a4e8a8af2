import { join } from 'node:path';

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
/** What a node's agent writes down for its next start. */
export const journalDir = (lab: string, node: string): string => join(nodeDir(lab, node), 'journal');
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

/** Whether the sources run as they are, or their bundle. */
const isSource = import.meta.filename.endsWith('.ts');

/** Folder with `bin` and `dist`: a checkout of weir, or what npm has installed. */
export const CHECKOUT = join(import.meta.dirname, isSource ? '../..' : '..');

const program = (name: string): string => join(import.meta.dirname, isSource ? `${name}.ts` : `lab-${name}.mjs`);

/** Programs that a lab starts. */
export const WEIR = join(CHECKOUT, 'bin/weir');
export const KEEPER = program('keeper');
export const PROBER = program('prober');
