import {
  type Backend,
  FRONTEND_DROP_LOCAL,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_RANGES_ADMIT_NODE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
  type Frontend,
  type FrontendKey,
} from '#abi/generated.ts';
import { type Address, familyOf, ZERO_ADDRESS } from '#lib/address.ts';
import { scopeOf } from '#model/address-fields.ts';
import { type NodeTablesView, readNodeTables } from './node-tables.ts';
import { extentOf, joinTables, type Side, type TableDump, type TableJoin } from './table-join.ts';

/** The destination of a flow. `protocol`: IPPROTO_*. */
export interface Dialled {
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
}

export interface SocketDial extends Dialled {
  /** A process of the node itself, not a pod's. */
  readonly ofNode: boolean;
}

/** The first packet of a flow at the device by which it enters the node. */
export interface PacketDial extends Dialled {
  readonly source: Address;
  readonly ifindex: number;
}

/** Device by which a packet to an address leaves the node; undefined: the node delivers it. */
export type Routes = (address: Address) => number | undefined;

/** A backend that may be chosen, and the source that it sees; undefined: the client's socket talks to it directly. */
export interface Choice {
  readonly address: Address;
  readonly port: number;
  readonly source: Address | undefined;
}

/** Why the programs pass, refuse or drop a flow. */
export type Reason =
  /** No agent has written the settings. */
  | 'not_set_up'
  /** nftables translates SCTP. */
  | 'sctp'
  /** `--socket-scope host`: the packet path serves pods. */
  | 'pods_use_packets'
  /** No Service port owns the destination. */
  | 'no_service'
  /** A live ClusterIP, but not a port of its Service. */
  | 'port_not_served'
  /** Source ranges exclude the source; on the socket path only packets show a pod's source. */
  | 'source_ranges'
  /** The Service port has no usable endpoint. */
  | 'no_endpoint'
  /** Policy Local, and no endpoint of this node; other nodes have some. */
  | 'no_local_endpoint';

/** What becomes of a flow. `passed`: the programs leave it as it is; table `inet weir` or the network decides. */
export type Verdict =
  | { readonly kind: 'passed' | 'refused' | 'dropped'; readonly reason: Reason; readonly frontend: FrontendKey | undefined }
  | { readonly kind: 'translated'; readonly frontend: FrontendKey; readonly side: Side; readonly choices: readonly Choice[] };

/** Answers who would answer, and why, on one node. */
export interface Explainer {
  /** A call of connect() or sendmsg(). */
  socket(dial: SocketDial): Verdict;
  packet(dial: PacketDial): Verdict;
}

const SCTP = 132;
const SNAT_BITS: Readonly<Record<Side, number>> = { local: FRONTEND_SNAT_LOCAL, outside: FRONTEND_SNAT_OUTSIDE };
const DROP_BITS: Readonly<Record<Side, number>> = { local: FRONTEND_DROP_LOCAL, outside: FRONTEND_DROP_OUTSIDE };

/**
 * Explains the tables as they are at this moment, by the meaning of bpf/abi/types.h and not by the programs' code. Its answers throw if a
 * frontend leads to a backend that does not belong to its Service port.
 */
export function createExplainer(tables: TableDump, leavesBy: Routes): Explainer {
  const [join, node] = [joinTables(tables), readNodeTables(tables)];

  const newSource = (dial: PacketDial, backend: Backend, frontend: Frontend, side: Side): Address => {
    if ((frontend.flags & SNAT_BITS[side]) === 0 && backend.address !== dial.source) return dial.source;
    const ifindex = leavesBy(backend.address);
    return ifindex === undefined ? dial.source : node.snatSource(ifindex, familyOf(dial.source));
  };

  return {
    socket(dial) {
      if (!node.isSet) return unserved('passed', 'not_set_up');
      if (dial.protocol === SCTP) return unserved('passed', 'sctp');
      if (!dial.ofNode && node.areSocketsOfNodeOnly) return unserved('passed', 'pods_use_packets');
      const found = frontendFor(join, node, dial, dial.ofNode && node.hasLoopbackNodePorts);
      if (found === undefined) return withoutFrontend(node, dial);
      const { key, frontend } = found;
      const forPackets = dial.ofNode ? 'dropped' : 'passed';
      if (frontend.flags & FRONTEND_SOURCE_RANGES && !(dial.ofNode && frontend.flags & FRONTEND_RANGES_ADMIT_NODE))
        return unserved(forPackets, 'source_ranges', key);
      const side = dial.ofNode || node.detectsPods(familyOf(dial.address)) ? 'local' : 'outside';
      if (extentOf(frontend, side).count === 0) return withoutEndpoint(found, side, forPackets);
      const choices = liveBackends(join, frontend, side).map(({ address, port }) => ({ address, port, source: undefined }));
      return { kind: 'translated', frontend: key, side, choices };
    },

    packet(dial) {
      if (dial.protocol === SCTP) return unserved('passed', 'sctp');
      const found = frontendFor(join, node, dial, false);
      if (found === undefined) return withoutFrontend(node, dial);
      const { key, frontend } = found;
      if (frontend.flags & FRONTEND_SOURCE_RANGES && !node.isInRanges(frontend.service, dial.source))
        return unserved('dropped', 'source_ranges', key);
      const side = node.isPod(dial.source, dial.ifindex) ? 'local' : 'outside';
      if (extentOf(frontend, side).count === 0) return withoutEndpoint(found, side, 'dropped');
      const choices = liveBackends(join, frontend, side).map((backend) => ({
        address: backend.address,
        port: backend.port,
        source: newSource(dial, backend, frontend, side),
      }));
      return { kind: 'translated', frontend: key, side, choices };
    },
  };
}

interface FoundFrontend {
  readonly key: FrontendKey;
  readonly frontend: Frontend;
}

/** The frontend of a destination: its own, else the NodePort. NodePorts answer at addresses of the node, at loopback ones with `onLoopback`. */
function frontendFor(join: TableJoin, node: NodeTablesView, dialled: Dialled, onLoopback: boolean): FoundFrontend | undefined {
  const { address, port, protocol } = dialled;
  const find = (key: FrontendKey): FoundFrontend | undefined => {
    const frontend = join.frontend(key);
    return frontend && { key, frontend };
  };
  const nodePort = (): FoundFrontend | undefined => find({ address: ZERO_ADDRESS[familyOf(address)], port, protocol });
  if (scopeOf(address) === 'loopback') return onLoopback ? nodePort() : undefined;
  const own = node.hasFrontends(address) ? find({ address, port, protocol }) : undefined;
  return own ?? (node.hasNodePorts(address) ? nodePort() : undefined);
}

const unserved = (kind: 'passed' | 'refused' | 'dropped', reason: Reason, frontend?: FrontendKey): Verdict => ({ kind, reason, frontend });

const withoutFrontend = (node: NodeTablesView, { address }: Dialled): Verdict =>
  node.isClusterIP(address) ? unserved('refused', 'port_not_served') : unserved('passed', 'no_service');

/** `ifDropped`: what happens to a flow whose policy drops it. */
const withoutEndpoint = ({ key, frontend }: FoundFrontend, side: Side, ifDropped: 'passed' | 'dropped'): Verdict =>
  (frontend.flags & DROP_BITS[side]) !== 0 ? unserved(ifDropped, 'no_local_endpoint', key) : unserved('refused', 'no_endpoint', key);

function liveBackends(join: TableJoin, frontend: Frontend, side: Side): readonly Backend[] {
  return join.list(frontend, side).map(({ slot, backend, defect }) => {
    if (backend === undefined || defect === 'no_backend' || defect === 'foreign_backend' || backend.flags === 0)
      throw new Error(`Slot ${slot} of Service port ${frontend.service} leads to ${JSON.stringify(backend)}`);
    return backend;
  });
}
