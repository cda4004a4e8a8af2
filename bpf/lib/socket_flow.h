/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * socket_flow.h: which Service a socket dialled when it talks to a backend. The last four destinations are kept in the
 * socket itself, older ones in an LRU table. The hooks run under the socket's lock (BPF_CGROUP_RUN_SA_PROG_LOCK in
 * include/linux/bpf-cgroup.h), so the state needs none of its own.
 */
#ifndef WEIR_LIB_SOCKET_FLOW_H
#define WEIR_LIB_SOCKET_FLOW_H

#include "address.h"

#include "../abi/maps.h"

#define PLACES 4

static always_inline struct socket_flow_key flow_key(struct bpf_sock_addr *ctx, enum flow_direction direction,
						     const struct address *address, __be16 port)
{
	return (struct socket_flow_key){
		.socket = bpf_get_socket_cookie(ctx),
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

/** The flow of this socket to a Service address, or from a backend: the one used last, if two fit. */
static always_inline bool find_flow(struct bpf_sock_addr *ctx, enum flow_direction direction,
				    const struct address *address, __be16 port, struct socket_flow *into)
{
	struct socket_state *state = bpf_sk_storage_get(&socket_state, ctx->sk, NULL, 0);
	struct socket_flow_key key;
	struct socket_flow *flow;

	if (!state)
		return false;
	for (__u32 i = 0; i < PLACES; i++) {
		if (flow_matches(&state->flows[i], direction, address, port)) {
			*into = state->flows[i];
			return true;
		}
	}
	if (!state->moved)
		return false;
	key = flow_key(ctx, direction, address, port);
	flow = bpf_map_lookup_elem(&socket_flows, &key);
	if (flow)
		*into = *flow;
	return flow != NULL;
}

static always_inline void move_to_table(struct bpf_sock_addr *ctx, const struct socket_flow *flow)
{
	struct socket_flow_key key;

	key = flow_key(ctx, FLOW_TO_SERVICE, &flow->service_address, flow->service_port);
	bpf_map_update_elem(&socket_flows, &key, flow, BPF_ANY);
	key = flow_key(ctx, FLOW_FROM_BACKEND, &flow->backend_address, flow->backend_port);
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

/** A socket that connects again has no older flows; the table is not read until the places are full again. */
static always_inline void forget_flows(struct bpf_sock_addr *ctx)
{
	struct socket_state *state = bpf_sk_storage_get(&socket_state, ctx->sk, NULL, 0);

	if (state)
		__builtin_memset(state, 0, sizeof(*state));
}

#endif
