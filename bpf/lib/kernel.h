/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kernel.h: kernel types and functions that the programs use. The few types outside the UAPI are declared with only the
 * fields that we read; preserve_access_index lets libbpf look up their real offsets when it loads a program (CO-RE).
 */
#ifndef WEIR_LIB_KERNEL_H
#define WEIR_LIB_KERNEL_H

#include <linux/types.h>

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define always_inline inline __attribute__((always_inline))

/** Address families, from include/linux/socket.h. */
enum family { FAMILY_V4 = 2, FAMILY_V6 = 10 };

/** A packet; a tc program's context is one. Both fields count bytes from the beginning of its buffer. */
struct sk_buff {
	__u16 network_header;
	__u16 mac_header;
} __attribute__((preserve_access_index));

/** Only whether the kernel has it. */
struct mptcp_sock {
} __attribute__((preserve_access_index));

struct ip_ct_tcp_state {
	/** End of the data sent in one direction: a sequence number. */
	__u32 td_end;
} __attribute__((preserve_access_index));

struct ip_ct_tcp {
	/** By IP_CT_DIR_*. */
	struct ip_ct_tcp_state seen[IP_CT_DIR_MAX];
	/** TCP_CONNTRACK_* of linux/netfilter/nf_conntrack_tcp.h. */
	__u8 state;
} __attribute__((preserve_access_index));

union nf_conntrack_proto {
	struct ip_ct_tcp tcp;
} __attribute__((preserve_access_index));

struct nf_conntrack_tuple {
	struct {
		union {
			__be16 all;
		} u;
	} dst;
} __attribute__((preserve_access_index));

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
} __attribute__((preserve_access_index));

struct nf_conn {
	/** By IP_CT_DIR_*. */
	struct nf_conntrack_tuple_hash tuplehash[IP_CT_DIR_MAX];
	/** IPS_* bits of linux/netfilter/nf_conntrack_common.h. */
	unsigned long status;
	__u32 mark;
	union nf_conntrack_proto proto;
} __attribute__((preserve_access_index));

/** A conntrack entry before bpf_ct_insert_entry(): a struct nf_conn that others do not see yet. */
struct nf_conn___init {
	struct nf_conn entry;
};

enum nf_nat_manip_type { NF_NAT_MANIP_SRC, NF_NAT_MANIP_DST };

/**
 * Options of the conntrack kfuncs. The kernel takes exactly 12 bytes up to about 6.10, and 12 or 16 later
 * (net/netfilter/nf_conntrack_bpf.c, NF_BPF_CT_OPTS_SZ); `reserved` is the low half of the later zone id, 0 for the
 * default.
 */
struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple__sz,
				  struct bpf_ct_opts *opts, __u32 opts__sz) __ksym;
struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple__sz,
					struct bpf_ct_opts *opts, __u32 opts__sz) __ksym;
struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *entry) __ksym;
void bpf_ct_release(struct nf_conn *entry) __ksym;
void bpf_ct_set_timeout(struct nf_conn___init *entry, __u32 milliseconds) __ksym;
int bpf_ct_change_timeout(struct nf_conn *entry, __u32 milliseconds) __ksym;
/** `port` in host byte order; 0 = the kernel picks one that is free. */
int bpf_ct_set_nat_info(struct nf_conn___init *entry, union nf_inet_addr *address, int port,
			enum nf_nat_manip_type manip) __ksym;

#endif
