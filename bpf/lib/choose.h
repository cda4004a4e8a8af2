/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * choose.h: one backend out of an extent: the client's own by session affinity, else one by chance. Nothing that is read
 * from a table is trusted: a backend must belong to the Service port that asked for it.
 */
#ifndef WEIR_LIB_CHOOSE_H
#define WEIR_LIB_CHOOSE_H

#include "affinity.h"
#include "frontend.h"

/** Any of the BACKEND_* bits: it serves the flows that it has. */
#define BACKEND_ANY (BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST | BACKEND_UNLISTED)

/** A backend of a Service port, or NULL. Lives as long as the program runs. */
static always_inline struct backend *backend_of(__u32 id, __u32 service)
{
	struct index key = {.value = id};
	struct backend *backend = bpf_map_lookup_elem(&backends, &key);

	return backend && backend->port && backend->service == service ? backend : NULL;
}

/** The same, if it has one of these BACKEND_* bits; flags are 0 as soon as it is gone. */
static always_inline struct backend *serving_backend(__u32 id, __u32 service, __u32 list)
{
	struct backend *backend = backend_of(id, service);

	return backend && (backend->flags & list) ? backend : NULL;
}

/** An existing flow keeps its backend for as long as that serves, whatever policy, topology and source ranges say by now. */
static always_inline bool still_serves(const struct socket_flow *flow, __u32 service)
{
	struct backend *backend = serving_backend(flow->backend, service, BACKEND_ANY);

	return backend && backend->port == flow->backend_port &&
	       address_equal(&backend->address, &flow->backend_address);
}

/*
 * The flags are not asked here: a program that read a frontend just before it was published anew may land on a backend
 * that was retired since, and connections survive that moment because retired backends rest before they are used again.
 */
static always_inline struct backend *backend_by_chance(const struct extent *extent, __u32 service, __u32 chance,
						       __u32 *id)
{
	struct index key = {.value = extent->first + (__u32)(((__u64)chance * extent->count) >> 32)};
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return NULL;
	*id = slot->backend;
	return backend_of(*id, service);
}

/**
 * Backend for a new connection, and its number; NULL = broken table. `policy` has a non-empty extent. `chance`: any of 2^32 numbers with the
 * same probability.
 */
static always_inline struct backend *choose_backend(const struct frontend *frontend, const struct policy *policy,
						    struct affinity_key *client, __u32 chance, __u32 *id)
{
	struct backend *backend = NULL;

	client->service = frontend->service;
	if (frontend->affinity_seconds && affinity_recall(client, frontend->affinity_seconds, id))
		backend = serving_backend(*id, frontend->service, policy->list);
	if (!backend)
		backend = backend_by_chance(&policy->extent, frontend->service, chance, id);
	if (backend && frontend->affinity_seconds)
		affinity_remember(client, *id);
	return backend;
}

#endif
