/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * netfilter.bpf.c: packet path `netfilter`. The program writes the chosen backend into a tag of the first packet of a flow, and the NAT
 * chains of table `inet weir` translate it. Everything else in netfilter sees the flow as it sees any other: rules that drop its first
 * packet leave no conntrack entry behind.
 */
#include "lib/ingress.h"

/** The table chooses the source, by the route to the backend. */
static always_inline enum outcome translate(struct __sk_buff *skb, const struct packet *packet,
					    const struct choice *chosen)
{
	(void)packet;
	tag_packet(skb, (chosen->id & TAG_BACKEND) | (chosen->snat ? TAG_SNAT : 0));
	return chosen->snat ? OUTCOME_PACKET_TRANSLATED_SNAT : OUTCOME_PACKET_TRANSLATED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
