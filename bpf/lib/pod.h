/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * pod.h: whether a socket is a pod's. Its packets must be a pod's to the packet path (source.h), and they must reach the node
 * as the process sends them: by one device, which is attached to the node, and past no NAT. If one of these is not so, the
 * namespace has a network of its own beside the node's, or another cluster inside, and only its packets show what they mean.
 */
#ifndef WEIR_LIB_POD_H
#define WEIR_LIB_POD_H

#include "address.h"
#include "kernel_net.h"

#include "../abi/maps.h"

/** <linux/if.h>, whose other parts do not compile here. */
#define IFF_UP	     0x1
#define IFF_LOOPBACK 0x8

/** NF_IP_PRI_NAT_DST and NF_IP6_PRI_NAT_DST: where the kernel translates destinations for every NAT chain. */
#define NAT_PRIORITY -100
/** Alignment of a device's private part (NETDEV_ALIGN). */
#define DEVICE_ALIGNMENT 32

/*
 * Functions that loop are global ones: the verifier takes each by itself, instead of once for every state of its caller, which takes
 * seconds. Their arguments are scalars: a struct net or struct net_device by its address.
 *
 * Loops end at these numbers; a namespace that has more is left to packets.
 */
#define MOST_HOOKS     16
#define MOST_DEVICES   32
#define MOST_ADDRESSES 16

static always_inline struct net *netns_of(struct bpf_sock_addr *ctx)
{
	struct bpf_sock_addr_kern *kernel_ctx = (void *)ctx;

	return BPF_CORE_READ(kernel_ctx, sk, __sk_common.skc_net.net);
}

/** Any program's NAT chain, of nftables or iptables, makes the kernel register one hook of this priority (nf_nat_register_fn). */
__noinline int translates_by_itself(__u64 net_address, __u32 v4)
{
	struct net *net = (void *)net_address;
	struct nf_hook_entries *hooks = v4 ? BPF_CORE_READ(net, nf.hooks_ipv4[NF_INET_LOCAL_OUT])
					   : BPF_CORE_READ(net, nf.hooks_ipv6[NF_INET_LOCAL_OUT]);
	struct nf_hook_ops **operations;
	__u16 number;

	if (!hooks)
		return false;
	number = BPF_CORE_READ(hooks, num_hook_entries);
	operations = (void *)hooks + bpf_core_field_offset(struct nf_hook_entries, hooks) +
		     number * bpf_core_type_size(struct nf_hook_entry);
	for (__u32 i = 0; i < MOST_HOOKS && i < number; i++) {
		struct nf_hook_ops *hook = NULL;

		bpf_probe_read_kernel(&hook, sizeof(hook), &operations[i]);
		if (BPF_CORE_READ(hook, priority) == NAT_PRIORITY)
			return true;
	}
	return number > MOST_HOOKS;
}

static always_inline bool is_link_local(const struct in6_addr *address)
{
	return address->in6_u.u6_addr8[0] == 0xfe && (address->in6_u.u6_addr8[1] & 0xc0) == 0x80;
}

/** Copies the address behind `list`, or behind the list's head, and says whether there is one. `list` moves on to it. */
static always_inline bool next_address6(struct inet6_dev *of, struct list_head **list, struct in6_addr *into)
{
	struct list_head *head = (void *)of + bpf_core_field_offset(struct inet6_dev, addr_list);

	*list = BPF_CORE_READ(*list ?: head, next);
	if (!*list || *list == head)
		return false;
	BPF_CORE_READ_INTO(into, entry_of(*list, struct inet6_ifaddr, if_list), addr);
	return true;
}

/** Whether a device has an address from which a socket of this family may send to other networks. */
__noinline int has_address(__u64 device_address, __u32 v4)
{
	struct net_device *device = (void *)device_address;
	struct list_head *list = NULL;
	struct inet6_dev *ipv6;
	struct in6_addr address;

	if (v4)
		return BPF_CORE_READ(device, ip_ptr, ifa_list) != NULL;
	ipv6 = BPF_CORE_READ(device, ip6_ptr);
	for (__u32 i = 0; ipv6 && i < MOST_ADDRESSES && next_address6(ipv6, &list, &address); i++)
		if (!is_link_local(&address))
			return true;
	return false;
}

/** The one device with an address of this family that leads out of the namespace; 0 if there is none or another one. */
__noinline __u64 only_device(__u64 net_address, __u32 v4)
{
	struct net *net = (void *)net_address;
	struct list_head *head = (void *)net + bpf_core_field_offset(struct net, dev_base_head), *list = head;
	__u64 only = 0;

	for (__u32 i = 0; i < MOST_DEVICES; i++) {
		struct net_device *device;
		unsigned int flags;

		list = BPF_CORE_READ(list, next);
		if (!list || list == head)
			return only;
		device = entry_of(list, struct net_device, dev_list);
		flags = BPF_CORE_READ(device, flags);
		if (!(flags & IFF_UP) || (flags & IFF_LOOPBACK) || !has_address((__u64)device, v4))
			continue;
		if (only)
			return 0;
		only = (__u64)device;
	}
	return 0;
}

/** The kind of a device, filled up with zeros. */
union kind {
	char text[8];
	__u64 number;
};

/** veth and netkit keep their other end as the first thing of their own (struct veth_priv, struct netkit). */
static always_inline bool has_other_end(const struct rtnl_link_ops *operations)
{
	union kind kind = {}, veth = {.text = "veth"}, netkit = {.text = "netkit"};

	bpf_probe_read_kernel_str(kind.text, sizeof(kind.text), BPF_CORE_READ(operations, kind));
	return kind.number == veth.number || kind.number == netkit.number;
}

/** The device that packets of this one come to next: the other end of a pair, or the device below (macvlan, ipvlan, VLAN). */
static always_inline struct net_device *next_device(struct net_device *device, const struct rtnl_link_ops *operations)
{
	void *private = (void *)device + (bpf_core_type_size(struct net_device) + DEVICE_ALIGNMENT - 1) /
						 DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
	struct list_head *head = (void *)device + bpf_core_field_offset(struct net_device, adj_list.lower), *list;
	struct net_device *other = NULL;

	if (has_other_end(operations)) {
		bpf_probe_read_kernel(&other, sizeof(other), private);
		return other;
	}
	list = BPF_CORE_READ(head, next);
	if (!list || list == head)
		return NULL;
	return BPF_CORE_READ(entry_of(list, struct netdev_adjacent, list), dev);
}

static always_inline bool carries_pods(struct net_device *device)
{
	struct device_key key = {.ifindex = BPF_CORE_READ(device, ifindex)};
	struct device *known = bpf_map_lookup_elem(&devices, &key);

	return known && (known->flags & DEVICE_PODS);
}

static always_inline bool is_in_local_nets(const struct address *address)
{
	struct net_key key = {.prefix_bits = ADDRESS_BITS, .address = *address};

	return bpf_map_lookup_elem(&local_nets, &key) != NULL;
}

__noinline int has_pod_address4(__u64 device_address)
{
	struct net_device *device = (void *)device_address;
	struct in_ifaddr *entry = BPF_CORE_READ(device, ip_ptr, ifa_list);

	for (__u32 i = 0; entry && i < MOST_ADDRESSES; i++) {
		struct address address = address_from_v4(BPF_CORE_READ(entry, ifa_local));

		if (is_in_local_nets(&address))
			return true;
		entry = BPF_CORE_READ(entry, ifa_next);
	}
	return false;
}

__noinline int has_pod_address6(__u64 device_address)
{
	struct net_device *device = (void *)device_address;
	struct inet6_dev *ipv6 = BPF_CORE_READ(device, ip6_ptr);
	struct list_head *list = NULL;
	struct in6_addr found;

	for (__u32 i = 0; ipv6 && i < MOST_ADDRESSES && next_address6(ipv6, &list, &found); i++) {
		struct address address = address_from_v6(found.in6_u.u6_addr32);

		if (is_in_local_nets(&address))
			return true;
	}
	return false;
}

/** What source_is_pod() will say of the packets that come out of this device. */
static always_inline bool sends_as_pod(struct net_device *device, struct net_device *node_device,
				       const struct settings *settings, bool v4)
{
	if (settings->flags & (v4 ? SETTINGS_NO_LOCAL_DETECTOR4 : SETTINGS_NO_LOCAL_DETECTOR6))
		return true;
	if (node_device && carries_pods(node_device))
		return true;
	return v4 ? has_pod_address4((__u64)device) : has_pod_address6((__u64)device);
}

/**
 * Whether a socket outside the node's network namespace is a pod's. Hardware that a pod has for itself is attached to the wire,
 * not to the node, so its packets never come by here: its sockets are a pod's if its address is.
 */
static always_inline bool is_pod(struct bpf_sock_addr *ctx, const struct settings *settings, bool v4)
{
	struct net *net = netns_of(ctx);
	struct net_device *device = (void *)only_device((__u64)net, v4), *node_device = NULL;
	const struct rtnl_link_ops *operations;

	if (!device || translates_by_itself((__u64)net, v4))
		return false;
	operations = BPF_CORE_READ(device, rtnl_link_ops);
	if (operations) {
		node_device = next_device(device, operations);
		if (!node_device || BPF_CORE_READ(node_device, nd_net.net, net_cookie) != settings->node_netns_cookie)
			return false;
	}
	return sends_as_pod(device, node_device, settings, v4);
}

#endif
