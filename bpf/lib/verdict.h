/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict.h: every way out of a program that took a decision ends here with its outcome: one counter each. The return
 * code for the kernel follows from the outcome alone.
 */
#ifndef WEIR_LIB_VERDICT_H
#define WEIR_LIB_VERDICT_H

#include "kernel.h"

#include "../abi/maps.h"

#include <linux/pkt_cls.h>

/** Not ours: nothing is counted, the packet or socket goes on as it is. */
#define NO_OUTCOME OUTCOME_COUNT

/** A packet goes on, and so do the other programs on the hook: TC_ACT_UNSPEC is also TCX_NEXT. */
#define PASS_PACKET TC_ACT_UNSPEC

static always_inline void count(enum outcome outcome)
{
	struct index key = {.value = outcome};
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (counter)
		counter->count++;
}

/** A connection or flow of this Service begins. */
static always_inline bool is_connection(enum outcome outcome)
{
	return outcome == OUTCOME_SOCKET_TRANSLATED || outcome == OUTCOME_PACKET_TRANSLATED ||
	       outcome == OUTCOME_PACKET_TRANSLATED_SNAT;
}

/** The packet goes no further. */
static always_inline bool drops_packet(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_PACKET_DROP_NO_LOCAL_ENDPOINT:
	case OUTCOME_PACKET_DROP_SOURCE_RANGE:
	case OUTCOME_PACKET_DROP_CONNTRACK_FULL:
	case OUTCOME_PACKET_DROP_NO_SOURCE_PORT:
	case OUTCOME_PACKET_DROP_CONNTRACK:
	case OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS:
	case OUTCOME_PACKET_DROP_BROKEN_TABLE:
		return true;
	default:
		return false;
	}
}

/** The client gets no answer. The packets of a pod's socket that is left to packets are counted instead. */
static always_inline bool is_refusal(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_SOCKET_REFUSED_NO_ENDPOINT:
	case OUTCOME_SOCKET_REFUSED_BROKEN_TABLE:
	case OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT:
	case OUTCOME_SOCKET_DROP_SOURCE_RANGE:
	case OUTCOME_PACKET_REFUSED_NO_ENDPOINT:
		return true;
	default:
		return drops_packet(outcome);
	}
}

/** Counts the outcome of a client that dialled this Service. */
static always_inline void count_for(__u32 service, enum outcome outcome)
{
	struct service_count *counts;

	if (!is_connection(outcome) && !is_refusal(outcome))
		return;
	counts = bpf_map_lookup_elem(&service_counts, &service);
	if (!counts)
		return;
	if (is_connection(outcome))
		__sync_fetch_and_add(&counts->connections, 1);
	else
		__sync_fetch_and_add(&counts->refusals, 1);
}

static always_inline struct settings *get_settings(void)
{
	struct index first = {.value = 0};

	return bpf_map_lookup_elem(&settings, &first);
}

/** For table `inet weir`: see enum packet_tag. */
static always_inline void tag_packet(struct __sk_buff *skb, __u32 bits)
{
	skb->priority = TAG_OF_WEIR | bits;
}

/** Other software may have left a priority that looks like a tag. */
static always_inline void clear_foreign_tag(struct __sk_buff *skb)
{
	if ((skb->priority & TAG_MASK) == TAG_OF_WEIR)
		skb->priority = 0;
}

/** What tc does with the packet. A refused one goes on with a tag, and table `inet weir` rejects it in prerouting. */
static always_inline int packet_verdict(struct __sk_buff *skb, enum outcome outcome)
{
	count(outcome);
	switch (outcome) {
	case OUTCOME_PACKET_REFUSED_NO_ENDPOINT:
	case OUTCOME_PACKET_REFUSED_UNKNOWN_PORT:
		tag_packet(skb, TAG_REFUSED);
		return PASS_PACKET;
	default:
		return drops_packet(outcome) ? TC_ACT_SHOT : PASS_PACKET;
	}
}

/** A refused system call fails with this error; 0 goes on. Table `inet weir` refuses or drops datagrams in its place. */
static always_inline int socket_error(enum outcome outcome, bool is_datagram)
{
	switch (outcome) {
	case OUTCOME_SOCKET_REFUSED_BROKEN_TABLE:
		return -ECONNREFUSED;
	case OUTCOME_SOCKET_REFUSED_NO_ENDPOINT:
	case OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT:
		return is_datagram ? 0 : -ECONNREFUSED;
	case OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT:
	case OUTCOME_SOCKET_DROP_SOURCE_RANGE:
		return is_datagram ? 0 : -EPERM;
	default:
		return 0;
	}
}

/** What connect and sendmsg programs return: 1 goes on, 0 fails with the error of bpf_set_retval(). */
static always_inline int socket_verdict(enum outcome outcome, bool is_datagram)
{
	int error = socket_error(outcome, is_datagram);

	count(outcome);
	if (!error)
		return 1;
	bpf_set_retval(error);
	return 0;
}

#endif
