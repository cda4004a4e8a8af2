/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * address.h: small questions about addresses. IPv4 travels in its IPv4-mapped form (see struct address), so one
 * function serves both families.
 */
#ifndef WEIR_LIB_ADDRESS_H
#define WEIR_LIB_ADDRESS_H

#include "kernel.h"

#include "../abi/types.h"

#define MAPPED_PREFIX bpf_htonl(0xffff)
#define ADDRESS_BITS  128

static always_inline struct address address_from_v4(__be32 v4)
{
	return (struct address){.word = {0, 0, MAPPED_PREFIX, v4}};
}

static always_inline struct address address_from_v6(const __be32 v6[4])
{
	return (struct address){.word = {v6[0], v6[1], v6[2], v6[3]}};
}

static always_inline bool address_is_v4(const struct address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == MAPPED_PREFIX;
}

static always_inline bool address_equal(const struct address *a, const struct address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/** 0.0.0.0 or ::, which stands for every NodePort address of a family in `frontends`. */
static always_inline bool address_is_zero(const struct address *a)
{
	return !a->word[3] && (address_is_v4(a) || (!a->word[0] && !a->word[1] && !a->word[2]));
}

static always_inline struct address address_zero_like(const struct address *a)
{
	return (struct address){.word = {0, 0, address_is_v4(a) ? MAPPED_PREFIX : 0, 0}};
}

/** 127.0.0.0/8, ::1, and the zero address, which the kernel takes for loopback when a socket dials it. */
static always_inline bool address_is_loopback(const struct address *a)
{
	if (address_is_zero(a))
		return true;
	if (address_is_v4(a))
		return (a->word[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !a->word[0] && !a->word[1] && !a->word[2] && a->word[3] == bpf_htonl(1);
}

#endif
