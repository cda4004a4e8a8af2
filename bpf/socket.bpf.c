/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * socket.bpf.c: sockets that dial Service addresses, at the node's root cgroup. A socket is sent to a backend once, when it
 * connects (an unconnected one: with each datagram), and nothing is left to do for its packets. The programs of IPv4 and of
 * IPv6 differ only in where the kernel keeps the address; IPv4-mapped ones pass through both: connect and recvmsg of an IPv6
 * socket are IPv6 hooks, its sendmsg is an IPv4 one (net/ipv6/udp.c, udpv6_sendmsg).
 */
#include "lib/dial.h"

static always_inline struct peer read_v4(struct bpf_sock_addr *ctx)
{
	return (struct peer){.address = address_from_v4(ctx->user_ip4), .port = ctx->user_port};
}

static always_inline void write_v4(struct bpf_sock_addr *ctx, const struct peer *peer)
{
	ctx->user_ip4 = peer->address.word[3];
	ctx->user_port = peer->port;
}

static always_inline struct peer read_v6(struct bpf_sock_addr *ctx)
{
	__be32 address[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};

	return (struct peer){.address = address_from_v6(address), .port = ctx->user_port};
}

static always_inline void write_v6(struct bpf_sock_addr *ctx, const struct peer *peer)
{
	ctx->user_ip6[0] = peer->address.word[0];
	ctx->user_ip6[1] = peer->address.word[1];
	ctx->user_ip6[2] = peer->address.word[2];
	ctx->user_ip6[3] = peer->address.word[3];
	ctx->user_port = peer->port;
}

static always_inline int dial_v4(struct bpf_sock_addr *ctx, enum dial_kind kind)
{
	struct peer to = read_v4(ctx);
	enum outcome outcome = dial(ctx, kind, &to);

	write_v4(ctx, &to);
	return socket_verdict(outcome, ctx->protocol == IPPROTO_UDP);
}

static always_inline int dial_v6(struct bpf_sock_addr *ctx, enum dial_kind kind)
{
	struct peer to = read_v6(ctx);
	enum outcome outcome = dial(ctx, kind, &to);

	write_v6(ctx, &to);
	return socket_verdict(outcome, ctx->protocol == IPPROTO_UDP);
}

static always_inline int receive_v4(struct bpf_sock_addr *ctx)
{
	struct peer from = read_v4(ctx);

	receive(ctx, &from);
	write_v4(ctx, &from);
	return 1;
}

static always_inline int receive_v6(struct bpf_sock_addr *ctx)
{
	struct peer from = read_v6(ctx);

	receive(ctx, &from);
	write_v6(ctx, &from);
	return 1;
}

SEC("cgroup/connect4")
int weir_connect4(struct bpf_sock_addr *ctx)
{
	return dial_v4(ctx, DIAL_CONNECT);
}

SEC("cgroup/connect6")
int weir_connect6(struct bpf_sock_addr *ctx)
{
	return dial_v6(ctx, DIAL_CONNECT);
}

SEC("cgroup/sendmsg4")
int weir_sendmsg4(struct bpf_sock_addr *ctx)
{
	return dial_v4(ctx, DIAL_DATAGRAM);
}

SEC("cgroup/sendmsg6")
int weir_sendmsg6(struct bpf_sock_addr *ctx)
{
	return dial_v6(ctx, DIAL_DATAGRAM);
}

SEC("cgroup/recvmsg4")
int weir_recvmsg4(struct bpf_sock_addr *ctx)
{
	return receive_v4(ctx);
}

SEC("cgroup/recvmsg6")
int weir_recvmsg6(struct bpf_sock_addr *ctx)
{
	return receive_v6(ctx);
}

SEC("cgroup/getpeername4")
int weir_getpeername4(struct bpf_sock_addr *ctx)
{
	struct peer peer = read_v4(ctx);

	show_connected(ctx, &peer);
	write_v4(ctx, &peer);
	return 1;
}

SEC("cgroup/getpeername6")
int weir_getpeername6(struct bpf_sock_addr *ctx)
{
	struct peer peer = read_v6(ctx);

	show_connected(ctx, &peer);
	write_v6(ctx, &peer);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
