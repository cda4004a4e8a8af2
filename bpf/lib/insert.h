/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * insert.h: a new flow in the kernel's connection tracking, translated, under a source port that is free.
 */
#ifndef WEIR_LIB_INSERT_H
#define WEIR_LIB_INSERT_H

#include "conntrack.h"

/** As the tracker starts them: tcp_timeouts[SYN_SENT] and udp_timeouts[UNREPLIED] in nf_conntrack_proto_{tcp,udp}.c. */
#define TCP_FIRST_TIMEOUT_MS 120000
#define UDP_FIRST_TIMEOUT_MS 30000
/** Half of the finished connections cannot be distinguished from a new one: once in 65,536 times none of 16 can. */
#define PORTS_TRIED 16

static always_inline int set_nat(struct nf_conn___init *entry, const struct address *address, int port,
				 enum nf_nat_manip_type manip)
{
	union nf_inet_addr nat = {};

	if (address_is_v4(address))
		nat.ip = address->word[3];
	else
		__builtin_memcpy(nat.ip6, address->word, sizeof(nat.ip6));
	return bpf_ct_set_nat_info(entry, &nat, port, manip);
}

/** How a flow shall be translated. */
struct translation {
	/** Where it goes. */
	struct address backend;
	/** Source address that the backend sees. */
	struct address source;
	__be16 backend_port;
	/** Source port that the backend sees, or that was tried last; 0 = one that is free. */
	__be16 source_port;
	/** Bit of ct->mark. */
	__u32 mark;
};

/*
 * The source is set even where it stays: with port 0 the kernel keeps the port if it can, and takes another one if the
 * translated flow would otherwise clash with one that exists. Its own hooks do the same (nf_nat_alloc_null_binding),
 * but only before an entry is inserted. The destination must come first: the clash is looked for in the translated
 * tuple.
 */
static always_inline int translate_entry(struct nf_conn___init *entry, const struct translation *to)
{
	int error = set_nat(entry, &to->backend, bpf_ntohs(to->backend_port), NF_NAT_MANIP_DST);

	return error ?: set_nat(entry, &to->source, bpf_ntohs(to->source_port), NF_NAT_MANIP_SRC);
}

/*
 * A finished connection of another client holds its source port for two minutes more. The kernel lets new ones have it when no
 * other is free, if the backend can tell the new from the old by their sequence numbers (nf_nat_used_tuple_harder, since 6.6);
 * entries of programs have no part in that, so it is done here. Only translated ones: others belong to sockets of this node.
 */
static always_inline bool gives_port_away(const struct nf_conn *entry, const struct packet *answer, __u8 direction)
{
	__u8 state = entry->proto.tcp.state;

	if (answer->protocol != IPPROTO_TCP || direction != IP_CT_DIR_REPLY || !(entry->status & IPS_SRC_NAT))
		return false;
	if (state != TCP_CONNTRACK_TIME_WAIT && state != TCP_CONNTRACK_CLOSE)
		return false;
	/* Not read directly: 6.1 takes this place in the union for a field of DCCP. */
	return (__s32)(answer->sequence - BPF_CORE_READ(entry, proto.tcp.seen[IP_CT_DIR_ORIGINAL].td_end)) > 0;
}

/** What the backend answers under a translation; `sequence` stays that of the first packet. */
static always_inline struct packet answer_to(const struct packet *packet, const struct translation *to)
{
	return (struct packet){
		.source = to->backend,
		.destination = to->source,
		.source_port = to->backend_port,
		.destination_port = to->source_port,
		.protocol = packet->protocol,
		.sequence = packet->sequence,
	};
}

/**
 * Whether no flow has these answers now; a finished connection that has them may be ended for that. Up to 6.1 a callback of
 * bpf_loop() must itself look up what it releases (kernel/bpf/verifier.c, callback_ref).
 */
static always_inline bool take_answers(struct __sk_buff *skb, const struct packet *answer)
{
	__u8 direction;
	struct nf_conn *entry = lookup_here(skb, answer, &direction);

	if (entry && gives_port_away(entry, answer, direction)) {
		count(OUTCOME_PACKET_TUPLE_REUSED);
		expire(entry);
		entry = lookup_here(skb, answer, &direction);
	}
	if (entry)
		bpf_ct_release(entry);
	return !entry;
}

/** The kernel keeps small ports small (nf_nat_l4proto_unique_tuple), and so do we. */
static always_inline __u32 last_port_like(__u32 port)
{
	return port < 512 ? 511 : port < 1024 ? 1023 : 65535;
}

/** The search for a port near the one that the kernel tried last. */
struct search {
	struct __sk_buff *skb;
	struct packet answer;
	/** The first one, and the last that is like it. */
	__u32 tried, last;
	bool found;
};

/** A step of it; 1 = stop. */
static long try_port(__u32 step, void *context)
{
	struct search *search = context;

	if (search->tried + step > search->last)
		return 1;
	search->answer.destination_port = bpf_htons(search->tried + step);
	search->found = take_answers(search->skb, &search->answer);
	return search->found;
}

/** Sets a source port under which the backend may answer; false if none can be had. */
static always_inline bool find_port(struct __sk_buff *skb, const struct packet *packet, struct translation *to)
{
	__u32 tried = bpf_ntohs(to->source_port);
	struct search search = {
		.skb = skb, .answer = answer_to(packet, to), .tried = tried, .last = last_port_like(tried)};

	bpf_loop(PORTS_TRIED, try_port, &search, 0);
	to->source_port = search.answer.destination_port;
	return search.found;
}

/** Whether the answers would belong to another flow. */
static always_inline bool answers_clash(struct __sk_buff *skb, const struct packet *packet,
					const struct translation *to)
{
	const struct packet answer = answer_to(packet, to);
	__u8 direction;
	struct nf_conn *entry = lookup_flow(skb, &answer, &direction);

	if (entry)
		bpf_ct_release(entry);
	return entry != NULL;
}

static always_inline enum outcome insert_entry(struct __sk_buff *skb, const struct packet *packet,
					       struct translation *to, struct nf_conn___init *entry)
{
	int error = translate_entry(entry, to);
	struct nf_conn *inserted = (struct nf_conn *)entry;

	to->source_port = inserted->tuplehash[IP_CT_DIR_REPLY].tuple.dst.u.all;
	inserted->mark |= to->mark;
	inserted = bpf_ct_insert_entry(entry);
	if (inserted) {
		/* An entry without translation cannot be freed before it is inserted; no lookup finds it once it has expired. */
		if (error)
			bpf_ct_change_timeout(inserted, 0);
		bpf_ct_release(inserted);
		return error ? OUTCOME_PACKET_DROP_CONNTRACK : OUTCOME_PACKET_TRANSLATED;
	}
	/* Another CPU may have inserted the same flow meanwhile. */
	if (flow_exists(skb, packet))
		return NO_OUTCOME;
	return answers_clash(skb, packet, to) ? OUTCOME_PACKET_DROP_NO_SOURCE_PORT : OUTCOME_PACKET_DROP_CONNTRACK;
}

/** nf_conntrack_alloc() says ENOMEM when the table has nf_conntrack_max entries and none of them may go. */
static always_inline enum outcome try_to_insert(struct __sk_buff *skb, const struct packet *packet,
						struct translation *to)
{
	struct bpf_ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = packet->protocol};
	struct nf_conn___init *entry;
	struct bpf_sock_tuple tuple;

	fill_tuple(&tuple, packet);
	entry = bpf_skb_ct_alloc(skb, &tuple, tuple_size(packet), &opts, sizeof(opts));
	if (!entry)
		return opts.error == -ENOMEM ? OUTCOME_PACKET_DROP_CONNTRACK_FULL : OUTCOME_PACKET_DROP_CONNTRACK;
	bpf_ct_set_timeout(entry, packet->protocol == IPPROTO_TCP ? TCP_FIRST_TIMEOUT_MS : UDP_FIRST_TIMEOUT_MS);
	return insert_entry(skb, packet, to, entry);
}

/**
 * Inserts the flow, translated. OUTCOME_PACKET_TRANSLATED; NO_OUTCOME if another CPU was faster; else why the packet must not
 * go on. The kernel tries at most 248 ports and leaves the last one when none was free (nf_nat_l4proto_unique_tuple); the same
 * is seen when another CPU took the port meanwhile. Then one is looked for here.
 *
 * Not static: the verifier looks at it once by itself, instead of at every way that leads here.
 */
__noinline int insert_flow(struct __sk_buff *skb, const struct packet *packet, struct translation *to)
{
	enum outcome outcome;

	if (!packet || !to)
		return OUTCOME_PACKET_DROP_CONNTRACK;
	outcome = try_to_insert(skb, packet, to);
	if (outcome == OUTCOME_PACKET_DROP_NO_SOURCE_PORT && find_port(skb, packet, to))
		outcome = try_to_insert(skb, packet, to);
	return outcome;
}

#endif
