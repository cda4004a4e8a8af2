/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * snat.h: which source address a packet gets: that of the device on which it will leave the node.
 */
#ifndef WEIR_LIB_SNAT_H
#define WEIR_LIB_SNAT_H

#include "packet.h"

#include "../abi/maps.h"

static always_inline void fill_route(struct bpf_fib_lookup *route, const struct packet *packet,
				     const struct address *destination)
{
	route->l4_protocol = packet->protocol;
	if (address_is_v4(destination)) {
		route->family = FAMILY_V4;
		route->ipv4_src = packet->source.word[3];
		route->ipv4_dst = destination->word[3];
		return;
	}
	route->family = FAMILY_V6;
	__builtin_memcpy(route->ipv6_src, packet->source.word, sizeof(route->ipv6_src));
	__builtin_memcpy(route->ipv6_dst, destination->word, sizeof(route->ipv6_dst));
}

/**
 * Whether the packet, once sent to `destination`, leaves this node, and on which device (0 = unknown). A destination
 * that is delivered here (a pod in the host's network) never sees postrouting, so kube-proxy's masquerade would not
 * touch it, and a node's own address as the source of a packet from outside would be a martian. The helper says
 * NOT_FWDED for routes other than unicast, and FWD_DISABLED without a lookup where nothing can leave
 * (net/core/filter.c, bpf_ipv4_fib_lookup). After every other result the device is set where a route was found, with or
 * without a neighbour.
 */
static always_inline bool leaves_node(struct __sk_buff *skb, const struct packet *packet,
				      const struct address *destination, __u32 *device)
{
	struct bpf_fib_lookup route = {.ifindex = skb->ifindex};
	long result;

	fill_route(&route, packet, destination);
	result = bpf_fib_lookup(skb, &route, sizeof(route), 0);
	if (result == BPF_FIB_LKUP_RET_NOT_FWDED || result == BPF_FIB_LKUP_RET_FWD_DISABLED)
		return false;
	*device = result >= 0 ? route.ifindex : 0;
	return true;
}

/** Address of the device for this family, else of the node; the zero address if neither is known. */
static always_inline struct address snat_address(__u32 ifindex, bool v4, const struct settings *settings)
{
	struct device_key key = {.ifindex = ifindex};
	struct device *device = bpf_map_lookup_elem(&devices, &key);
	const struct address *own = device ? (v4 ? &device->snat4 : &device->snat6) : NULL;

	if (own && !address_is_zero(own))
		return *own;
	return v4 ? settings->snat4 : settings->snat6;
}

#endif
