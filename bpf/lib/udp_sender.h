/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * udp_sender.h: a UDP server whose client's address and port are also a Service's, as where a load balancer has the node's
 * address and SNAT keeps the port of the client. What goes back to the client from the port that received its datagram is a
 * reply and no dial, as for conntrack: whichever socket has the port, and for as long as conntrack remembers a stream.
 * recvmsg() of an unconnected socket asks whether its sender is a frontend: 80 ns for each datagram from other senders.
 */
#ifndef WEIR_LIB_UDP_SENDER_H
#define WEIR_LIB_UDP_SENDER_H

#include "socket_flow.h"

/** Default of sysctl net.netfilter.nf_conntrack_udp_timeout_stream. */
#define CONVERSATION_NS (120 * 1000000000ULL)

static always_inline struct udp_sender_key sender_key(struct bpf_sock_addr *ctx, const struct peer *sender)
{
	return (struct udp_sender_key){
		.netns_cookie = bpf_get_netns_cookie(ctx),
		.address = sender->address,
		.port = sender->port,
		.own_port = bpf_htons(ctx->sk->src_port),
	};
}

/** No client has a ClusterIP as its own address: a datagram from there is the answer of a Service. */
static always_inline bool is_cluster_ip(const struct address *address)
{
	struct address_meaning *meaning = bpf_map_lookup_elem(&addresses, address);

	return meaning && (meaning->flags & ADDRESS_CLUSTER_IP);
}

/** `sender` is a frontend. */
static always_inline void remember_sender(struct bpf_sock_addr *ctx, const struct peer *sender)
{
	struct udp_sender value = {.last_received_ns = bpf_ktime_get_coarse_ns()};
	struct udp_sender_key key = sender_key(ctx, sender);

	if (!is_cluster_ip(&sender->address))
		bpf_map_update_elem(&udp_senders, &key, &value, BPF_ANY);
}

/** The socket's port has received a datagram from there. */
static always_inline bool is_sender(struct bpf_sock_addr *ctx, const struct peer *to)
{
	struct udp_sender_key key;
	struct udp_sender *sender;

	if (ctx->protocol != IPPROTO_UDP || !ctx->sk->src_port)
		return false;
	key = sender_key(ctx, to);
	sender = bpf_map_lookup_elem(&udp_senders, &key);
	return sender && bpf_ktime_get_coarse_ns() - sender->last_received_ns < CONVERSATION_NS;
}

#endif
