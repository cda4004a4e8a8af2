/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * stale_sockets.bpf.c: connected UDP sockets of one network namespace whose backend has changed since they connected. Their
 * packets go there without a Service and without conntrack, so nothing else can redirect them. A run shows each of them, as an
 * entry of `socket_flows`. The control plane condemns some of them after a run; the next run ends these, and their owner
 * sees ECONNABORTED (udp_abort in net/ipv4/udp.c).
 */
#include "lib/choose.h"
#include "lib/socket_flow.h"

/** As far as it is read here. */
struct sock_common {
	__u16 skc_family;
	__u8 skc_state;
	__be16 skc_dport;
	__be32 skc_daddr;
	struct address skc_v6_daddr;
} __attribute__((preserve_access_index));

struct udp_sock;
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
} __attribute__((preserve_access_index));

/** Since Linux 6.5. */
int bpf_sock_destroy(struct sock_common *socket) __ksym;

/** Sockets that are to be ended, by what an earlier run has shown of them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct socket_flow_key);
	__type(value, struct presence);
} condemned SEC(".maps");

/** Both are read by a call, because the verifier lets no instruction load from the stack and from a socket in turn. */
static always_inline struct address address_of_peer(const struct sock_common *socket)
{
	struct address address = address_from_v4(0);

	if (socket->skc_family == FAMILY_V4)
		bpf_probe_read_kernel(&address.word[3], sizeof(address.word[3]), &socket->skc_daddr);
	else
		bpf_probe_read_kernel(&address, sizeof(address), &socket->skc_v6_daddr);
	return address;
}

/** The flow to the address that the socket is connected to, if a Service led there; NULL without. */
static always_inline struct socket_flow *flow_of(struct sock_common *socket)
{
	struct socket_state *state = bpf_sk_storage_get(&socket_state, socket, NULL, 0);
	struct address address;

	if (!state || socket->skc_state != BPF_TCP_ESTABLISHED)
		return NULL;
	address = address_of_peer(socket);
	return connected_flow(state, FLOW_FROM_BACKEND, &address, socket->skc_dport);
}

SEC("iter/udp")
int weir_stale_sockets(struct bpf_iter__udp *ctx)
{
	struct sock_common *socket = (struct sock_common *)ctx->udp_sk;
	struct socket_flow *flow = socket ? flow_of(socket) : NULL;
	struct socket_flow_key key = {};

	/* A socket that dialled a backend's own address has no Service. */
	if (!flow || !flow->service || still_serves(flow, flow->service))
		return 0;
	key.socket = bpf_get_socket_cookie(socket);
	key.address = flow->service_address;
	key.port = flow->service_port;
	key.direction = FLOW_TO_SERVICE;
	/* Where it does not fit, the kernel comes to this socket again. */
	if (bpf_seq_write(ctx->meta->seq, &key, sizeof(key)) || bpf_seq_write(ctx->meta->seq, flow, sizeof(*flow)))
		return 0;
	if (bpf_map_lookup_elem(&condemned, &key))
		bpf_sock_destroy(socket);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
