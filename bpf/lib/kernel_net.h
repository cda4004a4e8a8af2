/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kernel_net.h: the kernel's types of a network namespace: its devices, their addresses, its netfilter hooks. As in kernel.h,
 * with only the fields that the programs read.
 */
#ifndef WEIR_LIB_KERNEL_NET_H
#define WEIR_LIB_KERNEL_NET_H

#include "kernel.h"

#include <linux/in6.h>

struct list_head {
	struct list_head *next;
} __attribute__((preserve_access_index));

struct nf_hook_ops {
	int priority;
} __attribute__((preserve_access_index));

struct nf_hook_entry {
	void *hook;
	void *priv;
} __attribute__((preserve_access_index));

/** Behind `hooks` lie as many pointers to struct nf_hook_ops (nf_hook_entries_get_hook_ops). */
struct nf_hook_entries {
	__u16 num_hook_entries;
	struct nf_hook_entry hooks[];
} __attribute__((preserve_access_index));

struct netns_nf {
	struct nf_hook_entries *hooks_ipv4[NF_INET_NUMHOOKS];
	struct nf_hook_entries *hooks_ipv6[NF_INET_NUMHOOKS];
} __attribute__((preserve_access_index));

struct net {
	/** What SO_NETNS_COOKIE returns. */
	__u64 net_cookie;
	/** Every struct net_device, by `dev_list`. */
	struct list_head dev_base_head;
	struct netns_nf nf;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct in_ifaddr {
	struct in_ifaddr *ifa_next;
	__be32 ifa_local;
} __attribute__((preserve_access_index));

struct in_device {
	struct in_ifaddr *ifa_list;
} __attribute__((preserve_access_index));

struct inet6_ifaddr {
	struct in6_addr addr;
	struct list_head if_list;
} __attribute__((preserve_access_index));

struct inet6_dev {
	/** Every struct inet6_ifaddr, by `if_list`. */
	struct list_head addr_list;
} __attribute__((preserve_access_index));

struct rtnl_link_ops {
	/** `veth`, `macvlan`, ... */
	const char *kind;
} __attribute__((preserve_access_index));

struct net_device {
	int ifindex;
	unsigned int flags;
	possible_net_t nd_net;
	struct list_head dev_list;
	struct {
		/** Every struct netdev_adjacent of the devices that this one rests on, by `list`. */
		struct list_head lower;
	} adj_list;
	struct in_device *ip_ptr;
	struct inet6_dev *ip6_ptr;
	/** NULL: hardware. */
	const struct rtnl_link_ops *rtnl_link_ops;
} __attribute__((preserve_access_index));

struct netdev_adjacent {
	struct net_device *dev;
	struct list_head list;
} __attribute__((preserve_access_index));

struct sock_common {
	possible_net_t skc_net;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

/** What the kernel passes to the programs as struct bpf_sock_addr. */
struct bpf_sock_addr_kern {
	struct sock *sk;
} __attribute__((preserve_access_index));

/** The struct that has this list_head as its member (container_of). */
#define entry_of(list, type, member) ((type *)((void *)(list)-bpf_core_field_offset(type, member)))

#endif
