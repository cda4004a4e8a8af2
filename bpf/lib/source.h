/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * source.h: the source of a packet: a pod, by the local detector, or another host; and whether it may dial a frontend with
 * loadBalancerSourceRanges.
 */
#ifndef WEIR_LIB_SOURCE_H
#define WEIR_LIB_SOURCE_H

#include "packet.h"

#include "../abi/maps.h"

#define SERVICE_BITS 32

static always_inline bool source_is_pod(struct __sk_buff *skb, const struct packet *packet)
{
	struct device_key ingress = {.ifindex = skb->ifindex};
	struct net_key source = {.prefix_bits = ADDRESS_BITS, .address = packet->source};
	struct device *device = bpf_map_lookup_elem(&devices, &ingress);

	if (device && (device->flags & DEVICE_PODS))
		return true;
	return bpf_map_lookup_elem(&local_nets, &source) != NULL;
}

static always_inline bool source_in_ranges(const struct packet *packet, __u32 service)
{
	struct range_key key = {
		.prefix_bits = SERVICE_BITS + ADDRESS_BITS, .service = service, .address = packet->source};

	return bpf_map_lookup_elem(&source_ranges, &key) != NULL;
}

#endif
