/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * frontend.h: the meaning of a destination, and the policy of a frontend for one class of sources.
 */
#ifndef WEIR_LIB_FRONTEND_H
#define WEIR_LIB_FRONTEND_H

#include "address.h"

#include "../abi/maps.h"

enum dialled {
	/** No Service address. */
	DIALLED_OTHER,
	/** A live ClusterIP that lacks this port. */
	DIALLED_UNKNOWN_PORT,
	/** A frontend, copied for the caller. */
	DIALLED_FRONTEND,
};

/*
 * A copy, taken at once: since 6.1 the memory of a replaced hash element may be given to another key while a program
 * still holds a pointer to it (kernel/bpf/memalloc.c).
 */
static always_inline enum dialled copy_frontend(const struct frontend_key *key, struct frontend *into)
{
	struct frontend *found = bpf_map_lookup_elem(&frontends, key);

	if (!found)
		return DIALLED_OTHER;
	*into = *found;
	return DIALLED_FRONTEND;
}

static always_inline enum dialled copy_node_port(struct frontend_key *key, struct frontend *into)
{
	key->address = address_zero_like(&key->address);
	return copy_frontend(key, into);
}

/** `loopback_node_ports`: NodePorts answer on loopback addresses, for this caller. */
static always_inline enum dialled find_frontend(const struct address *address, __be16 port, __u8 protocol,
						bool loopback_node_ports, struct frontend *into)
{
	struct frontend_key key = {.address = *address, .port = port, .protocol = protocol};
	struct address_meaning *meaning;
	__u32 flags;

	if (address_is_loopback(address))
		return loopback_node_ports ? copy_node_port(&key, into) : DIALLED_OTHER;
	/* Nearly all packets and sockets are for other addresses: this one look-up is all that they cost. */
	meaning = bpf_map_lookup_elem(&addresses, address);
	if (!meaning)
		return DIALLED_OTHER;
	/* The memory may be given to another address meanwhile, see copy_frontend(). */
	flags = meaning->flags;
	if ((flags & ADDRESS_FRONTENDS) && copy_frontend(&key, into) == DIALLED_FRONTEND)
		return DIALLED_FRONTEND;
	if (flags & ADDRESS_NODE)
		return copy_node_port(&key, into);
	return flags & ADDRESS_CLUSTER_IP ? DIALLED_UNKNOWN_PORT : DIALLED_OTHER;
}

/** The policy of a frontend for one class of sources. */
struct policy {
	struct extent extent;
	/** The BACKEND_* bit of every backend in the extent. */
	__u32 list;
	/** Packets get a new source address. */
	bool snat;
	/** An empty extent drops instead of refusing. */
	bool drop_if_empty;
};

/** `local_source`: pods by the local detector, and this node's own processes. */
static always_inline struct policy policy_for(const struct frontend *frontend, bool local_source)
{
	__u32 flags = frontend->flags;

	if (local_source)
		return (struct policy){
			.extent = frontend->local_source,
			.list = flags & FRONTEND_LOCAL_SOURCE_USES_LOCAL ? BACKEND_LOCAL_LIST : BACKEND_CLUSTER_LIST,
			.snat = flags & FRONTEND_SNAT_LOCAL,
			.drop_if_empty = flags & FRONTEND_DROP_LOCAL,
		};
	return (struct policy){
		.extent = frontend->outside_source,
		.list = flags & FRONTEND_OUTSIDE_SOURCE_USES_LOCAL ? BACKEND_LOCAL_LIST : BACKEND_CLUSTER_LIST,
		.snat = flags & FRONTEND_SNAT_OUTSIDE,
		.drop_if_empty = flags & FRONTEND_DROP_OUTSIDE,
	};
}

#endif
