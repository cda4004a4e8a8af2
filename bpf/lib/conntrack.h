/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * conntrack.h: flows in the kernel's own connection tracking, through its kfuncs (net/netfilter/nf_conntrack_bpf.c and
 * nf_nat_bpf.c). The kernel's hooks translate and route the packets of inserted flows (insert.h) and restore replies.
 */
#ifndef WEIR_LIB_CONNTRACK_H
#define WEIR_LIB_CONNTRACK_H

#include "packet.h"
#include "verdict.h"

/** The tuple of a flow's packets in one direction, as the kfuncs take it. */
static always_inline void fill_tuple(struct bpf_sock_tuple *tuple, const struct packet *packet)
{
	__builtin_memset(tuple, 0, sizeof(*tuple));
	if (address_is_v4(&packet->destination)) {
		tuple->ipv4.saddr = packet->source.word[3];
		tuple->ipv4.daddr = packet->destination.word[3];
		tuple->ipv4.sport = packet->source_port;
		tuple->ipv4.dport = packet->destination_port;
		return;
	}
	__builtin_memcpy(tuple->ipv6.saddr, packet->source.word, sizeof(tuple->ipv6.saddr));
	__builtin_memcpy(tuple->ipv6.daddr, packet->destination.word, sizeof(tuple->ipv6.daddr));
	tuple->ipv6.sport = packet->source_port;
	tuple->ipv6.dport = packet->destination_port;
}

/** The size tells the kfuncs the family. Computed for each call: the verifier loses bounds of stored values. */
static always_inline __u32 tuple_size(const struct packet *packet)
{
	struct bpf_sock_tuple *tuple;

	return address_is_v4(&packet->destination) ? sizeof(tuple->ipv4) : sizeof(tuple->ipv6);
}

/** `direction`: IP_CT_DIR_REPLY if the packet answers a client that dialled its source. */
static always_inline struct nf_conn *lookup_here(struct __sk_buff *skb, const struct packet *packet, __u8 *direction)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = packet->protocol};
	struct bpf_sock_tuple tuple;
	struct nf_conn *entry;

	fill_tuple(&tuple, packet);
	entry = bpf_skb_ct_lookup(skb, &tuple, tuple_size(packet), &opts, sizeof(opts));
	*direction = opts.dir;
	return entry;
}

/** The same, on a stack of its own. */
static __noinline struct nf_conn *lookup_flow(struct __sk_buff *skb, const struct packet *packet, __u8 *direction)
{
	return lookup_here(skb, packet, direction);
}

/*
 * A SYN on a tuple whose old connection is over. In TIME_WAIT and CLOSE the tracker itself starts anew
 * (tcp_conntracks[] in nf_conntrack_proto_tcp.c: sTW and sCL become sSS), but it would do so without our translation.
 * In LAST_ACK (both sides have sent FIN) it lets the SYN through to the old backend, which answers a challenge ACK, or
 * nothing if it is gone. FIN_WAIT and CLOSE_WAIT stay with the tracker: one side may still be sending, and a stray SYN
 * must not cut it off.
 */
static always_inline bool connection_is_over(const struct nf_conn *entry)
{
	__u8 state = entry->proto.tcp.state;

	return state == TCP_CONNTRACK_TIME_WAIT || state == TCP_CONNTRACK_CLOSE || state == TCP_CONNTRACK_LAST_ACK;
}

/*
 * The client existed before the Service, or before these programs: no program translated its first packet, and its destination
 * does not answer for the Service. While the client sends, such an entry would live for ever. Our own entries are also known by
 * their mark, because a backend may have the destination's own address.
 */
static always_inline bool is_untranslated(const struct nf_conn *entry, __u8 direction)
{
	struct settings *settings;

	if (direction != IP_CT_DIR_ORIGINAL || (entry->status & IPS_DST_NAT))
		return false;
	settings = get_settings();
	return settings && !(entry->mark & settings->conntrack_mark);
}

static always_inline bool must_give_way(const struct nf_conn *entry, const struct packet *packet, __u8 direction)
{
	if (packet->protocol == IPPROTO_TCP && connection_is_over(entry)) {
		count(OUTCOME_PACKET_TUPLE_REUSED);
		return true;
	}
	return is_untranslated(entry, direction);
}

/*
 * Programs cannot delete an entry: the next lookup collects an expired one (____nf_conntrack_find), and returns its successor
 * if another CPU was faster.
 */
static always_inline void expire(struct nf_conn *entry)
{
	bpf_ct_change_timeout(entry, 0);
	bpf_ct_release(entry);
}

/** Whether conntrack has the flow of this packet. An entry that must give way is gone afterwards. */
static always_inline bool flow_exists(struct __sk_buff *skb, const struct packet *packet)
{
	__u8 direction;
	struct nf_conn *entry = lookup_flow(skb, packet, &direction);

	if (entry && must_give_way(entry, packet, direction)) {
		expire(entry);
		entry = lookup_flow(skb, packet, &direction);
	}
	if (!entry)
		return false;
	bpf_ct_release(entry);
	return true;
}

#endif
