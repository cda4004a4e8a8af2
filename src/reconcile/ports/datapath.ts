import type { Result } from '#lib/result.ts';
import type { StaleReason, UdpFlow } from '../flows/flows.ts';
import type { Tables } from './tables.ts';

/**
 * What a device is to the packets that enter there: the device on which they enter the IP stack (`own`), or a port of a bridge, whose
 * packets may name the bridge instead of the port (`port`).
 */
export type DeviceRole = 'own' | 'port';

/** The flows that one path translates: conntrack entries, sockets, or records of a table of its own. */
export interface Flows {
  /**
   * Asks `judge` about each UDP flow and ends a flow that has a reason to end, by its exact tuple and never a flow that has taken its place.
   * Calls `ended` for each flow as it ends, so that none is lost if the walk fails. Yields to the event loop every few ms. Resolves with the number of
   * flows that the path showed. Throws when `signal` is aborted.
   */
  endStaleUdp(
    judge: (flow: UdpFlow) => StaleReason | undefined,
    ended: (flow: UdpFlow, reason: StaleReason) => void,
    signal: AbortSignal,
  ): Promise<number>;
  close(): void;
}

/** The default first. */
export const PACKET_PATHS = ['netfilter', 'kfuncs'] as const;

/**
 * Who translates the flows that packet programs start: `netfilter`: NAT chains of table `inet weir`; `kfuncs`: the programs, by functions of
 * the kernel's connection tracking.
 */
export type PacketPathName = (typeof PACKET_PATHS)[number];

/** A program of others that runs before weir's on packets that enter a device. */
export interface ProgramAhead {
  readonly hook: 'tcx' | 'clsact';
  /** From 1: the first to run. */
  readonly position: number;
  /** 0 for a filter that is not a BPF program. */
  readonly id: number;
  /** Of the program, or the kind of such a filter; may be empty. */
  readonly name: string;
}

/** The programs that translate packets of devices. Device methods work in the thread's network namespace. */
export interface PacketPath {
  /** Runs the packet program on packets that enter a device; replaces the program of an earlier agent at once. */
  attachDevice(ifindex: number, role: DeviceRole): void;
  /** Also for a device that is gone. Returns whether a program was attached. */
  detachDevice(ifindex: number): boolean;
  /** Interface indexes, ascending. */
  attachedDevices(): number[];
  /** In the order in which they run; empty where weir's runs first, is not attached, or the device is gone. */
  programsAhead(ifindex: number): ProgramAhead[];
  readonly packetFlows: Flows;
  /** Tells table `inet weir` about all backends, after it was created anew. */
  fillBackendMaps(): void;
}

/** What a packet path leaves on a node for its living flows, for `weir cleanup`. */
export interface PathLeftOvers {
  /** Removes what living flows do not need; returns a line for each step. The programs must be detached, so that no flow begins. */
  remove(): string[];
}

/** The programs that translate in system calls of processes. They serve beside every packet path. */
export interface SocketPath {
  /** Runs the socket programs for all processes below a cgroup v2 folder; replaces the programs of an earlier agent at once. */
  attachSockets(cgroupDir: string): void;
  /** The connected UDP sockets below that folder, or what the node lacks to end them. Throws what the kernel says of a program that it refuses. */
  openSocketFlows(cgroupDir: string): Result<Flows>;
}

/** The loaded programs and their tables. Everything attached is pinned and outlives close() and the process. */
export interface Datapath extends PacketPath, SocketPath {
  readonly tables: Tables;
  /** Whether the tables existed, with the entries of an earlier agent. */
  readonly adopted: boolean;
  /** Removes tables of other layouts and sizes, once sockets and devices run programs of this one. Returns their folders. */
  removeStaleStates(): string[];
  /** Releases programs and tables; detaches nothing. */
  close(): void;
}
