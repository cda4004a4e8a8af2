import { mkdirSync, rmSync } from 'node:fs';
import { loadModules } from '../node/modules.ts';
import { mountBpffs } from '../node/mounts.ts';
import { type LoadedObject, type LoadedProgram, loadObject } from './bpf-object.ts';
import { attachDevice, attachedDevices, detachDevice } from './device-links.ts';
import { inheritFlowState } from './flow-state.ts';
import { openPinnedTables, type PinnedTables } from './maps.ts';
import { folderInUse } from './open-tables.ts';
import { attachSockets } from './socket-links.ts';
import { loadStaleSockets, type StaleSockets } from './stale-sockets.ts';
import { mapFolders, namesIn } from './state-folder.ts';
import { folderName, tableSizes } from './table-sizes.ts';

/**
 * Whether packets of a device begin with an Ethernet header (`l2`) or with the IP header (`l3`). `port`: they have an Ethernet header that
 * may name the bridge instead of the device.
 */
export type Layer = 'l2' | 'l3' | 'port';

/** The object files of bpf/, and the program of the second for each kind of device. */
const SOCKET_OBJECT = 'socket.bpf.o';
const CONNTRACK_OBJECT = 'conntrack.bpf.o';
const STALE_SOCKETS_OBJECT = 'stale_sockets.bpf.o';
const DEVICE_PROGRAMS: Readonly<Record<Layer, string>> = { l2: 'weir_ingress_l2', l3: 'weir_ingress_l3', port: 'weir_ingress_port' };

export interface DatapathOptions {
  /** Folder with the compiled objects. */
  readonly objectsDir: string;
  /** Folder for pins: on a bpffs, or where one is to be mounted. */
  readonly stateDir: string;
  /** Table name -> max_entries, where it differs from the default. */
  readonly mapSizes: Readonly<Record<string, number>>;
}

/**
 * The loaded programs and their tables. Device methods work in the thread's network namespace. What is attached is pinned: it
 * goes on after close() and after the process.
 */
export interface Datapath {
  readonly tables: PinnedTables;
  /** The tables were there already, with what an earlier agent wrote. */
  readonly adopted: boolean;
  /** Runs the socket programs for all processes below a cgroup v2 folder; replaces those of an earlier agent at once. */
  attachSockets(cgroupDir: string): void;
  /** Runs the packet program on what enters a device; replaces that of an earlier agent at once. */
  attachDevice(ifindex: number, layer: Layer): void;
  /** Also for a device that is gone. Says whether a program was there. */
  detachDevice(ifindex: number): boolean;
  /** Interface indexes, ascending. */
  attachedDevices(): number[];
  /** What ends connected UDP sockets; who takes it closes it. Throws where the kernel refuses, as before Linux 6.5. */
  loadStaleSockets(): StaleSockets;
  /** Removes tables of other layouts and sizes; once sockets and devices run programs of this one. Returns their folders. */
  removeStaleStates(): string[];
  /** Lets go of programs and tables; nothing is detached. */
  close(): void;
}

/** Loads the programs and makes or adopts the tables; attaches nothing. Throws with the verifier's words where the kernel refuses. */
export function openDatapath({ objectsDir, stateDir, mapSizes }: DatapathOptions): Datapath {
  const sizes = tableSizes(mapSizes);
  loadModules();
  mountBpffs(stateDir);
  const name = folderName(sizes);
  const folder = `${stateDir}/${name}`;
  const adopted = namesIn(folder).length > 0;
  const before = adopted ? undefined : folderInUse(stateDir);
  mkdirSync(folder, { recursive: true });
  if (before !== undefined) inheritFlowState(`${stateDir}/${before}`, folder, sizes);
  const objects: LoadedObject[] = [];
  const close = () => {
    for (const object of objects.splice(0)) object.close();
  };
  try {
    for (const file of [SOCKET_OBJECT, CONNTRACK_OBJECT]) objects.push(loadObject(`${objectsDir}/${file}`, { folder, sizes }));
    const staleSockets = () => loadStaleSockets(`${objectsDir}/${STALE_SOCKETS_OBJECT}`, { folder, sizes });
    return assemble({ stateDir, name, adopted, objects, tables: openPinnedTables(folder), staleSockets, closeObjects: close });
  } catch (error) {
    close();
    throw error;
  }
}

interface Parts {
  readonly stateDir: string;
  readonly name: string;
  readonly adopted: boolean;
  readonly objects: readonly LoadedObject[];
  readonly tables: PinnedTables;
  readonly staleSockets: () => StaleSockets;
  readonly closeObjects: () => void;
}

function assemble({ stateDir, name, adopted, objects, tables, staleSockets, closeObjects }: Parts): Datapath {
  const [sockets, packets] = objects.map((object) => object.programs);
  return {
    tables,
    adopted,
    attachSockets: (cgroupDir) => attachSockets(stateDir, cgroupDir, sockets ?? []),
    attachDevice: (ifindex, layer) => attachDevice(stateDir, ifindex, programNamed(packets ?? [], DEVICE_PROGRAMS[layer]).fd),
    detachDevice: (ifindex) => detachDevice(stateDir, ifindex),
    attachedDevices: () => attachedDevices(stateDir),
    loadStaleSockets: staleSockets,
    removeStaleStates: () => removeFolders(stateDir, (folder) => folder !== name),
    close: () => {
      tables.close();
      closeObjects();
    },
  };
}

function programNamed(programs: readonly LoadedProgram[], name: string): LoadedProgram {
  const found = programs.find((program) => program.name === name);
  if (found === undefined) throw new Error(`Cannot find program "${name}": the object has ${programs.map((each) => each.name).join(', ')}`);
  return found;
}

/** Removes folders of pinned maps; returns their paths. */
export function removeFolders(stateDir: string, isUnwanted: (name: string) => boolean): string[] {
  const folders = mapFolders(stateDir)
    .filter(isUnwanted)
    .map((name) => `${stateDir}/${name}`);
  for (const folder of folders) rmSync(folder, { recursive: true });
  return folders;
}
