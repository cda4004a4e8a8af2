/**
 * The judge of the loaded programs. Packets run through BPF_PROG_TEST_RUN, and the judge reads the resulting tag or conntrack entry; sockets
 * use a real connect() that sends nothing.
 */

import {
  OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT,
  OUTCOME_SOCKET_DROP_SOURCE_RANGE,
  OUTCOME_SOCKET_REFUSED_NO_ENDPOINT,
  OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT,
} from '#abi/generated.ts';
import { runOnFrame } from '#kernel/bpf/frame-run.ts';
import { FlowLookup } from '#kernel/netlink/flow-lookup.ts';
import { DialingSocket } from '#kernel/node/dialing-socket.ts';
import { inNetns } from '#kernel/node/netns.ts';
import { type Address, familyOf } from '#lib/address.ts';
import type { ModelObject } from '#model/objects.ts';
import type { PacketPathName } from '#reconcile/ports/datapath.ts';
import { inCgroup } from '#support/kernel-ground.ts';
import { buildFrame, PROTOCOL_NUMBERS } from './programs-frame.ts';
import { openProgramNode, type ProgramNode } from './programs-node.ts';
import { createTagReader, isTag, routeTo, type TagReader } from './programs-tag.ts';
import { ETHERNET_ADDRESS, POD_DEVICE, WIRE_DEVICE } from './programs-world.ts';

/** The dialled address. */
export interface Dialled {
  readonly protocol: 'tcp' | 'udp';
  readonly address: Address;
  readonly port: number;
}

/** The first packet of a flow, received by a node. */
export interface PacketQuestion extends Dialled {
  readonly source: Address;
  /** Received from its pods, or from the wire. */
  readonly enters: 'pods' | 'wire';
}

/** A connecting socket on a node, of a node process or of a pod. */
export interface SocketQuestion extends Dialled {
  readonly of: 'node' | 'pod';
}

/** The outcome. `untouched`: no translation. `seen`: the source address that the backend sees, only for packets. */
export type Verdict =
  | { readonly outcome: 'translated'; readonly backend: Address; readonly port: number; readonly seen?: Address }
  | { readonly outcome: 'refused' | 'dropped' | 'untouched' };

/** Nodes with their programs. The first fill of a node loads its programs. */
export interface ProgramJudge {
  /** Writes the tables that the agent of a node (n1 or n2) plans for these objects; `flags` of `weir run` as `--name=value`. */
  fill(node: string, objects: readonly ModelObject[], flags: readonly string[]): void;
  /** Runs one flow and removes its conntrack entry and session affinity. About 100 microseconds. */
  packet(node: string, question: PacketQuestion): Verdict;
  /** Runs one connect(). About 20 microseconds. */
  socket(node: string, question: SocketQuestion): Verdict;
  /** Runs synchronous code inside the network namespace of a node: entering it is half of the cost of a packet. */
  visit<T>(node: string, run: () => T): T;
  close(): void;
}

const REFUSALS = [OUTCOME_SOCKET_REFUSED_NO_ENDPOINT, OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT];
const DROPS = [OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT, OUTCOME_SOCKET_DROP_SOURCE_RANGE];

const TC_ACT_SHOT = 2;
const FIRST_PORT = 10_000;
const PORTS = 50_000;

/** Creates a judge without nodes, of the programs of one packet path. */
export function createProgramJudge(packetPath: PacketPathName): ProgramJudge {
  const nodes = new Map<string, OpenNode>();
  const open = (name: string): OpenNode => {
    const node = nodes.get(name) ?? new OpenNode(openProgramNode(name, packetPath));
    nodes.set(name, node);
    return node;
  };
  return {
    fill: (name, objects, flags) => open(name).fill(objects, flags),
    packet: (name, question) => open(name).packet(question),
    socket: (name, question) => open(name).socket(question),
    visit: (name, run) => open(name).visit(run),
    close: () => {
      for (const node of nodes.values()) node.close();
      nodes.clear();
    },
  };
}

class OpenNode {
  readonly #node: ProgramNode;
  readonly #flows: FlowLookup;
  readonly #sockets = new Map<string, DialingSocket>();
  #hasAffinity = false;
  #flowsAsked = 0;
  #isVisited = false;
  #tags: TagReader | undefined;
  readonly #routes = new Map<Address, number | undefined>();

  constructor(node: ProgramNode) {
    this.#node = node;
    this.#flows = inNetns(node.world.node, () => new FlowLookup());
  }

  fill(objects: readonly ModelObject[], flags: readonly string[]): void {
    this.#node.fill(objects, flags);
    this.#tags = undefined;
    this.#hasAffinity = objects.some((object) => object.kind === 'Service' && object.value.affinitySeconds > 0);
  }

  visit<T>(run: () => T): T {
    if (this.#isVisited) return run();
    this.#isVisited = true;
    try {
      return inNetns(this.#node.world.node, run);
    } finally {
      this.#isVisited = false;
    }
  }

  packet({ protocol, source, address, port, enters }: PacketQuestion): Verdict {
    const sourcePort = FIRST_PORT + (this.#flowsAsked++ % PORTS);
    const frame = buildFrame({ protocol, source, sourcePort, destination: address, destinationPort: port }, ETHERNET_ADDRESS);
    const ifindex = this.#node.world.device(enters === 'wire' ? WIRE_DEVICE : this.#podDevice());
    const { action, priority } = this.visit(() => runOnFrame(this.#node.packetProgram, frame, ifindex));
    this.#forgetClients();
    if (action === TC_ACT_SHOT) return { outcome: 'dropped' };
    if (isTag(priority)) return this.visit(() => this.#tagReader().read(priority, source));
    const tuple = { protocol: PROTOCOL_NUMBERS[protocol], source, sourcePort, destination: address, destinationPort: port };
    const reply = this.#flows.take(tuple);
    if (reply === undefined) return { outcome: 'untouched' };
    return { outcome: 'translated', backend: reply.source, port: reply.sourcePort, seen: reply.destination };
  }

  socket({ protocol, address, port, of }: SocketQuestion): Verdict {
    const before = protocol === 'udp' && of === 'node' ? this.#unserved() : undefined;
    const dialled = this.#socket(of, protocol, address).dial(address, port);
    this.#forgetClients();
    if ('address' in dialled) {
      if (dialled.address === address && dialled.port === port) return { outcome: before ? this.#fateSince(before) : 'untouched' };
      return { outcome: 'translated', backend: dialled.address, port: dialled.port };
    }
    if (dialled.code === 'ECONNREFUSED') return { outcome: 'refused' };
    if (dialled.code === 'EPERM') return { outcome: 'dropped' };
    throw new Error(`Cannot dial ${address} port ${port}: ${dialled.code}, should be a connection, ECONNREFUSED or EPERM`);
  }

  #tagReader(): TagReader {
    this.#tags ??= createTagReader(this.#node.datapath.tables, (address) => this.#routeTo(address));
    return this.#tags;
  }

  /** The routes of the world never change. */
  #routeTo(address: Address): number | undefined {
    if (!this.#routes.has(address)) this.#routes.set(address, routeTo(address, this.#node.world.device));
    return this.#routes.get(address);
  }

  /** How many sockets of the node the programs left to the refusals and drops of table `inet weir`: datagram sockets always connect. */
  #unserved(): Readonly<Record<'refused' | 'dropped', number>> {
    const counts = new Map(this.#node.datapath.tables.dump('counters').map(({ key, value }) => [key.value, Number(value.count)]));
    const sum = (outcomes: readonly number[]): number => outcomes.reduce((total, outcome) => total + (counts.get(outcome) ?? 0), 0);
    return { refused: sum(REFUSALS), dropped: sum(DROPS) };
  }

  #fateSince(before: Readonly<Record<'refused' | 'dropped', number>>): 'refused' | 'dropped' | 'untouched' {
    const { refused, dropped } = this.#unserved();
    if (refused > before.refused) return 'refused';
    return dropped > before.dropped ? 'dropped' : 'untouched';
  }

  #podDevice(): string {
    const { localDetector } = this.#node.config();
    return localDetector.mode === 'BridgeInterface' ? localDetector.name : POD_DEVICE;
  }

  #socket(of: 'node' | 'pod', protocol: 'tcp' | 'udp', address: Address): DialingSocket {
    const family = familyOf(address);
    const key = `${of} ${protocol} ${family}`;
    const known = this.#sockets.get(key);
    if (known) return known;
    const socket = inCgroup(this.#node.cgroup, () => inNetns(this.#node.world[of], () => new DialingSocket(protocol, family)));
    this.#sockets.set(key, socket);
    return socket;
  }

  #forgetClients(): void {
    if (!this.#hasAffinity) return;
    const { tables } = this.#node.datapath;
    tables.remove(
      'affinity',
      tables.dump('affinity').map(({ key }) => key),
    );
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#flows.close();
    this.#node.close();
  }
}
