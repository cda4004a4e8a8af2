/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dial.h: the fate of a socket that dials an address: it is left alone, refused, or sent to a backend; and the peer address
 * that it sees afterwards.
 */
#ifndef WEIR_LIB_DIAL_H
#define WEIR_LIB_DIAL_H

#include "choose.h"
#include "pod.h"
#include "udp_sender.h"
#include "verdict.h"

enum dial_kind {
	/** connect(): chooses anew. */
	DIAL_CONNECT,
	/** One datagram of an unconnected socket: stays with the backend of the datagrams before it. */
	DIAL_DATAGRAM,
};

/** Who dials. */
struct caller {
	/** One of the node's own processes: its packets never pass tc ingress. */
	bool host;
	/** Pods by the local detector, and the node's own processes. */
	bool local_source;
};

/*
 * If a policy drops a flow, tc drops the packets of pods where they enter. Packets of the node's own processes would leave
 * untranslated by the default route instead, so their connections fail here, with EPERM as when netfilter drops their packets,
 * and table `inet weir` drops their datagrams.
 *
 * A socket that dials has no source address yet, so source ranges are left to packets; for the node's own processes the
 * answer is known beforehand.
 */
static always_inline bool ranges_admit(const struct frontend *frontend, bool host)
{
	if (!(frontend->flags & FRONTEND_SOURCE_RANGES))
		return true;
	return host && (frontend->flags & FRONTEND_RANGES_ADMIT_NODE);
}

/** What the socket has dialled before: a datagram's Service may be the one that the socket is connected to. */
static always_inline bool find_earlier(struct bpf_sock_addr *ctx, const struct socket_flow *flow,
				       struct socket_flow *earlier)
{
	const struct address *address = &flow->service_address;

	return find_connected_to(ctx, address, flow->service_port, earlier) ||
	       find_flow(ctx, FLOW_TO_SERVICE, address, flow->service_port, earlier);
}

/** A socket's client is its network namespace: a pod, or the node. */
static always_inline struct affinity_key socket_client(struct bpf_sock_addr *ctx)
{
	struct affinity_key key = {.is_cookie = 1};
	__u64 cookie = bpf_get_netns_cookie(ctx);

	__builtin_memcpy(&key.client.word[2], &cookie, sizeof(cookie));
	return key;
}

static always_inline enum outcome start_socket_flow(struct bpf_sock_addr *ctx, const struct frontend *frontend,
						    const struct policy *policy, struct socket_flow *flow)
{
	struct affinity_key client = socket_client(ctx);
	struct backend *backend = choose_backend(frontend, policy, &client, bpf_get_prandom_u32(), &flow->backend);

	if (!backend)
		return OUTCOME_SOCKET_REFUSED_BROKEN_TABLE;
	flow->backend_address = backend->address;
	flow->backend_port = backend->port;
	flow->service = frontend->service;
	return OUTCOME_SOCKET_TRANSLATED;
}

static always_inline enum outcome nobody_answers(const struct policy *policy, struct caller caller)
{
	if (!policy->drop_if_empty)
		return OUTCOME_SOCKET_REFUSED_NO_ENDPOINT;
	return caller.host ? OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT : OUTCOME_SOCKET_NO_LOCAL_ENDPOINT;
}

static always_inline enum outcome apply_policy(struct bpf_sock_addr *ctx, const struct frontend *frontend,
					       struct caller caller, struct socket_flow *flow)
{
	struct policy policy = policy_for(frontend, caller.local_source);

	if (!ranges_admit(frontend, caller.host))
		return caller.host ? OUTCOME_SOCKET_DROP_SOURCE_RANGE : OUTCOME_SOCKET_LEFT_TO_PACKETS;
	if (!policy.extent.count)
		return nobody_answers(&policy, caller);
	return start_socket_flow(ctx, frontend, &policy, flow);
}

static always_inline enum outcome dial_frontend(struct bpf_sock_addr *ctx, enum dial_kind kind,
						const struct frontend *frontend, struct caller caller,
						struct socket_flow *flow)
{
	struct peer to = {.address = flow->service_address, .port = flow->service_port};
	struct socket_flow earlier;
	bool is_known = kind == DIAL_DATAGRAM && find_earlier(ctx, flow, &earlier);

	if (is_known && still_serves(&earlier, frontend->service)) {
		*flow = earlier;
		return OUTCOME_SOCKET_KEPT_BACKEND;
	}
	/* A socket that has dialled the Service is its client, whatever it has received from there. */
	if (!is_known && is_sender(ctx, &to))
		return NO_OUTCOME;
	return apply_policy(ctx, frontend, caller, flow);
}

static always_inline struct caller caller_of(struct bpf_sock_addr *ctx, const struct settings *settings, bool v4)
{
	__u32 undetected = v4 ? SETTINGS_NO_LOCAL_DETECTOR4 : SETTINGS_NO_LOCAL_DETECTOR6;
	bool host = bpf_get_netns_cookie(ctx) == settings->node_netns_cookie;

	return (struct caller){.host = host, .local_source = host || !(settings->flags & undetected)};
}

/** The meaning of an address and port to this socket, and who asks. */
static always_inline enum dialled look_up(struct bpf_sock_addr *ctx, const struct address *address, __be16 port,
					  struct caller *caller, struct frontend *frontend)
{
	struct settings *settings = get_settings();
	bool loopback;

	if (!settings)
		return DIALLED_OTHER;
	*caller = caller_of(ctx, settings, address_is_v4(address));
	if (!caller->host && (settings->flags & SETTINGS_SOCKETS_HOST_ONLY))
		return DIALLED_OTHER;
	loopback = caller->host && (settings->flags & SETTINGS_LOOPBACK_NODE_PORTS);
	return find_frontend(address, port, ctx->protocol, loopback, frontend);
}

/**
 * Connecting a datagram socket sends nothing, so nothing refuses it (resolvers connect to find their source address, RFC 6724,
 * 6). Packets are refused. tc counts packets of pods; table `inet weir` refuses or drops packets of the node's own processes.
 */
static always_inline enum outcome leave_to_packets(struct bpf_sock_addr *ctx, struct caller caller,
						   enum outcome outcome)
{
	if (ctx->protocol != IPPROTO_UDP || caller.host)
		return outcome;
	return outcome == OUTCOME_SOCKET_REFUSED_NO_ENDPOINT || outcome == OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT
		       ? OUTCOME_SOCKET_LEFT_TO_PACKETS
		       : outcome;
}

/**
 * A TCP socket with a port of its own may have its twin, which dials another Service with the same port. If both get one backend
 * the kernel allows the second no connection (EADDRNOTAVAIL), while packets get another source port.
 */
static always_inline bool has_chosen_port(const struct bpf_sock_addr *ctx)
{
	return ctx->protocol == IPPROTO_TCP && ctx->sk->src_port;
}

/**
 * A ClusterIP at a device of the node: a cache there (NodeLocal DNS) may keep packets to it from conntrack, so that no proxy translates
 * them. Rules that do so see packets only.
 */
static always_inline bool is_held_cluster_ip(const struct address *address)
{
	struct address_meaning *meaning = bpf_map_lookup_elem(&addresses, address);
	__u32 both = ADDRESS_CLUSTER_IP | ADDRESS_HELD;

	return meaning && (meaning->flags & both) == both;
}

static always_inline enum outcome decide_socket(struct bpf_sock_addr *ctx, enum dial_kind kind,
						struct socket_flow *flow)
{
	struct settings *settings = get_settings();
	struct frontend frontend;
	enum dialled dialled;
	struct caller caller;
	enum outcome outcome;

	dialled = look_up(ctx, &flow->service_address, flow->service_port, &caller, &frontend);
	if (dialled == DIALLED_OTHER || !settings)
		return NO_OUTCOME;
	if (!caller.host && !is_pod(ctx, settings, address_is_v4(&flow->service_address)))
		return OUTCOME_SOCKET_OF_OTHER_NETWORK;
	if (!caller.host && (has_chosen_port(ctx) || is_held_cluster_ip(&flow->service_address)))
		return OUTCOME_SOCKET_LEFT_TO_PACKETS;
	if (dialled == DIALLED_UNKNOWN_PORT)
		return leave_to_packets(ctx, caller, OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT);
	outcome = leave_to_packets(ctx, caller, dial_frontend(ctx, kind, &frontend, caller, flow));
	count_for(frontend.service, outcome);
	return outcome;
}

/** A datagram straight to a backend that the socket also knows through a Service: the reply is shown as it comes. */
static always_inline void dial_directly(struct bpf_sock_addr *ctx, const struct socket_flow *flow)
{
	struct socket_flow known;

	if (ctx->sk->state != BPF_TCP_ESTABLISHED &&
	    find_flow(ctx, FLOW_FROM_BACKEND, &flow->service_address, flow->service_port, &known))
		remember_flow(ctx, flow);
}

static always_inline void remember_dial(struct bpf_sock_addr *ctx, enum dial_kind kind, enum outcome outcome,
					const struct socket_flow *flow)
{
	struct socket_flow connected;

	if (kind == DIAL_CONNECT)
		remember_connect(ctx, flow);
	else if (outcome == NO_OUTCOME)
		dial_directly(ctx, flow);
	else if (flow->service && !find_connected_to(ctx, &flow->service_address, flow->service_port, &connected))
		remember_flow(ctx, flow);
}

/** Decides where a socket goes that dials `to`, and puts the backend there if it goes to one. */
static always_inline enum outcome dial(struct bpf_sock_addr *ctx, enum dial_kind kind, struct peer *to)
{
	struct socket_flow flow = {
		.service_address = to->address,
		.service_port = to->port,
		.backend_address = to->address,
		.backend_port = to->port,
	};
	enum outcome outcome;

	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)
		return NO_OUTCOME;
	/* What connect() has made of the peer comes by again, if it is IPv4-mapped (udpv6_sendmsg): a flow is translated once. */
	if (kind == DIAL_DATAGRAM && is_peer(ctx, &to->address, to->port))
		return NO_OUTCOME;
	outcome = decide_socket(ctx, kind, &flow);
	remember_dial(ctx, kind, outcome, &flow);
	to->address = flow.backend_address;
	to->port = flow.backend_port;
	return outcome;
}

/**
 * Puts the Service address that the socket dialled in the place of the sender's, which may be a backend. A Service's address
 * and port as the sender is remembered, unless the socket is connected: then it replies without an address.
 */
static always_inline void receive(struct bpf_sock_addr *ctx, struct peer *from)
{
	struct frontend frontend;
	struct socket_flow flow;
	struct caller caller;

	if (is_peer(ctx, &from->address, from->port)) {
		show_connected(ctx, from);
	} else if (find_flow(ctx, FLOW_FROM_BACKEND, &from->address, from->port, &flow)) {
		from->address = flow.service_address;
		from->port = flow.service_port;
	} else if (look_up(ctx, &from->address, from->port, &caller, &frontend) == DIALLED_FRONTEND) {
		remember_sender(ctx, from);
	}
}

#endif
