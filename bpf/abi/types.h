/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * types.h: what the datapath and the control plane say to each other.
 *
 * Every struct here becomes a codec in src/abi/generated.ts (see scripts/abi/generate.ts), so each field carries a comment,
 * padding is spelled out as `reserved` (always 0), and what travels in network byte order has a __be type.
 *
 * An address of either family is 16 bytes: an IPv4 address a.b.c.d is ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). One table
 * serves both families, and an IPv4-mapped destination of a dual-stack socket needs no case of its own.
 */
#ifndef WEIR_ABI_TYPES_H
#define WEIR_ABI_TYPES_H

/** An IPv6 address, or an IPv4 address in its IPv4-mapped form. */
struct address {
	/** The 128 bits, in network byte order. */
	__be32 word[4];
};

/** What an address means to a Service proxy, whatever the port. */
enum address_flags {
	/** A live ClusterIP: ports that it lacks are refused. */
	ADDRESS_CLUSTER_IP = 1,
	/** An address of this node on which NodePorts answer. */
	ADDRESS_NODE = 2,
	/** An address with frontends of its own. Without this bit the programs do not look for one. */
	ADDRESS_FRONTENDS = 4,
	/** An address of a device of this node. */
	ADDRESS_HELD = 8,
};

/** Key of `addresses`. */
struct address_key {
	/** The address itself. */
	struct address address;
};

/** Value of `addresses`. */
struct address_meaning {
	/** ADDRESS_* bits. */
	__u32 flags;
};

/** Key of `frontends`: what a client dials. */
struct frontend_key {
	/** Service address; the zero address of a family (:: or ::ffff:0.0.0.0) stands for every NodePort address of it. */
	struct address address;
	/** Port that the client dials. */
	__be16 port;
	/** IPPROTO_TCP, IPPROTO_UDP, or IPPROTO_SCTP: that one is for the record, table inet weir carries it out. */
	__u8 protocol;
	/** Padding, 0. */
	__u8 reserved;
};

/** A run of places in `slots`. */
struct extent {
	/** First slot. */
	__u32 first;
	/** Number of slots; 0 = no backend may answer. */
	__u32 count;
};

/** What a frontend does besides choosing a backend. */
enum frontend_flags {
	/** Packets from a source that the local detector calls a pod get a new source address. */
	FRONTEND_SNAT_LOCAL = 1,
	/** Packets from every other source get a new source address. */
	FRONTEND_SNAT_OUTSIDE = 2,
	/** An empty `local_source` extent drops instead of refusing: endpoints exist, but the policy admits none here. */
	FRONTEND_DROP_LOCAL = 4,
	/** The same for an empty `outside_source` extent. */
	FRONTEND_DROP_OUTSIDE = 8,
	/** Only sources in `source_ranges` of this service may pass. */
	FRONTEND_SOURCE_RANGES = 16,
	/** The source ranges admit this node's own processes. */
	FRONTEND_RANGES_ADMIT_NODE = 32,
	/** The `local_source` extent holds only backends of this node (BACKEND_LOCAL_LIST). */
	FRONTEND_LOCAL_SOURCE_USES_LOCAL = 64,
	/** The `outside_source` extent holds only backends of this node (BACKEND_LOCAL_LIST). */
	FRONTEND_OUTSIDE_SOURCE_USES_LOCAL = 128,
};

/** Value of `frontends`. */
struct frontend {
	/** Who answers pods and this node's own processes. */
	struct extent local_source;
	/** Backends for all other sources. */
	struct extent outside_source;
	/** Key of `services`. */
	__u32 service;
	/** FRONTEND_* bits. */
	__u32 flags;
	/** ClientIP session affinity in seconds; 0 = none. */
	__u32 affinity_seconds;
};

/** Key of the arrays: `slots`, `backends`, `settings`, `counters`, `service_counts`. */
struct index {
	/** Place in the array. */
	__u32 value;
};

/** Value of `slots`. */
struct slot {
	/** Key of `backends`. */
	__u32 backend;
};

/** Where a backend may be chosen; 0 = free, or gone and at rest. */
enum backend_flags {
	/** Listed for traffic that any node's endpoints may answer. */
	BACKEND_CLUSTER_LIST = 1,
	/** Listed for traffic that only this node's endpoints may answer. */
	BACKEND_LOCAL_LIST = 2,
	/** UDP: in neither list any more, but it serves the flows that it has, as while it drains. */
	BACKEND_UNLISTED = 4,
};

/** Value of `backends`: one endpoint of one Service port. */
struct backend {
	/** Address of the endpoint. */
	struct address address;
	/** Port of the endpoint. */
	__be16 port;
	/** Padding, 0. */
	__u16 reserved;
	/** BACKEND_* bits. */
	__u32 flags;
	/** Key of `services`: the one Service port that this backend belongs to. */
	__u32 service;
};

/** Key of `services`. */
struct service_key {
	/** Number of one Service port in one address family; never 0. */
	__u32 service;
};

/** Value of `services`: the name behind the number, for people and for a restarted agent. */
struct service_name {
	/** `namespace/name:port` (`namespace/name` for an unnamed port), UTF-8, ended and filled up with zero bytes. */
	char text[152];
	/** 4 or 6. */
	__u8 family;
	/** IPPROTO_TCP, IPPROTO_UDP or IPPROTO_SCTP. */
	__u8 protocol;
	/** Padding, 0. */
	__u16 reserved;
	/** Number of frontends that it wants and that another Service has. */
	__u32 lost_frontends;
};

/** Key of `source_ranges`, a longest-prefix table: `service` is always matched whole. */
struct range_key {
	/** Length of the prefix in bits: 32 for the service, plus 0 to 128 of the address (IPv4: 96 more). */
	__u32 prefix_bits;
	/** Key of `services`. */
	__u32 service;
	/** Source address or the prefix of it. */
	struct address address;
};

/** Key of `local_nets`, a longest-prefix table. */
struct net_key {
	/** Length of the prefix in bits, 0 to 128 (IPv4: 96 more than the usual number). */
	__u32 prefix_bits;
	/** Address or the prefix of it. */
	struct address address;
};

/** Value of tables that only say yes. */
struct presence {
	/** Always 1. */
	__u32 present;
};

/** What a device is to the proxy. */
enum device_flags {
	/** Packets that enter here come from pods (local detector by bridge or by interface prefix). */
	DEVICE_PODS = 1,
};

/** Key of `devices`. */
struct device_key {
	/** Interface index in the node's network namespace. */
	__u32 ifindex;
};

/** Value of `devices`. */
struct device {
	/** Source address for IPv4 packets that get a new one and leave here; the zero address = use the node's. */
	struct address snat4;
	/** The same for IPv6. */
	struct address snat6;
	/** DEVICE_* bits. */
	__u32 flags;
};

/** Switches of the running datapath. */
enum settings_flags {
	/** Sockets outside the node's own network namespace are left to the packet path (--socket-scope host). */
	SETTINGS_SOCKETS_HOST_ONLY = 1,
	/** No local detector for IPv4: a pod is an outside source, so the short circuit of externalTrafficPolicy Local is off. */
	SETTINGS_NO_LOCAL_DETECTOR4 = 2,
	/** The same for IPv6. */
	SETTINGS_NO_LOCAL_DETECTOR6 = 4,
	/** NodePorts answer on 127.0.0.0/8 and ::1 for the node's own processes. */
	SETTINGS_LOOPBACK_NODE_PORTS = 8,
};

/** The one element of `settings`: what may change while programs run. */
struct settings {
	/** SO_NETNS_COOKIE of the node's network namespace: tells its own processes from pods. */
	__u64 node_netns_cookie;
	/** SETTINGS_* bits. */
	__u32 flags;
	/** Bit of ct->mark on every conntrack entry made here. */
	__u32 conntrack_mark;
	/** Source address for IPv4 packets that get a new one, where the device has none. */
	struct address snat4;
	/** The same for IPv6. */
	struct address snat6;
};

/**
 * What a packet program tells table `inet weir` about the first packet of a flow, in skb->priority. The kernel computes that field anew
 * when it forwards over IPv4 (net/ipv4/ip_forward.c), and clears it when a packet enters another namespace (net/core/dev.c,
 * ____dev_forward_skb), so no other host or pod can write it.
 */
enum packet_tag {
	/** These bits have the value TAG_OF_WEIR. */
	TAG_MASK = 0x7c000000,
	/** The packet carries a tag. */
	TAG_OF_WEIR = 0x6c000000,
	/** The table gives the packet an address of the node as its source. */
	TAG_SNAT = 0x02000000,
	/** The table refuses the packet. */
	TAG_REFUSED = 0x01000000,
	/** Key of `backends`, and of the table's own maps: where the table sends the packet. */
	TAG_BACKEND = 0x000fffff,
};

/** Key of `affinity`. Packets are known by their source address, sockets by their network namespace's cookie. */
struct affinity_key {
	/** Source address of a packet, or in the last 8 bytes the namespace cookie of a socket. */
	struct address client;
	/** Key of `services`. */
	__u32 service;
	/** 1 for a socket's namespace cookie, 0 for an address. */
	__u32 is_cookie;
};

/** Value of `affinity`. */
struct affinity {
	/** bpf_ktime_get_ns() of the last new connection. */
	__u64 last_used_ns;
	/** Key of `backends`. */
	__u32 backend;
	/** Padding, 0. */
	__u32 reserved;
};

/** One translated destination of a socket. */
struct socket_flow {
	/** Address that the program dialled. */
	struct address service_address;
	/** Address that the socket really talks to. */
	struct address backend_address;
	/** Port that the program dialled. */
	__be16 service_port;
	/** Port that the socket really talks to; 0 = unused. */
	__be16 backend_port;
	/** Key of `backends`. */
	__u32 backend;
	/** Key of `services`. */
	__u32 service;
};

/** Value of `socket_state`, kept in the socket itself. */
struct socket_state {
	/** Destinations of datagrams of an unconnected socket, the one used last first. */
	struct socket_flow flows[4];
	/** 1: older ones are in `socket_flows`. */
	__u32 moved;
	/** The destination of the last connect(), and the peer before it: that one stays if the connect fails. */
	struct socket_flow connected[2];
};

/** Which way an entry of `socket_flows` is looked up. */
enum flow_direction {
	/** By the address that the program dialled. */
	FLOW_TO_SERVICE = 1,
	/** By the address that a reply came from. */
	FLOW_FROM_BACKEND = 2,
};

/** Key of `socket_flows`: destinations that no longer fit a socket's own state. */
struct socket_flow_key {
	/** Cookie of the socket. */
	__u64 socket;
	/** Service address or backend address, by `direction`. */
	struct address address;
	/** Service port or backend port, by `direction`. */
	__be16 port;
	/** Padding, 0. */
	__u16 reserved;
	/** FLOW_TO_SERVICE or FLOW_FROM_BACKEND. */
	__u32 direction;
};

/** Key of `udp_senders`: a Service's address and port, and the socket port that received a datagram from there. */
struct udp_sender_key {
	/** SO_NETNS_COOKIE of the receiving socket. */
	__u64 netns_cookie;
	/** Address of the sender. */
	struct address address;
	/** Port of the sender. */
	__be16 port;
	/** Port of the receiving socket. */
	__be16 own_port;
	/** Padding, 0. */
	__u32 reserved;
};

/** Value of `udp_senders`. */
struct udp_sender {
	/** bpf_ktime_get_coarse_ns() of the last datagram. */
	__u64 last_received_ns;
};

/** How a decision ended: one counter each. Names are what `weir dump` and the metrics show. */
enum outcome {
	/** A socket's destination became a backend. */
	OUTCOME_SOCKET_TRANSLATED = 0,
	/** A datagram went to the backend that its socket used before. */
	OUTCOME_SOCKET_KEPT_BACKEND = 1,
	/** A socket was refused: the Service has no usable endpoint. UDP of the node's own: table `inet weir` refuses its packets. */
	OUTCOME_SOCKET_REFUSED_NO_ENDPOINT = 2,
	/** A socket was refused: the ClusterIP does not have this port. UDP of the node's own: table `inet weir` refuses its packets. */
	OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT = 3,
	/** A socket was refused: a slot or backend that must exist does not. */
	OUTCOME_SOCKET_REFUSED_BROKEN_TABLE = 4,
	/** A socket of the node's own failed with EPERM (UDP: when it sends): endpoints exist, but policy admits none here. */
	OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT = 5,
	/** A socket of the node's own failed with EPERM (UDP: when it sends): the node is outside loadBalancerSourceRanges. */
	OUTCOME_SOCKET_DROP_SOURCE_RANGE = 6,
	/** A pod's socket was left alone: policy admits no endpoint here; the packet path drops what it sends. */
	OUTCOME_SOCKET_NO_LOCAL_ENDPOINT = 7,
	/** A pod's socket was left to the packet path: it can see its source address, give it another source port, or refuse a datagram. */
	OUTCOME_SOCKET_LEFT_TO_PACKETS = 8,
	/** A packet started a translated flow. */
	OUTCOME_PACKET_TRANSLATED = 9,
	/** The same, with a new source address. */
	OUTCOME_PACKET_TRANSLATED_SNAT = 10,
	/** A closing conntrack entry made room: its client used its port again, or another client needed a source port. */
	OUTCOME_PACKET_TUPLE_REUSED = 11,
	/** A packet to a ClusterIP came from a pod although sockets should have translated it. */
	OUTCOME_PACKET_POD_UNSEEN_BY_SOCKETS = 12,
	/** A packet was refused: the Service has no usable endpoint. */
	OUTCOME_PACKET_REFUSED_NO_ENDPOINT = 13,
	/** A packet was refused: the ClusterIP does not have this port. */
	OUTCOME_PACKET_REFUSED_UNKNOWN_PORT = 14,
	/** A packet was dropped: endpoints exist, but policy admits none here. */
	OUTCOME_PACKET_DROP_NO_LOCAL_ENDPOINT = 15,
	/** A packet was dropped: its source is outside loadBalancerSourceRanges. */
	OUTCOME_PACKET_DROP_SOURCE_RANGE = 16,
	/** A packet was dropped: the connection tracking table has no room for its flow. */
	OUTCOME_PACKET_DROP_CONNTRACK_FULL = 17,
	/** A packet was dropped: the kernel found no free port of its new source address towards the backend, see `shortages`. */
	OUTCOME_PACKET_DROP_NO_SOURCE_PORT = 18,
	/** A packet was dropped: the kernel refused its conntrack entry for another reason. */
	OUTCOME_PACKET_DROP_CONNTRACK = 19,
	/** A packet was dropped: it needs a new source address, and neither the device that it leaves by nor the node has one. */
	OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS = 20,
	/** A packet was dropped: a slot or backend that must exist does not. */
	OUTCOME_PACKET_DROP_BROKEN_TABLE = 21,
	/** A socket was left to the packet path: it is neither the node's nor that of a pod with only the node's network. */
	OUTCOME_SOCKET_OF_OTHER_NETWORK = 22,
	/** Number of outcomes. */
	OUTCOME_COUNT = 23,
};

/** Value of `shortages`, the last flow without a free source port: every port that was tried for it has a flow already. */
struct shortage {
	/** Source address whose ports ran out. */
	struct address source;
	/** Address of the backend. */
	struct address backend;
	/** Port of the backend. */
	__be16 port;
	/** IPPROTO_TCP or IPPROTO_UDP. */
	__u8 protocol;
	/** Padding, 0. */
	__u8 reserved;
	/** Key of `services`. */
	__u32 service;
};

/** Value of `counters`, one for each CPU and outcome. */
struct counter {
	/** How often. */
	__u64 count;
};

/** Value of `service_counts`, of one Service port over TCP or UDP; all CPUs add to it. */
struct service_count {
	/** Connections and UDP flows that were sent to a backend. */
	__u64 connections;
	/** Sockets and packets that were refused or dropped instead. */
	__u64 refusals;
};

#endif
