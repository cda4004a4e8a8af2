// Made by scripts/abi/generate.ts from bpf/abi; do not edit.
import { type Address, decodeAddress, encodeAddress } from '#lib/address.ts';
import { type Codec, getBe16, getText, getU32, getU64, getU8, putBe16, putText, putU32, putU64, putU8 } from './codec.ts';

export type { Codec } from './codec.ts';

/** Key of `addresses`. */
export interface AddressKey {
  /** The address itself. */
  readonly address: Address;
}

/** Bytes of AddressKey. */
export const addressKey: Codec<AddressKey> = {
  size: 16,
  encode(value, into, at) {
    encodeAddress(value.address, into, at);
  },
  decode(from, at) {
    return {
      address: decodeAddress(from, at),
    };
  },
};

/** Value of `addresses`. */
export interface AddressMeaning {
  /** ADDRESS_* bits. */
  readonly flags: number;
}

/** Bytes of AddressMeaning. */
export const addressMeaning: Codec<AddressMeaning> = {
  size: 4,
  encode(value, into, at) {
    putU32(into, at, value.flags);
  },
  decode(from, at) {
    return {
      flags: getU32(from, at),
    };
  },
};

/** Key of `frontends`: what a client dials. */
export interface FrontendKey {
  /** Service address; the zero address of a family (:: or ::ffff:0.0.0.0) stands for every NodePort address of it. */
  readonly address: Address;
  /** Port that the client dials. */
  readonly port: number;
  /** IPPROTO_TCP, IPPROTO_UDP, or IPPROTO_SCTP: that one is for the record, table inet weir carries it out. */
  readonly protocol: number;
}

/** Bytes of FrontendKey. */
export const frontendKey: Codec<FrontendKey> = {
  size: 20,
  encode(value, into, at) {
    encodeAddress(value.address, into, at);
    putBe16(into, at + 16, value.port);
    putU8(into, at + 18, value.protocol);
    into[at + 19] = 0;
  },
  decode(from, at) {
    return {
      address: decodeAddress(from, at),
      port: getBe16(from, at + 16),
      protocol: getU8(from, at + 18),
    };
  },
};

/** A run of places in `slots`. */
export interface Extent {
  /** First slot. */
  readonly first: number;
  /** Number of slots; 0 = no backend may answer. */
  readonly count: number;
}

/** Bytes of Extent. */
export const extent: Codec<Extent> = {
  size: 8,
  encode(value, into, at) {
    putU32(into, at, value.first);
    putU32(into, at + 4, value.count);
  },
  decode(from, at) {
    return {
      first: getU32(from, at),
      count: getU32(from, at + 4),
    };
  },
};

/** Value of `frontends`. */
export interface Frontend {
  /** Who answers pods and this node's own processes. */
  readonly localSource: Extent;
  /** Backends for all other sources. */
  readonly outsideSource: Extent;
  /** Key of `services`. */
  readonly service: number;
  /** FRONTEND_* bits. */
  readonly flags: number;
  /** ClientIP session affinity in seconds; 0 = none. */
  readonly affinitySeconds: number;
}

/** Bytes of Frontend. */
export const frontend: Codec<Frontend> = {
  size: 28,
  encode(value, into, at) {
    extent.encode(value.localSource, into, at);
    extent.encode(value.outsideSource, into, at + 8);
    putU32(into, at + 16, value.service);
    putU32(into, at + 20, value.flags);
    putU32(into, at + 24, value.affinitySeconds);
  },
  decode(from, at) {
    return {
      localSource: extent.decode(from, at),
      outsideSource: extent.decode(from, at + 8),
      service: getU32(from, at + 16),
      flags: getU32(from, at + 20),
      affinitySeconds: getU32(from, at + 24),
    };
  },
};

/** Key of the arrays: `slots`, `backends`, `settings`, `counters`, `service_counts`. */
export interface Index {
  /** Place in the array. */
  readonly value: number;
}

/** Bytes of Index. */
export const index: Codec<Index> = {
  size: 4,
  encode(value, into, at) {
    putU32(into, at, value.value);
  },
  decode(from, at) {
    return {
      value: getU32(from, at),
    };
  },
};

/** Value of `slots`. */
export interface Slot {
  /** Key of `backends`. */
  readonly backend: number;
}

/** Bytes of Slot. */
export const slot: Codec<Slot> = {
  size: 4,
  encode(value, into, at) {
    putU32(into, at, value.backend);
  },
  decode(from, at) {
    return {
      backend: getU32(from, at),
    };
  },
};

/** Value of `backends`: one endpoint of one Service port. */
export interface Backend {
  /** Address of the endpoint. */
  readonly address: Address;
  /** Port of the endpoint. */
  readonly port: number;
  /** BACKEND_* bits. */
  readonly flags: number;
  /** Key of `services`: the one Service port that this backend belongs to. */
  readonly service: number;
}

/** Bytes of Backend. */
export const backend: Codec<Backend> = {
  size: 28,
  encode(value, into, at) {
    encodeAddress(value.address, into, at);
    putBe16(into, at + 16, value.port);
    into[at + 18] = 0;
    into[at + 19] = 0;
    putU32(into, at + 20, value.flags);
    putU32(into, at + 24, value.service);
  },
  decode(from, at) {
    return {
      address: decodeAddress(from, at),
      port: getBe16(from, at + 16),
      flags: getU32(from, at + 20),
      service: getU32(from, at + 24),
    };
  },
};

/** Key of `services`. */
export interface ServiceKey {
  /** Number of one Service port in one address family; never 0. */
  readonly service: number;
}

/** Bytes of ServiceKey. */
export const serviceKey: Codec<ServiceKey> = {
  size: 4,
  encode(value, into, at) {
    putU32(into, at, value.service);
  },
  decode(from, at) {
    return {
      service: getU32(from, at),
    };
  },
};

/** Value of `services`: the name behind the number, for people and for a restarted agent. */
export interface ServiceName {
  /** `namespace/name:port` (`namespace/name` for an unnamed port), UTF-8, ended and filled up with zero bytes. */
  readonly text: string;
  /** 4 or 6. */
  readonly family: number;
  /** IPPROTO_TCP, IPPROTO_UDP or IPPROTO_SCTP. */
  readonly protocol: number;
  /** Number of frontends that it wants and that another Service has. */
  readonly lostFrontends: number;
}

/** Bytes of ServiceName. */
export const serviceName: Codec<ServiceName> = {
  size: 160,
  encode(value, into, at) {
    putText(into, at, 152, value.text);
    putU8(into, at + 152, value.family);
    putU8(into, at + 153, value.protocol);
    into[at + 154] = 0;
    into[at + 155] = 0;
    putU32(into, at + 156, value.lostFrontends);
  },
  decode(from, at) {
    return {
      text: getText(from, at, 152),
      family: getU8(from, at + 152),
      protocol: getU8(from, at + 153),
      lostFrontends: getU32(from, at + 156),
    };
  },
};

/** Key of `source_ranges`, a longest-prefix table: `service` is always matched whole. */
export interface RangeKey {
  /** Length of the prefix in bits: 32 for the service, plus 0 to 128 of the address (IPv4: 96 more). */
  readonly prefixBits: number;
  /** Key of `services`. */
  readonly service: number;
  /** Source address or the prefix of it. */
  readonly address: Address;
}

/** Bytes of RangeKey. */
export const rangeKey: Codec<RangeKey> = {
  size: 24,
  encode(value, into, at) {
    putU32(into, at, value.prefixBits);
    putU32(into, at + 4, value.service);
    encodeAddress(value.address, into, at + 8);
  },
  decode(from, at) {
    return {
      prefixBits: getU32(from, at),
      service: getU32(from, at + 4),
      address: decodeAddress(from, at + 8),
    };
  },
};

/** Key of `local_nets`, a longest-prefix table. */
export interface NetKey {
  /** Length of the prefix in bits, 0 to 128 (IPv4: 96 more than the usual number). */
  readonly prefixBits: number;
  /** Address or the prefix of it. */
  readonly address: Address;
}

/** Bytes of NetKey. */
export const netKey: Codec<NetKey> = {
  size: 20,
  encode(value, into, at) {
    putU32(into, at, value.prefixBits);
    encodeAddress(value.address, into, at + 4);
  },
  decode(from, at) {
    return {
      prefixBits: getU32(from, at),
      address: decodeAddress(from, at + 4),
    };
  },
};

/** Value of tables that only say yes. */
export interface Presence {
  /** Always 1. */
  readonly present: number;
}

/** Bytes of Presence. */
export const presence: Codec<Presence> = {
  size: 4,
  encode(value, into, at) {
    putU32(into, at, value.present);
  },
  decode(from, at) {
    return {
      present: getU32(from, at),
    };
  },
};

/** Key of `devices`. */
export interface DeviceKey {
  /** Interface index in the node's network namespace. */
  readonly ifindex: number;
}

/** Bytes of DeviceKey. */
export const deviceKey: Codec<DeviceKey> = {
  size: 4,
  encode(value, into, at) {
    putU32(into, at, value.ifindex);
  },
  decode(from, at) {
    return {
      ifindex: getU32(from, at),
    };
  },
};

/** Value of `devices`. */
export interface Device {
  /** Source address for IPv4 packets that get a new one and leave here; the zero address = use the node's. */
  readonly snat4: Address;
  /** The same for IPv6. */
  readonly snat6: Address;
  /** DEVICE_* bits. */
  readonly flags: number;
}

/** Bytes of Device. */
export const device: Codec<Device> = {
  size: 36,
  encode(value, into, at) {
    encodeAddress(value.snat4, into, at);
    encodeAddress(value.snat6, into, at + 16);
    putU32(into, at + 32, value.flags);
  },
  decode(from, at) {
    return {
      snat4: decodeAddress(from, at),
      snat6: decodeAddress(from, at + 16),
      flags: getU32(from, at + 32),
    };
  },
};

/** The one element of `settings`: what may change while programs run. */
export interface Settings {
  /** SO_NETNS_COOKIE of the node's network namespace: tells its own processes from pods. */
  readonly nodeNetnsCookie: bigint;
  /** SETTINGS_* bits. */
  readonly flags: number;
  /** Bit of ct->mark on every conntrack entry made here. */
  readonly conntrackMark: number;
  /** Source address for IPv4 packets that get a new one, where the device has none. */
  readonly snat4: Address;
  /** The same for IPv6. */
  readonly snat6: Address;
}

/** Bytes of Settings. */
export const settings: Codec<Settings> = {
  size: 48,
  encode(value, into, at) {
    putU64(into, at, value.nodeNetnsCookie);
    putU32(into, at + 8, value.flags);
    putU32(into, at + 12, value.conntrackMark);
    encodeAddress(value.snat4, into, at + 16);
    encodeAddress(value.snat6, into, at + 32);
  },
  decode(from, at) {
    return {
      nodeNetnsCookie: getU64(from, at),
      flags: getU32(from, at + 8),
      conntrackMark: getU32(from, at + 12),
      snat4: decodeAddress(from, at + 16),
      snat6: decodeAddress(from, at + 32),
    };
  },
};

/** Key of `affinity`. Packets are known by their source address, sockets by their network namespace's cookie. */
export interface AffinityKey {
  /** Source address of a packet, or in the last 8 bytes the namespace cookie of a socket. */
  readonly client: Address;
  /** Key of `services`. */
  readonly service: number;
  /** 1 for a socket's namespace cookie, 0 for an address. */
  readonly isCookie: number;
}

/** Bytes of AffinityKey. */
export const affinityKey: Codec<AffinityKey> = {
  size: 24,
  encode(value, into, at) {
    encodeAddress(value.client, into, at);
    putU32(into, at + 16, value.service);
    putU32(into, at + 20, value.isCookie);
  },
  decode(from, at) {
    return {
      client: decodeAddress(from, at),
      service: getU32(from, at + 16),
      isCookie: getU32(from, at + 20),
    };
  },
};

/** Value of `affinity`. */
export interface Affinity {
  /** bpf_ktime_get_ns() of the last new connection. */
  readonly lastUsedNs: bigint;
  /** Key of `backends`. */
  readonly backend: number;
}

/** Bytes of Affinity. */
export const affinity: Codec<Affinity> = {
  size: 16,
  encode(value, into, at) {
    putU64(into, at, value.lastUsedNs);
    putU32(into, at + 8, value.backend);
    into[at + 12] = 0;
    into[at + 13] = 0;
    into[at + 14] = 0;
    into[at + 15] = 0;
  },
  decode(from, at) {
    return {
      lastUsedNs: getU64(from, at),
      backend: getU32(from, at + 8),
    };
  },
};

/** One translated destination of a socket. */
export interface SocketFlow {
  /** Address that the program dialled. */
  readonly serviceAddress: Address;
  /** Address that the socket really talks to. */
  readonly backendAddress: Address;
  /** Port that the program dialled. */
  readonly servicePort: number;
  /** Port that the socket really talks to; 0 = unused. */
  readonly backendPort: number;
  /** Key of `backends`. */
  readonly backend: number;
  /** Key of `services`. */
  readonly service: number;
}

/** Bytes of SocketFlow. */
export const socketFlow: Codec<SocketFlow> = {
  size: 44,
  encode(value, into, at) {
    encodeAddress(value.serviceAddress, into, at);
    encodeAddress(value.backendAddress, into, at + 16);
    putBe16(into, at + 32, value.servicePort);
    putBe16(into, at + 34, value.backendPort);
    putU32(into, at + 36, value.backend);
    putU32(into, at + 40, value.service);
  },
  decode(from, at) {
    return {
      serviceAddress: decodeAddress(from, at),
      backendAddress: decodeAddress(from, at + 16),
      servicePort: getBe16(from, at + 32),
      backendPort: getBe16(from, at + 34),
      backend: getU32(from, at + 36),
      service: getU32(from, at + 40),
    };
  },
};

/** Value of `socket_state`, kept in the socket itself. */
export interface SocketState {
  /** Destinations of datagrams of an unconnected socket, the one used last first. */
  readonly flows: readonly SocketFlow[];
  /** 1: older ones are in `socket_flows`. */
  readonly moved: number;
  /** The destination of the last connect(), and the peer before it: that one stays if the connect fails. */
  readonly connected: readonly SocketFlow[];
}

/** Bytes of SocketState. */
export const socketState: Codec<SocketState> = {
  size: 268,
  encode(value, into, at) {
    if (value.flows.length !== 4) throw new RangeError(`Cannot encode flows: it has ${value.flows.length} elements, must have 4`);
    value.flows.forEach((element, i) => {
      socketFlow.encode(element, into, at + 44 * i);
    });
    putU32(into, at + 176, value.moved);
    if (value.connected.length !== 2) throw new RangeError(`Cannot encode connected: it has ${value.connected.length} elements, must have 2`);
    value.connected.forEach((element, i) => {
      socketFlow.encode(element, into, at + 180 + 44 * i);
    });
  },
  decode(from, at) {
    return {
      flows: Array.from({ length: 4 }, (_, i) => socketFlow.decode(from, at + 44 * i)),
      moved: getU32(from, at + 176),
      connected: Array.from({ length: 2 }, (_, i) => socketFlow.decode(from, at + 180 + 44 * i)),
    };
  },
};

/** Key of `socket_flows`: destinations that no longer fit a socket's own state. */
export interface SocketFlowKey {
  /** Cookie of the socket. */
  readonly socket: bigint;
  /** Service address or backend address, by `direction`. */
  readonly address: Address;
  /** Service port or backend port, by `direction`. */
  readonly port: number;
  /** FLOW_TO_SERVICE or FLOW_FROM_BACKEND. */
  readonly direction: number;
}

/** Bytes of SocketFlowKey. */
export const socketFlowKey: Codec<SocketFlowKey> = {
  size: 32,
  encode(value, into, at) {
    putU64(into, at, value.socket);
    encodeAddress(value.address, into, at + 8);
    putBe16(into, at + 24, value.port);
    into[at + 26] = 0;
    into[at + 27] = 0;
    putU32(into, at + 28, value.direction);
  },
  decode(from, at) {
    return {
      socket: getU64(from, at),
      address: decodeAddress(from, at + 8),
      port: getBe16(from, at + 24),
      direction: getU32(from, at + 28),
    };
  },
};

/** Key of `udp_senders`: a Service's address and port, and the socket port that received a datagram from there. */
export interface UdpSenderKey {
  /** SO_NETNS_COOKIE of the receiving socket. */
  readonly netnsCookie: bigint;
  /** Address of the sender. */
  readonly address: Address;
  /** Port of the sender. */
  readonly port: number;
  /** Port of the receiving socket. */
  readonly ownPort: number;
}

/** Bytes of UdpSenderKey. */
export const udpSenderKey: Codec<UdpSenderKey> = {
  size: 32,
  encode(value, into, at) {
    putU64(into, at, value.netnsCookie);
    encodeAddress(value.address, into, at + 8);
    putBe16(into, at + 24, value.port);
    putBe16(into, at + 26, value.ownPort);
    into[at + 28] = 0;
    into[at + 29] = 0;
    into[at + 30] = 0;
    into[at + 31] = 0;
  },
  decode(from, at) {
    return {
      netnsCookie: getU64(from, at),
      address: decodeAddress(from, at + 8),
      port: getBe16(from, at + 24),
      ownPort: getBe16(from, at + 26),
    };
  },
};

/** Value of `udp_senders`. */
export interface UdpSender {
  /** bpf_ktime_get_coarse_ns() of the last datagram. */
  readonly lastReceivedNs: bigint;
}

/** Bytes of UdpSender. */
export const udpSender: Codec<UdpSender> = {
  size: 8,
  encode(value, into, at) {
    putU64(into, at, value.lastReceivedNs);
  },
  decode(from, at) {
    return {
      lastReceivedNs: getU64(from, at),
    };
  },
};

/** Value of `shortages`, the last flow without a free source port: every port that was tried for it has a flow already. */
export interface Shortage {
  /** Source address whose ports ran out. */
  readonly source: Address;
  /** Address of the backend. */
  readonly backend: Address;
  /** Port of the backend. */
  readonly port: number;
  /** IPPROTO_TCP or IPPROTO_UDP. */
  readonly protocol: number;
  /** Key of `services`. */
  readonly service: number;
}

/** Bytes of Shortage. */
export const shortage: Codec<Shortage> = {
  size: 40,
  encode(value, into, at) {
    encodeAddress(value.source, into, at);
    encodeAddress(value.backend, into, at + 16);
    putBe16(into, at + 32, value.port);
    putU8(into, at + 34, value.protocol);
    into[at + 35] = 0;
    putU32(into, at + 36, value.service);
  },
  decode(from, at) {
    return {
      source: decodeAddress(from, at),
      backend: decodeAddress(from, at + 16),
      port: getBe16(from, at + 32),
      protocol: getU8(from, at + 34),
      service: getU32(from, at + 36),
    };
  },
};

/** Value of `counters`, one for each CPU and outcome. */
export interface Counter {
  /** How often. */
  readonly count: bigint;
}

/** Bytes of Counter. */
export const counter: Codec<Counter> = {
  size: 8,
  encode(value, into, at) {
    putU64(into, at, value.count);
  },
  decode(from, at) {
    return {
      count: getU64(from, at),
    };
  },
};

/** Value of `service_counts`, of one Service port over TCP or UDP; all CPUs add to it. */
export interface ServiceCount {
  /** Connections and UDP flows that were sent to a backend. */
  readonly connections: bigint;
  /** Sockets and packets that were refused or dropped instead. */
  readonly refusals: bigint;
}

/** Bytes of ServiceCount. */
export const serviceCount: Codec<ServiceCount> = {
  size: 16,
  encode(value, into, at) {
    putU64(into, at, value.connections);
    putU64(into, at + 8, value.refusals);
  },
  decode(from, at) {
    return {
      connections: getU64(from, at),
      refusals: getU64(from, at + 8),
    };
  },
};

// What an address means to a Service proxy, whatever the port.
/** A live ClusterIP: ports that it lacks are refused. */
export const ADDRESS_CLUSTER_IP = 1;
/** An address of this node on which NodePorts answer. */
export const ADDRESS_NODE = 2;
/** An address with frontends of its own. Without this bit the programs do not look for one. */
export const ADDRESS_FRONTENDS = 4;
/** An address of a device of this node. */
export const ADDRESS_HELD = 8;

// What a frontend does besides choosing a backend.
/** Packets from a source that the local detector calls a pod get a new source address. */
export const FRONTEND_SNAT_LOCAL = 1;
/** Packets from every other source get a new source address. */
export const FRONTEND_SNAT_OUTSIDE = 2;
/** An empty `local_source` extent drops instead of refusing: endpoints exist, but the policy admits none here. */
export const FRONTEND_DROP_LOCAL = 4;
/** The same for an empty `outside_source` extent. */
export const FRONTEND_DROP_OUTSIDE = 8;
/** Only sources in `source_ranges` of this service may pass. */
export const FRONTEND_SOURCE_RANGES = 16;
/** The source ranges admit this node's own processes. */
export const FRONTEND_RANGES_ADMIT_NODE = 32;
/** The `local_source` extent holds only backends of this node (BACKEND_LOCAL_LIST). */
export const FRONTEND_LOCAL_SOURCE_USES_LOCAL = 64;
/** The `outside_source` extent holds only backends of this node (BACKEND_LOCAL_LIST). */
export const FRONTEND_OUTSIDE_SOURCE_USES_LOCAL = 128;

// Where a backend may be chosen; 0 = free, or gone and at rest.
/** Listed for traffic that any node's endpoints may answer. */
export const BACKEND_CLUSTER_LIST = 1;
/** Listed for traffic that only this node's endpoints may answer. */
export const BACKEND_LOCAL_LIST = 2;
/** UDP: in neither list any more, but it serves the flows that it has, as while it drains. */
export const BACKEND_UNLISTED = 4;

// What a device is to the proxy.
/** Packets that enter here come from pods (local detector by bridge or by interface prefix). */
export const DEVICE_PODS = 1;

// Switches of the running datapath.
/** Sockets outside the node's own network namespace are left to the packet path (--socket-scope host). */
export const SETTINGS_SOCKETS_HOST_ONLY = 1;
/** No local detector for IPv4: a pod is an outside source, so the short circuit of externalTrafficPolicy Local is off. */
export const SETTINGS_NO_LOCAL_DETECTOR4 = 2;
/** The same for IPv6. */
export const SETTINGS_NO_LOCAL_DETECTOR6 = 4;
/** NodePorts answer on 127.0.0.0/8 and ::1 for the node's own processes. */
export const SETTINGS_LOOPBACK_NODE_PORTS = 8;

// * What a packet program tells table `inet weir` about the first packet of a flow, in skb->priority. The kernel computes that field anew when it forwards over IPv4 (net/ipv4/ip_forward.c), and clears it when a packet enters another namespace (net/core/dev.c, ____dev_forward_skb), so no other host or pod can write it.
/** These bits have the value TAG_OF_WEIR. */
export const TAG_MASK = 2080374784;
/** The packet carries a tag. */
export const TAG_OF_WEIR = 1811939328;
/** The table gives the packet an address of the node as its source. */
export const TAG_SNAT = 33554432;
/** The table refuses the packet. */
export const TAG_REFUSED = 16777216;
/** Key of `backends`, and of the table's own maps: where the table sends the packet. */
export const TAG_BACKEND = 1048575;

// Which way an entry of `socket_flows` is looked up.
/** By the address that the program dialled. */
export const FLOW_TO_SERVICE = 1;
/** By the address that a reply came from. */
export const FLOW_FROM_BACKEND = 2;

// How a decision ended: one counter each. Names are what `weir dump` and the metrics show.
/** A socket's destination became a backend. */
export const OUTCOME_SOCKET_TRANSLATED = 0;
/** A datagram went to the backend that its socket used before. */
export const OUTCOME_SOCKET_KEPT_BACKEND = 1;
/** A socket was refused: the Service has no usable endpoint. UDP of the node's own: table `inet weir` refuses its packets. */
export const OUTCOME_SOCKET_REFUSED_NO_ENDPOINT = 2;
/** A socket was refused: the ClusterIP does not have this port. UDP of the node's own: table `inet weir` refuses its packets. */
export const OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT = 3;
/** A socket was refused: a slot or backend that must exist does not. */
export const OUTCOME_SOCKET_REFUSED_BROKEN_TABLE = 4;
/** A socket of the node's own failed with EPERM (UDP: when it sends): endpoints exist, but policy admits none here. */
export const OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT = 5;
/** A socket of the node's own failed with EPERM (UDP: when it sends): the node is outside loadBalancerSourceRanges. */
export const OUTCOME_SOCKET_DROP_SOURCE_RANGE = 6;
/** A pod's socket was left alone: policy admits no endpoint here; the packet path drops what it sends. */
export const OUTCOME_SOCKET_NO_LOCAL_ENDPOINT = 7;
/** A pod's socket was left to the packet path: it can see its source address, give it another source port, or refuse a datagram. */
export const OUTCOME_SOCKET_LEFT_TO_PACKETS = 8;
/** A packet started a translated flow. */
export const OUTCOME_PACKET_TRANSLATED = 9;
/** The same, with a new source address. */
export const OUTCOME_PACKET_TRANSLATED_SNAT = 10;
/** A closing conntrack entry made room: its client used its port again, or another client needed a source port. */
export const OUTCOME_PACKET_TUPLE_REUSED = 11;
/** A packet to a ClusterIP came from a pod although sockets should have translated it. */
export const OUTCOME_PACKET_POD_UNSEEN_BY_SOCKETS = 12;
/** A packet was refused: the Service has no usable endpoint. */
export const OUTCOME_PACKET_REFUSED_NO_ENDPOINT = 13;
/** A packet was refused: the ClusterIP does not have this port. */
export const OUTCOME_PACKET_REFUSED_UNKNOWN_PORT = 14;
/** A packet was dropped: endpoints exist, but policy admits none here. */
export const OUTCOME_PACKET_DROP_NO_LOCAL_ENDPOINT = 15;
/** A packet was dropped: its source is outside loadBalancerSourceRanges. */
export const OUTCOME_PACKET_DROP_SOURCE_RANGE = 16;
/** A packet was dropped: the connection tracking table has no room for its flow. */
export const OUTCOME_PACKET_DROP_CONNTRACK_FULL = 17;
/** A packet was dropped: the kernel found no free port of its new source address towards the backend, see `shortages`. */
export const OUTCOME_PACKET_DROP_NO_SOURCE_PORT = 18;
/** A packet was dropped: the kernel refused its conntrack entry for another reason. */
export const OUTCOME_PACKET_DROP_CONNTRACK = 19;
/** A packet was dropped: it needs a new source address, and neither the device that it leaves by nor the node has one. */
export const OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS = 20;
/** A packet was dropped: a slot or backend that must exist does not. */
export const OUTCOME_PACKET_DROP_BROKEN_TABLE = 21;
/** A socket was left to the packet path: it is neither the node's nor that of a pod with only the node's network. */
export const OUTCOME_SOCKET_OF_OTHER_NETWORK = 22;
/** Number of outcomes. */
export const OUTCOME_COUNT = 23;

/** Names of outcomes; the index is the key in `counters`. */
export const OUTCOMES: readonly string[] = [
  'socket_translated',
  'socket_kept_backend',
  'socket_refused_no_endpoint',
  'socket_refused_unknown_port',
  'socket_refused_broken_table',
  'socket_drop_no_local_endpoint',
  'socket_drop_source_range',
  'socket_no_local_endpoint',
  'socket_left_to_packets',
  'packet_translated',
  'packet_translated_snat',
  'packet_tuple_reused',
  'packet_pod_unseen_by_sockets',
  'packet_refused_no_endpoint',
  'packet_refused_unknown_port',
  'packet_drop_no_local_endpoint',
  'packet_drop_source_range',
  'packet_drop_conntrack_full',
  'packet_drop_no_source_port',
  'packet_drop_conntrack',
  'packet_drop_no_source_address',
  'packet_drop_broken_table',
  'socket_of_other_network',
];

/** Key and value of each table. */
export interface TableTypes {
  /**  */
  addresses: { key: AddressKey; value: AddressMeaning };
  /**  */
  frontends: { key: FrontendKey; value: Frontend };
  /**  */
  slots: { key: Index; value: Slot };
  /**  */
  backends: { key: Index; value: Backend };
  /**  */
  services: { key: ServiceKey; value: ServiceName };
  /**  */
  source_ranges: { key: RangeKey; value: Presence };
  /**  */
  local_nets: { key: NetKey; value: Presence };
  /**  */
  devices: { key: DeviceKey; value: Device };
  /** The one element of `settings`: what may change while programs run. */
  settings: { key: Index; value: Settings };
  /** Value of `affinity`. */
  affinity: { key: AffinityKey; value: Affinity };
  /**  */
  socket_flows: { key: SocketFlowKey; value: SocketFlow };
  /**  */
  udp_senders: { key: UdpSenderKey; value: UdpSender };
  /**  */
  counters: { key: Index; value: Counter };
  /**  */
  service_counts: { key: Index; value: ServiceCount };
  /**  */
  shortages: { key: Index; value: Shortage };
}

/** Name of a table, as the kernel and its pin have it. */
export type TableName = keyof TableTypes;

/** Key of a table. */
export type TableKey<T extends TableName> = TableTypes[T]['key'];

/** One element of a table. */
export interface TableEntry<T extends TableName> {
  readonly key: TableKey<T>;
  readonly value: TableTypes[T]['value'];
}

/** The parts of a table: BPF_MAP_TYPE_*, BPF_F_* bits, default size, and codecs (of one CPU's value in per-CPU tables). */
export interface Table<T extends TableName> {
  readonly name: T;
  readonly type: number;
  readonly flags: number;
  readonly maxEntries: number;
  readonly key: Codec<TableTypes[T]['key']>;
  readonly value: Codec<TableTypes[T]['value']>;
}

/** All tables, in the order of bpf/abi/maps.h. */
export const TABLES: { readonly [T in TableName]: Table<T> } = {
  addresses: { name: 'addresses', type: 1, flags: 1, maxEntries: 131072, key: addressKey, value: addressMeaning },
  frontends: { name: 'frontends', type: 1, flags: 1, maxEntries: 262144, key: frontendKey, value: frontend },
  slots: { name: 'slots', type: 2, flags: 0, maxEntries: 1048576, key: index, value: slot },
  backends: { name: 'backends', type: 2, flags: 0, maxEntries: 524288, key: index, value: backend },
  services: { name: 'services', type: 1, flags: 1, maxEntries: 131072, key: serviceKey, value: serviceName },
  source_ranges: { name: 'source_ranges', type: 11, flags: 1, maxEntries: 65536, key: rangeKey, value: presence },
  local_nets: { name: 'local_nets', type: 11, flags: 1, maxEntries: 1024, key: netKey, value: presence },
  devices: { name: 'devices', type: 1, flags: 1, maxEntries: 16384, key: deviceKey, value: device },
  settings: { name: 'settings', type: 2, flags: 0, maxEntries: 1, key: index, value: settings },
  affinity: { name: 'affinity', type: 9, flags: 0, maxEntries: 65536, key: affinityKey, value: affinity },
  socket_flows: { name: 'socket_flows', type: 9, flags: 0, maxEntries: 65536, key: socketFlowKey, value: socketFlow },
  udp_senders: { name: 'udp_senders', type: 9, flags: 0, maxEntries: 16384, key: udpSenderKey, value: udpSender },
  counters: { name: 'counters', type: 6, flags: 0, maxEntries: 23, key: index, value: counter },
  service_counts: { name: 'service_counts', type: 2, flags: 0, maxEntries: 131073, key: index, value: serviceCount },
  shortages: { name: 'shortages', type: 2, flags: 0, maxEntries: 1, key: index, value: shortage },
};

/** Name of this layout: other structs, enums or maps give another one. */
export const LAYOUT_DIGEST: string = '2d0a04eebe74d42a';
