/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * maps.h: the tables that both sides share. Names fit in the kernel's 15 bytes; sizes are defaults, --map-size changes them.
 * Tables that only the control plane writes are allocated as they fill (BPF_F_NO_PREALLOC). Arrays have a plain __u32 as
 * their key (struct index to the control plane): the kernel takes no other type information for them (kernel/bpf/arraymap.c).
 */
#ifndef WEIR_ABI_MAPS_H
#define WEIR_ABI_MAPS_H

#include "types.h"

/** Addresses that mean something whatever the port. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct address_key);
	__type(value, struct address_meaning);
} addresses SEC(".maps");

/** What clients dial. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct frontend_key);
	__type(value, struct frontend);
} frontends SEC(".maps");

/** Lists of backends; a frontend's extents point into it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1048576);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

/** Endpoints of Service ports. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 524288);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

/** Names of Service ports. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct service_key);
	__type(value, struct service_name);
} services SEC(".maps");

/** loadBalancerSourceRanges. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct range_key);
	__type(value, struct presence);
} source_ranges SEC(".maps");

/** Pod ranges of the local detector. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct net_key);
	__type(value, struct presence);
} local_nets SEC(".maps");

/** Devices that the packet path is attached to. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct device_key);
	__type(value, struct device);
} devices SEC(".maps");

/** What may change while programs run. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

/** Session affinity (ClientIP). */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct affinity_key);
	__type(value, struct affinity);
} affinity SEC(".maps");

/** Translated destinations of a socket, kept in the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_state);
} socket_state SEC(".maps");

/** Translated destinations that no longer fit there. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct socket_flow_key);
	__type(value, struct socket_flow);
} socket_flows SEC(".maps");

/** Senders of datagrams whose address and port are also a Service's: what goes back to them is a reply. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct udp_sender_key);
	__type(value, struct udp_sender);
} udp_senders SEC(".maps");

/** Outcomes, see enum outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOME_COUNT);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

/** By the key of `services`, and as large: zeros where that has nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 131073);
	__type(key, __u32);
	__type(value, struct service_count);
} service_counts SEC(".maps");

/** What ran out when a packet was last dropped for want of a source port. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shortage);
} shortages SEC(".maps");

#endif
