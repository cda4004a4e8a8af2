/**
 * The first judge: what becomes of one dialled address on one node, read from the tables as ARCHITECTURE.md and bpf/abi/types.h explain
 * them. It knows nothing of how the programs go about it, and takes every choice that they could take.
 */
import {
  ADDRESS_CLUSTER_IP,
  ADDRESS_NODE,
  type Backend,
  DEVICE_PODS,
  type Extent,
  FRONTEND_DROP_LOCAL,
  FRONTEND_DROP_OUTSIDE,
  FRONTEND_RANGES_ADMIT_NODE,
  FRONTEND_SNAT_LOCAL,
  FRONTEND_SNAT_OUTSIDE,
  FRONTEND_SOURCE_RANGES,
  type Frontend,
  SETTINGS_LOOPBACK_NODE_PORTS,
  SETTINGS_NO_LOCAL_DETECTOR4,
  SETTINGS_NO_LOCAL_DETECTOR6,
  SETTINGS_SOCKETS_HOST_ONLY,
} from '#abi/generated.ts';
import { type Address, familyOf, prefixContains, tablePrefixBits, ZERO_ADDRESS } from '#lib/address.ts';
import { scopeOf } from '#model/address-fields.ts';
import type { Tables } from '#reconcile/ports/tables.ts';

/** What is dialled. `protocol`: IPPROTO_*. */
export interface Dialled {
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
}

export interface SocketDial extends Dialled {
  /** A process of the node itself, not a pod's. */
  readonly ofNode: boolean;
}

/** The first packet of a flow, where it enters the node. */
export interface PacketDial extends Dialled {
  readonly source: Address;
  readonly ifindex: number;
}

/** One backend that may be chosen, and the source address that it sees; undefined: the client's socket talks to it itself. */
export interface Target {
  readonly address: Address;
  readonly port: number;
  readonly source: Address | undefined;
}

/** `passed`: goes on as it is. Then a socket's packets are another question, and of packets table `inet weir` is asked. */
export type Verdict =
  | { readonly kind: 'refused' | 'dropped' | 'passed' }
  | { readonly kind: 'translated'; readonly targets: readonly Target[] };

/** Device on which a packet to an address leaves the node; undefined: it is delivered here. */
export type Routes = (address: Address) => number | undefined;

export interface Tracer {
  socket(dial: SocketDial): Verdict;
  packet(dial: PacketDial): Verdict;
}

const SCTP = 132;
const REFUSED: Verdict = { kind: 'refused' };
const DROPPED: Verdict = { kind: 'dropped' };
const PASSED: Verdict = { kind: 'passed' };

/** A judge of the tables as they are at this moment. Its answers throw where a frontend leads to no backend of its own. */
export function createTracer(tables: Pick<Tables, 'dump'>, leavesBy: Routes): Tracer {
  const held = readTables(tables);

  const newSource = (dial: PacketDial, backend: Backend, policy: Policy): Address => {
    if (!policy.snat && backend.address !== dial.source) return dial.source;
    const ifindex = leavesBy(backend.address);
    return ifindex === undefined ? dial.source : held.nodeAddress(ifindex, familyOf(dial.source));
  };

  return {
    socket(dial) {
      const { settings } = held;
      if (settings === undefined || dial.protocol === SCTP) return PASSED;
      if (!dial.ofNode && settings.flags & SETTINGS_SOCKETS_HOST_ONLY) return PASSED;
      const loopback = dial.ofNode && (settings.flags & SETTINGS_LOOPBACK_NODE_PORTS) !== 0;
      const frontend = held.frontend(dial, loopback);
      if (frontend === undefined) return held.lacksPort(dial) ? REFUSED : PASSED;
      const forPackets = dial.ofNode ? DROPPED : PASSED;
      if (frontend.flags & FRONTEND_SOURCE_RANGES && !(dial.ofNode && frontend.flags & FRONTEND_RANGES_ADMIT_NODE)) return forPackets;
      const policy = policyOf(frontend, dial.ofNode || held.detectsPods(dial.address));
      if (policy.extent.count === 0) return policy.drops ? forPackets : REFUSED;
      const targets = held.backends(frontend, policy.extent).map(({ address, port }) => ({ address, port, source: undefined }));
      return { kind: 'translated', targets };
    },

    packet(dial) {
      if (dial.protocol === SCTP) return PASSED;
      const frontend = held.frontend(dial, false);
      if (frontend === undefined) return held.lacksPort(dial) ? REFUSED : PASSED;
      if (frontend.flags & FRONTEND_SOURCE_RANGES && !held.isInRanges(frontend.service, dial.source)) return DROPPED;
      const policy = policyOf(frontend, held.isPod(dial));
      if (policy.extent.count === 0) return policy.drops ? DROPPED : REFUSED;
      const targets = held.backends(frontend, policy.extent).map((backend) => ({
        address: backend.address,
        port: backend.port,
        source: newSource(dial, backend, policy),
      }));
      return { kind: 'translated', targets };
    },
  };
}

/** What a frontend says to one kind of source. */
interface Policy {
  readonly extent: Extent;
  readonly snat: boolean;
  /** Nobody here, but elsewhere. */
  readonly drops: boolean;
}

const policyOf = ({ localSource, outsideSource, flags }: Frontend, isLocal: boolean): Policy =>
  isLocal
    ? { extent: localSource, snat: (flags & FRONTEND_SNAT_LOCAL) !== 0, drops: (flags & FRONTEND_DROP_LOCAL) !== 0 }
    : { extent: outsideSource, snat: (flags & FRONTEND_SNAT_OUTSIDE) !== 0, drops: (flags & FRONTEND_DROP_OUTSIDE) !== 0 };

/** Questions to the tables. */
function readTables(tables: Pick<Tables, 'dump'>) {
  const frontends = new Map(tables.dump('frontends').map(({ key, value }) => [`${key.address} ${key.port} ${key.protocol}`, value]));
  const meanings = new Map(tables.dump('addresses').map(({ key, value }) => [key.address, value.flags]));
  const slots = new Map(tables.dump('slots').map(({ key, value }) => [key.value, value.backend]));
  const elements = new Map(tables.dump('backends').map(({ key, value }) => [key.value, value]));
  const devices = new Map(tables.dump('devices').map(({ key, value }) => [key.ifindex, value]));
  const localNets = tables.dump('local_nets').map(({ key }) => key);
  const ranges = tables.dump('source_ranges').map(({ key }) => key);
  const settings = tables.dump('settings')[0]?.value;
  const meaning = (address: Address): number => meanings.get(address) ?? 0;

  return {
    settings,

    /** NodePorts answer on addresses of the node, on loopback ones where that is wanted. */
    frontend({ address, port, protocol }: Dialled, loopback: boolean): Frontend | undefined {
      const nodePort = frontends.get(`${ZERO_ADDRESS[familyOf(address)]} ${port} ${protocol}`);
      if (scopeOf(address) === 'loopback') return loopback ? nodePort : undefined;
      return frontends.get(`${address} ${port} ${protocol}`) ?? (meaning(address) & ADDRESS_NODE ? nodePort : undefined);
    },

    /** Of a live ClusterIP; on an address of the node others may listen. */
    lacksPort: ({ address }: Dialled): boolean => (meaning(address) & (ADDRESS_CLUSTER_IP | ADDRESS_NODE)) === ADDRESS_CLUSTER_IP,

    detectsPods: (address: Address): boolean =>
      !((settings?.flags ?? 0) & (familyOf(address) === 4 ? SETTINGS_NO_LOCAL_DETECTOR4 : SETTINGS_NO_LOCAL_DETECTOR6)),

    isPod: ({ source, ifindex }: PacketDial): boolean =>
      ((devices.get(ifindex)?.flags ?? 0) & DEVICE_PODS) !== 0 || localNets.some((net) => covers(net, 0, source)),

    isInRanges: (service: number, source: Address): boolean =>
      ranges.some((range) => range.service === service && covers(range, SERVICE_BITS, source)),

    /** Where a packet leaves by a device, and for want of an own one the node's. */
    nodeAddress(ifindex: number, family: 4 | 6): Address {
      const field = family === 4 ? 'snat4' : 'snat6';
      const own = devices.get(ifindex)?.[field] ?? ZERO_ADDRESS[family];
      return own === ZERO_ADDRESS[family] ? (settings?.[field] ?? own) : own;
    },

    backends(frontend: Frontend, { first, count }: Extent): readonly Backend[] {
      return Array.from({ length: count }, (_, i) => {
        const id = slots.get(first + i) ?? 0;
        const backend = elements.get(id);
        if (backend === undefined || backend.port === 0 || backend.flags === 0 || backend.service !== frontend.service)
          throw new Error(`Slot ${first + i} of Service port ${frontend.service} leads to ${JSON.stringify(backend)}`);
        return backend;
      });
    },
  };
}

/** Bits of a key in front of its address. */
const SERVICE_BITS = 32;

/** Whether a key of a longest-prefix table covers an address. */
function covers(key: { readonly prefixBits: number; readonly address: Address }, bitsBefore: number, address: Address): boolean {
  const family = familyOf(key.address);
  const length = key.prefixBits - bitsBefore - tablePrefixBits({ address: key.address, length: 0 });
  return family === familyOf(address) && prefixContains({ address: key.address, length }, address);
}
