import { mkdirSync, rmSync } from 'node:fs';
import type { Datapath, DeviceRole, PacketPath, PacketPathName, SocketPath } from '#reconcile/ports/datapath.ts';
import { conntrackFlows } from '../netlink/conntrack.ts';
import { createBackendMaps, withBackendMaps } from '../nftables/backend-maps.ts';
import { loadModules } from '../node/modules.ts';
import { mountBpffs } from '../node/mounts.ts';
import { type LoadedObject, type LoadedProgram, loadObject, type Placement } from './bpf-object.ts';
import { attachDevice, attachedDevices, detachDevice } from './device-links.ts';
import { inheritFlowState } from './flow-state.ts';
import { openPinnedTables } from './maps.ts';
import { folderInUse } from './open-tables.ts';
import { programsAhead } from './programs-ahead.ts';
import { attachSockets } from './socket-links.ts';
import { openSocketFlows } from './stale-sockets.ts';
import { mapFolders, namesIn } from './state-folder.ts';
import { folderName, tableSizes } from './table-sizes.ts';

/** The object files of bpf/, and the packet program for each role of a device. */
const SOCKET_OBJECT = 'socket.bpf.o';
const STALE_SOCKETS_OBJECT = 'stale_sockets.bpf.o';
const DEVICE_PROGRAMS: Readonly<Record<DeviceRole, string>> = { own: 'weir_ingress', port: 'weir_ingress_port' };

export interface DatapathOptions {
  /** Folder with the compiled objects. */
  readonly objectsDir: string;
  /** Folder for pins: on a bpffs, or where one is to be mounted. */
  readonly stateDir: string;
  /** Table name -> max_entries, if it differs from the default. */
  readonly mapSizes: Readonly<Record<string, number>>;
  /** Bit of ct->mark on translated flows. */
  readonly conntrackMark: number;
  /** How the flows of packets are translated: by NAT chains of table `inet weir`, or by conntrack functions that the programs call. */
  readonly packetPath: PacketPathName;
}

/** Loads the programs and makes or adopts the tables; attaches nothing. Throws the verifier's message if the kernel refuses a program. */
export function openDatapath({ objectsDir, stateDir, mapSizes, conntrackMark, packetPath }: DatapathOptions): Datapath {
  const sizes = tableSizes(mapSizes);
  loadModules();
  mountBpffs(stateDir);
  const name = folderName(sizes);
  const folder = `${stateDir}/${name}`;
  const adopted = namesIn(folder).length > 0;
  const before = adopted ? undefined : folderInUse(stateDir);
  mkdirSync(folder, { recursive: true });
  if (before !== undefined) inheritFlowState(`${stateDir}/${before}`, folder, sizes);
  const placement = { folder, sizes };
  const objects: LoadedObject[] = [];
  const close = () => {
    for (const object of objects.splice(0)) object.close();
  };
  const load = (file: string): readonly LoadedProgram[] => {
    const object = loadObject(`${objectsDir}/${file}`, placement);
    objects.push(object);
    return object.programs;
  };
  try {
    const sockets = socketPath(stateDir, load(SOCKET_OBJECT), `${objectsDir}/${STALE_SOCKETS_OBJECT}`, placement);
    const packets = conntrackPath(stateDir, load(`${packetPath}.bpf.o`), conntrackMark);
    const tables = openPinnedTables(folder);
    const maps = createBackendMaps(() => performance.now());
    return {
      ...sockets,
      ...packets,
      tables: withBackendMaps(tables, maps),
      fillBackendMaps: () => maps.fill(tables.dump('backends')),
      adopted,
      removeStaleStates: () => removeFolders(stateDir, (other) => other !== name),
      close() {
        tables.close();
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

const socketPath = (stateDir: string, programs: readonly LoadedProgram[], staleSockets: string, placement: Placement): SocketPath => ({
  attachSockets: (cgroupDir) => attachSockets(stateDir, cgroupDir, programs),
  openSocketFlows: (cgroupDir) => openSocketFlows(staleSockets, placement, cgroupDir),
});

/** A packet path whose flows the kernel's connection tracking follows. */
const conntrackPath = (stateDir: string, programs: readonly LoadedProgram[], mark: number): Omit<PacketPath, 'fillBackendMaps'> => ({
  attachDevice: (ifindex, role) => attachDevice(stateDir, ifindex, programNamed(programs, DEVICE_PROGRAMS[role]).fd),
  detachDevice: (ifindex) => detachDevice(stateDir, ifindex),
  attachedDevices: () => attachedDevices(stateDir),
  programsAhead: (ifindex) => programsAhead(stateDir, ifindex),
  packetFlows: conntrackFlows(mark),
});

function programNamed(programs: readonly LoadedProgram[], name: string): LoadedProgram {
  const found = programs.find((program) => program.name === name);
  if (found === undefined) throw new Error(`Cannot find program "${name}": the object has ${programs.map((each) => each.name).join(', ')}`);
  return found;
}

/** Removes the folders of pinned maps for which `isUnwanted` returns true; returns their paths. */
export function removeFolders(stateDir: string, isUnwanted: (name: string) => boolean): string[] {
  const folders = mapFolders(stateDir)
    .filter(isUnwanted)
    .map((name) => `${stateDir}/${name}`);
  for (const folder of folders) rmSync(folder, { recursive: true });
  return folders;
}
