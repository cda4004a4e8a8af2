/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * dial.h: the fate of a socket that dials an address: it is left alone, refused, or sent to a backend; and the peer address
 * that it sees afterwards.
 */
#ifndef WEIR_LIB_DIAL_H
#define WEIR_LIB_DIAL_H

#include "choose.h"
#include "pod.h"
#include "socket_flow.h"
#include "verdict.h"

/** Where a socket's packets go, or come from. */
struct peer {
	struct address address;
	__be16 port;
};

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
 * untranslated by the default route instead, so their sockets fail here, with EPERM as when netfilter drops their packets.
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

/** Fills in `flow` as it was, if its backend still serves this frontend under this policy. */
static always_inline bool keep_backend(struct bpf_sock_addr *ctx, __u32 service, __u32 list, struct socket_flow *flow)
{
	struct backend *backend;
	struct socket_flow old;

	if (!find_flow(ctx, FLOW_TO_SERVICE, &flow->service_address, flow->service_port, &old))
		return false;
	backend = serving_backend(old.backend, service, list);
	if (!backend || backend->port != old.backend_port || !address_equal(&backend->address, &old.backend_address))
		return false;
	*flow = old;
	remember_flow(ctx, flow);
	return true;
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
	remember_flow(ctx, flow);
	return OUTCOME_SOCKET_TRANSLATED;
}

static always_inline enum outcome nobody_answers(const struct policy *policy, struct caller caller)
{
	if (!policy->drop_if_empty)
		return OUTCOME_SOCKET_REFUSED_NO_ENDPOINT;
	return caller.host ? OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT : OUTCOME_SOCKET_NO_LOCAL_ENDPOINT;
}

static always_inline enum outcome apply_policy(struct bpf_sock_addr *ctx, enum dial_kind kind,
					       const struct frontend *frontend, struct caller caller,
					       struct socket_flow *flow)
{
	struct policy policy = policy_for(frontend, caller.local_source);

	if (!ranges_admit(frontend, caller.host))
		return caller.host ? OUTCOME_SOCKET_DROP_SOURCE_RANGE : OUTCOME_SOCKET_LEFT_TO_PACKETS;
	if (!policy.extent.count)
		return nobody_answers(&policy, caller);
	if (kind == DIAL_DATAGRAM && keep_backend(ctx, frontend->service, policy.list, flow))
		return OUTCOME_SOCKET_KEPT_BACKEND;
	return start_socket_flow(ctx, frontend, &policy, flow);
}

static always_inline struct caller caller_of(struct bpf_sock_addr *ctx, const struct settings *settings, bool v4)
{
	__u32 undetected = v4 ? SETTINGS_NO_LOCAL_DETECTOR4 : SETTINGS_NO_LOCAL_DETECTOR6;
	bool host = bpf_get_netns_cookie(ctx) == settings->node_netns_cookie;

	return (struct caller){.host = host, .local_source = host || !(settings->flags & undetected)};
}

/**
 * A TCP socket with a port of its own may have its twin, which dials another Service with the same port. If both get one backend
 * the kernel allows the second no connection (EADDRNOTAVAIL), while packets get another source port.
 */
static always_inline bool has_chosen_port(const struct bpf_sock_addr *ctx)
{
	return ctx->protocol == IPPROTO_TCP && ctx->sk->src_port;
}

static always_inline enum outcome decide_socket(struct bpf_sock_addr *ctx, enum dial_kind kind,
						struct socket_flow *flow)
{
	struct settings *settings = get_settings();
	struct frontend frontend;
	enum outcome outcome;
	struct caller caller;
	enum dialled dialled;
	bool loopback, v4 = address_is_v4(&flow->service_address);

	if (!settings)
		return NO_OUTCOME;
	caller = caller_of(ctx, settings, v4);
	if (!caller.host && (settings->flags & SETTINGS_SOCKETS_HOST_ONLY))
		return NO_OUTCOME;
	loopback = caller.host && (settings->flags & SETTINGS_LOOPBACK_NODE_PORTS);
	dialled = find_frontend(&flow->service_address, flow->service_port, ctx->protocol, loopback, &frontend);
	if (dialled == DIALLED_OTHER)
		return NO_OUTCOME;
	if (!caller.host && !is_pod(ctx, settings, v4))
		return OUTCOME_SOCKET_OF_OTHER_NETWORK;
	if (!caller.host && has_chosen_port(ctx))
		return OUTCOME_SOCKET_LEFT_TO_PACKETS;
	if (dialled == DIALLED_UNKNOWN_PORT)
		return OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT;
	outcome = apply_policy(ctx, kind, &frontend, caller, flow);
	count_for(frontend.service, outcome);
	return outcome;
}

/**
 * A datagram straight to a backend that the socket also knows through a Service: the reply is shown as it comes. (A connected
 * socket's peer comes here too, if it is IPv4-mapped, see udpv6_sendmsg; it stays what connect() made of it.)
 */
static always_inline void dial_directly(struct bpf_sock_addr *ctx, struct socket_flow *flow)
{
	struct socket_flow known;

	if (ctx->sk->state == BPF_TCP_ESTABLISHED ||
	    !find_flow(ctx, FLOW_FROM_BACKEND, &flow->service_address, flow->service_port, &known))
		return;
	flow->backend_address = flow->service_address;
	flow->backend_port = flow->service_port;
	remember_flow(ctx, flow);
}

/** Decides where a socket goes that dials `to`, and puts the backend there if it goes to one. */
static always_inline enum outcome dial(struct bpf_sock_addr *ctx, enum dial_kind kind, struct peer *to)
{
	struct socket_flow flow = {.service_address = to->address, .service_port = to->port};
	enum outcome outcome;

	if (kind == DIAL_CONNECT)
		forget_flows(ctx);
	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)
		return NO_OUTCOME;
	outcome = decide_socket(ctx, kind, &flow);
	if (outcome == OUTCOME_SOCKET_TRANSLATED || outcome == OUTCOME_SOCKET_KEPT_BACKEND) {
		to->address = flow.backend_address;
		to->port = flow.backend_port;
	}
	if (outcome == NO_OUTCOME && kind == DIAL_DATAGRAM)
		dial_directly(ctx, &flow);
	return outcome;
}

/** Puts the Service address that the socket dialled in the place of its backend's; other peers stay as they are. */
static always_inline void show_service(struct bpf_sock_addr *ctx, struct peer *from)
{
	struct socket_flow flow;

	if (!find_flow(ctx, FLOW_FROM_BACKEND, &from->address, from->port, &flow))
		return;
	from->address = flow.service_address;
	from->port = flow.service_port;
}

#endif
