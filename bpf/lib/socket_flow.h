/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * socket_flow.h: which Service a socket dialled when it talks to a backend. A connected socket has one peer, which is kept by
 * itself. Of the destinations of datagrams the last four are kept in the socket, older ones in an LRU table. The hooks run
 * under the socket's lock (BPF_CGROUP_RUN_SA_PROG_LOCK in include/linux/bpf-cgroup.h), so the state needs none of its own.
 */
#ifndef WEIR_LIB_SOCKET_FLOW_H
#define WEIR_LIB_SOCKET_FLOW_H

#include "address.h"

#include "../abi/maps.h"

#define PLACES	 4
#define CONNECTS 2

/** Where a socket's packets go, or come from. */
struct peer {
	struct address address;
	__be16 port;
};

static always_inline struct socket_flow_key flow_key(__u64 cookie, enum flow_direction direction,
						     const struct address *address, __be16 port)
{
	return (struct socket_flow_key){
		.socket = cookie,
		.address = *address,
		.port = port,
		.direction = direction,
	};
}

static always_inline bool flow_matches(const struct socket_flow *flow, enum flow_direction direction,
				       const struct address *address, __be16 port)
{
	if (!flow->backend_port)
		return false;
	if (direction == FLOW_TO_SERVICE)
		return flow->service_port == port && address_equal(&flow->service_address, address);
	return flow->backend_port == port && address_equal(&flow->backend_address, address);
}

/** The place of a flow of datagrams in the socket; NULL if it has none. */
static always_inline struct socket_flow *place_of(struct socket_state *state, enum flow_direction direction,
						  const struct address *address, __be16 port)
{
	for (__u32 i = 0; i < PLACES; i++)
		if (flow_matches(&state->flows[i], direction, address, port))
			return &state->flows[i];
	return NULL;
}

/** The flow of datagrams to a Service address, or from a backend: the one used last, if two fit. */
static always_inline bool find_flow(struct bpf_sock_addr *ctx, enum flow_direction direction,
				    const struct address *address, __be16 port, struct socket_flow *into)
{
	struct socket_state *state = bpf_sk_storage_get(&socket_state, ctx->sk, NULL, 0);
	struct socket_flow_key key;
	struct socket_flow *flow;

	if (!state)
		return false;
	flow = place_of(state, direction, address, port);
	if (!flow && state->moved) {
		key = flow_key(bpf_get_socket_cookie(ctx), direction, address, port);
		flow = bpf_map_lookup_elem(&socket_flows, &key);
	}
	if (flow)
		*into = *flow;
	return flow != NULL;
}

static always_inline void move_to_table(struct bpf_sock_addr *ctx, const struct socket_flow *flow)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);
	struct socket_flow_key key;

	key = flow_key(cookie, FLOW_TO_SERVICE, &flow->service_address, flow->service_port);
	bpf_map_update_elem(&socket_flows, &key, flow, BPF_ANY);
	key = flow_key(cookie, FLOW_FROM_BACKEND, &flow->backend_address, flow->backend_port);
	bpf_map_update_elem(&socket_flows, &key, flow, BPF_ANY);
}

/** Frees the first place, for a flow to this Service address: its old place is closed up, or the oldest flow moves out. */
static always_inline void make_room(struct bpf_sock_addr *ctx, struct socket_state *state,
				    const struct socket_flow *flow)
{
	__u32 old = 0;

	while (old < PLACES &&
	       !flow_matches(&state->flows[old], FLOW_TO_SERVICE, &flow->service_address, flow->service_port))
		old++;
	if (old == PLACES && state->flows[PLACES - 1].backend_port) {
		move_to_table(ctx, &state->flows[PLACES - 1]);
		state->moved = 1;
	}
	for (__u32 i = PLACES - 1; i > 0; i--)
		if (i <= old)
			state->flows[i] = state->flows[i - 1];
}

/**
 * The order is that of use, because two Services may lead to one backend: its reply belongs to the one asked last. Without
 * memory for it the flow works all the same, but shows the backend's address.
 */
static always_inline void remember_flow(struct bpf_sock_addr *ctx, const struct socket_flow *flow)
{
	struct socket_state *state = bpf_sk_storage_get(&socket_state, ctx->sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);

	if (!state)
		return;
	make_room(ctx, state, flow);
	state->flows[0] = *flow;
}

/** 32 bits of a socket. The compiler may compute a pointer into it to load several fields, which the verifier rejects. */
#define LOAD_FIELD(socket, field)                                                                                      \
	({                                                                                                             \
		__u64 loaded;                                                                                          \
		asm volatile("%0 = *(u32 *)(%1 + %2)"                                                                  \
			     : "=r"(loaded)                                                                            \
			     : "r"(socket), "i"(offsetof(struct bpf_sock, field)));                                    \
		(__be32) loaded;                                                                                       \
	})

static always_inline struct address peer_address(struct bpf_sock *socket)
{
	if (LOAD_FIELD(socket, family) == FAMILY_V4)
		return address_from_v4(LOAD_FIELD(socket, dst_ip4));
	return (struct address){.word = {LOAD_FIELD(socket, dst_ip6[0]), LOAD_FIELD(socket, dst_ip6[1]),
					 LOAD_FIELD(socket, dst_ip6[2]), LOAD_FIELD(socket, dst_ip6[3])}};
}

/** The socket is a UDP socket that is connected to this address, or a TCP socket whose connection is open. */
static always_inline bool is_peer(struct bpf_sock_addr *ctx, const struct address *address, __be16 port)
{
	struct address own;

	if (ctx->sk->state != BPF_TCP_ESTABLISHED || ctx->sk->dst_port != port)
		return false;
	own = peer_address(ctx->sk);
	return address_equal(&own, address);
}

/** The flow of a connected socket to this address: of the last connect, or of the one before if that failed. */
static always_inline struct socket_flow *connected_flow(struct socket_state *state, enum flow_direction direction,
							const struct address *address, __be16 port)
{
	for (__u32 i = 0; i < CONNECTS; i++)
		if (flow_matches(&state->connected[i], direction, address, port))
			return &state->connected[i];
	return NULL;
}

/** A process sees its MPTCP socket, and the hooks of connect a subflow of it (mptcp_connect). Some kernels have no MPTCP. */
static always_inline void remember_mptcp_connect(struct bpf_sock_addr *ctx, const struct socket_flow *flow)
{
	struct socket_state *state;
	struct mptcp_sock *whole;

	if (ctx->protocol != IPPROTO_TCP || !flow->service || !bpf_core_type_exists(struct mptcp_sock))
		return;
	whole = bpf_skc_to_mptcp_sock(ctx->sk);
	if (!whole)
		return;
	state = bpf_sk_storage_get(&socket_state, whole, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (state)
		state->connected[0] = *flow;
}

/**
 * Before the kernel connects the socket, which may fail: then the peer stays that it has. A socket without state needs none
 * for a peer without a Service (`service` 0).
 */
static always_inline void remember_connect(struct bpf_sock_addr *ctx, const struct socket_flow *flow)
{
	__u64 flags = flow->service ? BPF_SK_STORAGE_GET_F_CREATE : 0;
	struct socket_state *state = bpf_sk_storage_get(&socket_state, ctx->sk, NULL, flags);

	if (!state)
		return;
	if (is_peer(ctx, &state->connected[0].backend_address, state->connected[0].backend_port))
		state->connected[1] = state->connected[0];
	state->connected[0] = *flow;
	remember_mptcp_connect(ctx, flow);
}

/** The flow that a connected socket has to its peer, if it dialled this Service address. */
static always_inline bool find_connected_to(struct bpf_sock_addr *ctx, const struct address *address, __be16 port,
					    struct socket_flow *into)
{
	struct socket_state *state = bpf_sk_storage_get(&socket_state, ctx->sk, NULL, 0);
	struct socket_flow *flow = state ? connected_flow(state, FLOW_TO_SERVICE, address, port) : NULL;

	if (!flow || !is_peer(ctx, &flow->backend_address, flow->backend_port))
		return false;
	*into = *flow;
	return true;
}

/** Puts the address that a connected socket dialled in the place of its peer's. */
static always_inline void show_connected(struct bpf_sock_addr *ctx, struct peer *peer)
{
	struct socket_state *state = bpf_sk_storage_get(&socket_state, ctx->sk, NULL, 0);
	struct socket_flow *flow = state ? connected_flow(state, FLOW_FROM_BACKEND, &peer->address, peer->port) : NULL;

	if (!flow)
		return;
	peer->address = flow->service_address;
	peer->port = flow->service_port;
}

#endif
