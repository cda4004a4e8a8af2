/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * conntrack.bpf.c: packets to Service addresses, at tc ingress of the devices where packets enter the node. The first
 * packet of a flow gets a conntrack entry with its translation; the kernel does the rest. Needs table `inet weir`:
 * without its hooks nothing is translated.
 */
#include "lib/choose.h"
#include "lib/conntrack.h"
#include "lib/insert.h"
#include "lib/snat.h"
#include "lib/source.h"

#define VLAN_ID 0x0fff

/** A ClusterIP dialled by a pod: its socket should have been translated, unless pods' sockets are left to packets. */
static always_inline void count_unseen_pod(const struct packet *packet, const struct settings *settings)
{
	struct address_meaning *meaning;

	if (settings->flags & SETTINGS_SOCKETS_HOST_ONLY)
		return;
	meaning = bpf_map_lookup_elem(&addresses, &packet->destination);
	if (meaning && (meaning->flags & ADDRESS_CLUSTER_IP))
		count(OUTCOME_PACKET_POD_UNSEEN_BY_SOCKETS);
}

/** For the agent, which says it. Two CPUs at once may mix up what they write: it is for people. */
static always_inline void note_shortage(const struct translation *to, __u8 protocol, __u32 service)
{
	struct index first = {.value = 0};
	struct shortage *shortage = bpf_map_lookup_elem(&shortages, &first);

	if (shortage)
		*shortage = (struct shortage){
			.source = to->source,
			.backend = to->backend,
			.port = to->backend_port,
			.protocol = protocol,
			.service = service,
		};
}

static always_inline enum outcome translate(struct __sk_buff *skb, const struct packet *packet,
					    const struct backend *backend, bool snat, const struct settings *settings)
{
	struct translation to = {
		.backend = backend->address,
		.backend_port = backend->port,
		.source = packet->source,
		.mark = settings->conntrack_mark,
	};
	enum outcome outcome;
	__u32 device = 0;

	/* A pod that reaches itself must not see its own address as the source: the reply would never leave it. */
	snat |= address_equal(&packet->source, &backend->address);
	snat = snat && leaves_node(skb, packet, &backend->address, &device);
	if (snat)
		to.source = snat_address(device, address_is_v4(&packet->source), settings);
	if (address_is_zero(&to.source))
		return OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS;
	outcome = insert_flow(skb, packet, &to);
	if (outcome == OUTCOME_PACKET_DROP_NO_SOURCE_PORT)
		note_shortage(&to, packet->protocol, backend->service);
	return outcome == OUTCOME_PACKET_TRANSLATED && snat ? OUTCOME_PACKET_TRANSLATED_SNAT : outcome;
}

static always_inline enum outcome start_flow(struct __sk_buff *skb, const struct packet *packet,
					     const struct frontend *frontend)
{
	struct affinity_key client = {.client = packet->source};
	struct settings *settings = get_settings();
	bool pod = source_is_pod(skb, packet);
	struct policy policy = policy_for(frontend, pod);
	struct backend *backend;
	__u32 id;

	if ((frontend->flags & FRONTEND_SOURCE_RANGES) && !source_in_ranges(packet, frontend->service))
		return OUTCOME_PACKET_DROP_SOURCE_RANGE;
	if (!policy.extent.count)
		return policy.drop_if_empty ? OUTCOME_PACKET_DROP_NO_LOCAL_ENDPOINT
					    : OUTCOME_PACKET_REFUSED_NO_ENDPOINT;
	backend = choose_backend(frontend, &policy, &client, &id);
	if (!backend || !settings)
		return OUTCOME_PACKET_DROP_BROKEN_TABLE;
	if (pod)
		count_unseen_pod(packet, settings);
	return translate(skb, packet, backend, policy.snat, settings);
}

static always_inline enum outcome decide(struct __sk_buff *skb, const struct packet *packet)
{
	struct frontend frontend;
	enum outcome outcome;

	switch (find_frontend(&packet->destination, packet->destination_port, packet->protocol, false, &frontend)) {
	case DIALLED_UNKNOWN_PORT:
		return OUTCOME_PACKET_REFUSED_UNKNOWN_PORT;
	case DIALLED_FRONTEND:
		if (flow_exists(skb, packet))
			return NO_OUTCOME;
		outcome = start_flow(skb, packet, &frontend);
		count_for(frontend.service, outcome);
		return outcome;
	default:
		return NO_OUTCOME;
	}
}

static always_inline int ingress(struct __sk_buff *skb, __u32 ip_header)
{
	struct packet packet = {};

	if (!parse_packet(skb, ip_header, &packet))
		return PASS_PACKET;
	return packet_verdict(skb, decide(skb, &packet));
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

/** Devices with an Ethernet header. */
SEC("tc")
int weir_ingress_l2(struct __sk_buff *skb)
{
	if (skb->pkt_type == PACKET_OTHERHOST || is_of_vlan(skb))
		return PASS_PACKET;
	return ingress(skb, sizeof(struct ethhdr));
}

/**
 * Ports of a bridge that shows its packets to netfilter (bridge-nf-call-iptables): prerouting is over when they come to the
 * bridge device, too late to start a flow there. What a port takes for another host's is the bridge's own.
 */
SEC("tc")
int weir_ingress_port(struct __sk_buff *skb)
{
	return is_of_vlan(skb) ? PASS_PACKET : ingress(skb, sizeof(struct ethhdr));
}

/** Devices without one: tunnels, WireGuard, TUN. */
SEC("tc")
int weir_ingress_l3(struct __sk_buff *skb)
{
	return ingress(skb, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
