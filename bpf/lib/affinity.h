/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * affinity.h: session affinity (ClientIP). A client returns to its backend until `affinity_seconds` pass without a new
 * connection. Two first connections at the same time may go to two backends; the later one stays.
 */
#ifndef WEIR_LIB_AFFINITY_H
#define WEIR_LIB_AFFINITY_H

#include "kernel.h"

#include "../abi/maps.h"

#define NANOSECONDS 1000000000ull

/** Number of the backend that the client used last; false if there is none, or it was too long ago. */
static always_inline bool affinity_recall(const struct affinity_key *client, __u32 seconds, __u32 *backend)
{
	struct affinity *entry = bpf_map_lookup_elem(&affinity, client);

	if (!entry || bpf_ktime_get_ns() - entry->last_used_ns > seconds * NANOSECONDS)
		return false;
	*backend = entry->backend;
	return true;
}

static always_inline void affinity_remember(const struct affinity_key *client, __u32 backend)
{
	struct affinity entry = {.last_used_ns = bpf_ktime_get_ns(), .backend = backend};

	bpf_map_update_elem(&affinity, client, &entry, BPF_ANY);
}

#endif
