/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ingress.h: the tc programs of a packet path, for packets that enter the node. They choose a backend for the first packet of a flow;
 * the file that includes this one defines translate(), by which its path sends the flow there.
 */
#ifndef WEIR_LIB_INGRESS_H
#define WEIR_LIB_INGRESS_H

#include "choose.h"
#include "conntrack.h"
#include "sending_socket.h"
#include "source.h"

#define VLAN_ID 0x0fff

/** The decision about a new flow. */
struct choice {
	struct backend *backend;
	/** Key of `backends`. */
	__u32 id;
	/** The backend shall see an address of the node. */
	bool snat;
};

/** Sends the flow of this packet to the backend. */
static always_inline enum outcome translate(struct __sk_buff *skb, const struct packet *packet,
					    const struct choice *chosen);

/** A ClusterIP dialled by a pod: its socket should have been translated, unless pods' sockets are left to packets. */
static always_inline void count_unseen_pod(const struct packet *packet)
{
	struct settings *settings = get_settings();
	struct address_meaning *meaning;

	if (!settings || (settings->flags & SETTINGS_SOCKETS_HOST_ONLY))
		return;
	meaning = bpf_map_lookup_elem(&addresses, &packet->destination);
	if (meaning && (meaning->flags & ADDRESS_CLUSTER_IP))
		count(OUTCOME_PACKET_POD_UNSEEN_BY_SOCKETS);
}

static always_inline __u64 mix(__u64 hash, __u32 word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccdull;
	return hash ^ (hash >> 32);
}

/**
 * What chooses the backend. First datagrams of a flow may come on several CPUs at once and must go to one backend, so within a second it is the
 * same for all of them. The hash of the skb may be that of the sending socket (skb_set_hash_from_sk), and sockets may share a port.
 */
static __noinline __u32 chance_of(const struct packet *packet)
{
	__u64 hash;

	if (!packet || packet->protocol != IPPROTO_UDP)
		return bpf_get_prandom_u32();
	hash = mix(bpf_ktime_get_ns() >> 30, ((__u32)packet->source_port << 16) | packet->destination_port);
	for (int i = 0; i < 4; i++)
		hash = mix(mix(hash, packet->source.word[i]), packet->destination.word[i]);
	return hash >> 32;
}

static always_inline enum outcome start_flow(struct __sk_buff *skb, const struct packet *packet,
					     const struct frontend *frontend)
{
	struct affinity_key client = {.client = packet->source};
	bool pod = source_is_pod(skb, packet);
	struct policy policy = policy_for(frontend, pod);
	struct choice chosen = {};

	if ((frontend->flags & FRONTEND_SOURCE_RANGES) && !source_in_ranges(packet, frontend->service))
		return OUTCOME_PACKET_DROP_SOURCE_RANGE;
	if (!policy.extent.count)
		return policy.drop_if_empty ? OUTCOME_PACKET_DROP_NO_LOCAL_ENDPOINT
					    : OUTCOME_PACKET_REFUSED_NO_ENDPOINT;
	chosen.backend = choose_backend(frontend, &policy, &client, chance_of(packet), &chosen.id);
	if (!chosen.backend)
		return OUTCOME_PACKET_DROP_BROKEN_TABLE;
	if (pod)
		count_unseen_pod(packet);
	/* A pod that reaches itself must not see its own address as the source: the reply would never leave it. */
	chosen.snat = policy.snat || address_equal(&packet->source, &chosen.backend->address);
	return translate(skb, packet, &chosen);
}

static always_inline enum outcome decide(struct __sk_buff *skb, const struct packet *packet)
{
	struct frontend frontend;
	enum outcome outcome;

	switch (find_frontend(&packet->destination, packet->destination_port, packet->protocol, false, &frontend)) {
	case DIALLED_UNKNOWN_PORT:
		return OUTCOME_PACKET_REFUSED_UNKNOWN_PORT;
	case DIALLED_FRONTEND:
		if (flow_exists(skb, packet) || is_translated_by_socket(skb, packet))
			return NO_OUTCOME;
		outcome = start_flow(skb, packet, &frontend);
		count_for(frontend.service, outcome);
		return outcome;
	default:
		return NO_OUTCOME;
	}
}

extern int LINUX_KERNEL_VERSION __kconfig;

/**
 * A TCP packet of a tunnel whose metadata stands where a route would. Older kernels take it for the route of the reset in prerouting, and
 * panic (nf_send_reset in net/ipv4/netfilter/nf_reject_ipv4.c; seen on 6.1, not on 6.12).
 */
static always_inline bool has_fatal_reset(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_tunnel_key key;

	return LINUX_KERNEL_VERSION < KERNEL_VERSION(6, 12, 0) && packet->protocol == IPPROTO_TCP &&
	       bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) != -EINVAL;
}

static always_inline int ingress(struct __sk_buff *skb)
{
	struct packet packet = {};
	int verdict;

	clear_foreign_tag(skb);
	if (!parse_packet(skb, &packet))
		return PASS_PACKET;
	verdict = packet_verdict(skb, decide(skb, &packet));
	return skb->priority == (TAG_OF_WEIR | TAG_REFUSED) && has_fatal_reset(skb, &packet) ? TC_ACT_SHOT : verdict;
}

/**
 * A frame that still has a VLAN number belongs to the VLAN device, where it comes by again without it (net/core/dev.c,
 * __netif_receive_skb_core); number 0 is only a priority. Up to 6.1 the number stays in vlan_tci when the tag is taken off
 * (__vlan_hwaccel_clear_tag).
 */
static always_inline bool is_of_vlan(const struct __sk_buff *skb)
{
	return skb->vlan_present && (skb->vlan_tci & VLAN_ID);
}

/** Devices on which packets enter the IP stack. */
SEC("tc")
int weir_ingress(struct __sk_buff *skb)
{
	return skb->pkt_type == PACKET_OTHERHOST || is_of_vlan(skb) ? PASS_PACKET : ingress(skb);
}

/**
 * Ports of a bridge that shows its packets to netfilter (bridge-nf-call-iptables): prerouting is over when they come to the
 * bridge device, too late to start a flow there. What a port takes for another host's is the bridge's own.
 */
SEC("tc")
int weir_ingress_port(struct __sk_buff *skb)
{
	return is_of_vlan(skb) ? PASS_PACKET : ingress(skb);
}

#endif
