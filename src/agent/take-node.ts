import type { Config } from '#config/config.ts';
import { openDatapath } from '#kernel/bpf/datapath.ts';
import { tableSizes } from '#kernel/bpf/table-sizes.ts';
import { bpffsRemedy, findCgroupRoot, isCgroup2 } from '#kernel/node/mounts.ts';
import type { Datapath } from '#reconcile/ports/datapath.ts';
import { ExitError } from './exit-error.ts';
import { lockNode, lockState } from './lock.ts';

/** The parts of a node that one agent uses alone. */
export interface TakenNode {
  /** cgroup v2 folder that holds every process of this node. */
  readonly cgroupRoot: string;
  readonly datapath: Datapath;
  /** Lets another agent take the node; close the datapath first. */
  release(): void;
}

/** Throws an ExitError that names what the node lacks, or the agent that has it. */
export async function takeNode(config: Config, objectsDir: string): Promise<TakenNode> {
  const { stateDir, mapSizes } = config;
  const cgroupRoot = config.cgroupRoot ?? findCgroupRoot();
  if (cgroupRoot === undefined)
    throw new ExitError('node', 'Cannot find a cgroup v2 mount in /proc/mounts: mount one, or name it with --cgroup-root');
  if (!isCgroup2(cgroupRoot)) throw new ExitError('usage', `Cannot use --cgroup-root ${cgroupRoot}: it should be a folder of cgroup v2`);
  try {
    tableSizes(mapSizes);
  } catch (error) {
    throw new ExitError('usage', `--map-size: ${(error as Error).message}`);
  }
  const lock = await lockNode();
  const remedy = bpffsRemedy(stateDir);
  if (remedy !== undefined)
    throw new ExitError(
      'node',
      `Cannot use --state-dir ${stateDir}: this process has mounts of its own, as in a container, and what serves would be gone with them, ${remedy}`,
    );
  const folder = ofNode(() => lockState(stateDir));
  const datapath = ofNode(() => openDatapath({ ...config, objectsDir }));
  return {
    cgroupRoot,
    datapath,
    release() {
      folder.close();
      lock.close();
    },
  };
}

function ofNode<T>(act: () => T): T {
  try {
    return act();
  } catch (cause) {
    if (cause instanceof ExitError || cause instanceof TypeError || cause instanceof RangeError) throw cause;
    throw new ExitError('node', 'This node cannot run weir as it is, "weir doctor" says what it lacks', { cause });
  }
}
