/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sending_socket.h: the socket of a pod whose packet enters the node. It is known until the IP stack takes the packet: a veth
 * pair leaves skb->sk in place (skb_scrub_packet in net/core/skbuff.c), ip_rcv_core() gives it up.
 */
#ifndef WEIR_LIB_SENDING_SOCKET_H
#define WEIR_LIB_SENDING_SOCKET_H

#include "packet.h"
#include "socket_flow.h"

/** The flow that took the socket's packet to its destination, if the socket path chose that; NULL without. */
static always_inline struct socket_flow *chosen_flow(struct __sk_buff *skb, struct bpf_sock *socket,
						     const struct packet *packet)
{
	struct socket_state *state = bpf_sk_storage_get(&socket_state, socket, NULL, 0);
	const struct address *to = &packet->destination;
	struct socket_flow *flow = NULL;
	struct socket_flow_key key;

	if (!state)
		return NULL;
	if (socket->state != BPF_TCP_CLOSE)
		flow = connected_flow(state, FLOW_FROM_BACKEND, to, packet->destination_port);
	if (!flow)
		flow = place_of(state, FLOW_FROM_BACKEND, to, packet->destination_port);
	if (flow || !state->moved)
		return flow;
	key = flow_key(bpf_get_socket_cookie(skb), FLOW_FROM_BACKEND, to, packet->destination_port);
	return bpf_map_lookup_elem(&socket_flows, &key);
}

/** The socket path has translated the flow: its endpoint may have another Service's address and port, and is the answer. */
static always_inline bool is_translated_by_socket(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock *socket = skb->sk;
	struct socket_flow *flow;

	if (!socket)
		return false;
	socket = bpf_sk_fullsock(socket);
	if (!socket)
		return false;
	flow = chosen_flow(skb, socket, packet);
	return flow && flow->service;
}

#endif
