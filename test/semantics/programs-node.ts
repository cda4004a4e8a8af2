/** One node with kernel tables, filled as by its agent, and loaded programs that answer questions. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { localDevices } from '#agent/devices.ts';
import { createProgrammer, type Programmer } from '#agent/programmer.ts';
import { createStore, type Store } from '#agent/store.ts';
import type { Config } from '#config/config.ts';
import { parseConfig } from '#config/parse-config.ts';
import { detachLink } from '#kernel/bpf/bpf-link.ts';
import { type LoadedObject, loadObject } from '#kernel/bpf/bpf-object.ts';
import { removeState } from '#kernel/bpf/cleanup.ts';
import { openDatapath } from '#kernel/bpf/datapath.ts';
import { linksFolder, mapFolders } from '#kernel/bpf/state-folder.ts';
import { tableSizes } from '#kernel/bpf/table-sizes.ts';
import { listAddresses, listLinks } from '#kernel/netlink/links.ts';
import { installRuleset } from '#kernel/nftables/ruleset.ts';
import { findCgroupRoot } from '#kernel/node/mounts.ts';
import { inNetns, netnsCookie } from '#kernel/node/netns.ts';
import type { ModelObject } from '#model/objects.ts';
import type { LocalDevice } from '#plan/plan-node.ts';
import type { Datapath, PacketPathName } from '#reconcile/ports/datapath.ts';
import { createReconciler, type Reconciler } from '#reconcile/reconciler.ts';
import { createTablesWriter } from '#reconcile/tables/tables-writer.ts';
import { createWantedState } from '#reconcile/wanted/wanted-state.ts';
import { objectsDir } from '#support/kernel-ground.ts';
import { makeProgramWorld, type ProgramWorld, WIRE_DEVICE } from './programs-world.ts';

/** Sizes for all scenarios; small arrays load faster. */
const SIZES = { slots: 20_000, backends: 10_000, services: 4000, affinity: 1000, socket_flows: 100, frontends: 4000 };

/** Time between two fills, ms: longer than the rest time of freed entries. */
const LONG_MS = 3_600_000;

/** A node with its programs. */
export interface ProgramNode {
  readonly world: ProgramWorld;
  readonly datapath: Datapath;
  /** File descriptor of the packet program. */
  readonly packetProgram: number;
  config(): Config;
  /** cgroup v2 folder with translation on connect; getpeername shows the backend. */
  readonly cgroup: string;
  /** Writes the tables that the node's agent plans for these objects and flags of `weir run`. */
  fill(objects: readonly ModelObject[], flags: readonly string[]): void;
  close(): void;
}

let made = 0;

/** Creates the node's namespaces and loads the programs. Throws if the kernel rejects them, after it has removed everything. */
export function openProgramNode(name: string, packetPath: PacketPathName): ProgramNode {
  const undo: (() => void)[] = [];
  const close = (): void => {
    for (const step of undo.splice(0).reverse()) step();
  };
  try {
    return { ...load(name, packetPath, undo), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Adds to `undo` a function per step that reverts it, in the order of the steps. */
function load(name: string, packetPath: PacketPathName, undo: (() => void)[]): Omit<ProgramNode, 'close'> {
  const world = makeProgramWorld(name);
  const id = `weir-j${process.pid}-${made++}`;
  const stateDir = `/run/${id}`;
  const cgroup = `${findCgroupRoot()}/${id}`;
  undo.push(world.close, () => inNetns(world.node, () => removeState(stateDir)));
  const datapath = openDatapath({ objectsDir, stateDir, mapSizes: SIZES, conntrackMark: 0x2000, packetPath });
  undo.push(datapath.close);
  const packets = loadPackets(stateDir, packetPath);
  undo.push(packets.close);
  mkdirSync(cgroup);
  undo.push(() => rmdirSync(cgroup));
  datapath.attachSockets(cgroup);
  // getpeername would show the Service address instead of the backend.
  for (const family of [4, 6]) detachLink(`${linksFolder(stateDir)}/weir_getpeername${family}`);
  inNetns(world.node, () => installRuleset({ conntrackMark: 0x2000, masqueradeMark: 0x1000 }));
  const agent = createAgent(name, world, datapath);
  return {
    world,
    datapath,
    cgroup,
    packetProgram: packets.programs.find((program) => program.name === 'weir_ingress')?.fd ?? -1,
    config: agent.config,
    fill: agent.fill,
  };
}

/** Loads the packet program a second time on the same tables, for BPF_PROG_TEST_RUN. */
const loadPackets = (stateDir: string, packetPath: PacketPathName): LoadedObject =>
  loadObject(`${objectsDir}/${packetPath}.bpf.o`, { folder: `${stateDir}/${mapFolders(stateDir)[0]}`, sizes: tableSizes(SIZES) });

/** The composition of src/agent without sources and attachments. */
function createAgent(name: string, world: ProgramWorld, { tables }: Datapath) {
  const cookie = inNetns(world.node, netnsCookie);
  let devices: readonly LocalDevice[] = [];
  let now = 0;
  let current: { readonly flags: string; readonly config: Config; readonly store: Store; readonly programmer: Programmer } | undefined;
  let known = new Map<string, string>();
  const wanted = createWantedState();
  const writer = createTablesWriter({ tables, wanted, now: () => now });
  const reconciler = createReconciler({ wanted, writers: [writer], now: () => now });

  const change = (store: Store, objects: readonly ModelObject[]): void => {
    const next = new Map(objects.map((object) => [`${object.kind} ${object.key}`, JSON.stringify(object.value)]));
    for (const id of known.keys()) if (!next.has(id)) store.remove(...(id.split(' ') as [ModelObject['kind'], string]));
    for (const object of objects) {
      const id = `${object.kind} ${object.key}`;
      if (known.get(id) !== next.get(id)) store.set(object);
    }
    known = next;
  };

  return {
    config: (): Config => current?.config ?? readFlags(name, []),
    fill(objects: readonly ModelObject[], flags: readonly string[]): void {
      const text = flags.join(' ');
      now += LONG_MS;
      if (current && current.flags !== text) {
        change(current.store, []);
        current.programmer.plan(devices);
      }
      if (current?.flags !== text) {
        const config = readFlags(name, flags);
        const store = createStore(name);
        current = {
          flags: text,
          config,
          store,
          programmer: createProgrammer({ config, store, wanted, isContested: writer.isContested, netnsCookie: cookie }),
        };
        world.attachPods(config.localDetector.mode === 'BridgeInterface' ? config.localDetector.name : undefined);
        devices = inNetns(world.node, () => localDevices(listLinks(), listAddresses()));
      }
      change(current.store, objects);
      current.programmer.plan(withNodeAddresses(devices, current.store));
      flush(reconciler);
    },
  };
}

/** Puts the scenario's addresses of the node on its wire device. */
function withNodeAddresses(devices: readonly LocalDevice[], store: Store): readonly LocalDevice[] {
  const addresses = store.node()?.addresses;
  return addresses ? devices.map((device) => (device.name === WIRE_DEVICE ? { ...device, addresses } : device)) : devices;
}

function flush(reconciler: Reconciler): void {
  reconciler.prune();
  const failed = reconciler.problems().filter(({ code }) => code !== 'conflict');
  if (failed.length > 0) throw new Error(`Cannot fill the tables: ${failed.map(({ message }) => message).join('; ')}`);
}

/** Flags as `--name=value`. */
function readFlags(name: string, flags: readonly string[]): Config {
  const given = ['--source=manifests', '--dir=/nowhere', `--node-name=${name}`, ...flags].map((flag) => {
    const [, key = '', text = 'true'] = /^--([^=]+)(?:=(.*))?$/.exec(flag) ?? [];
    return [key, { text, from: `--${key}` }] as const;
  });
  const parsed = parseConfig(new Map(given), name);
  if (!parsed.ok) throw new Error(parsed.errors.join('\n'));
  return parsed.value.config;
}
