/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* packets.h: what the parts of the packet suite share. */
#ifndef WEIR_PACKETS_H
#define WEIR_PACKETS_H

#include "packet_cases.h"

/* packet_suite.c */

/** A packet path, and whether its programs tag packets for table `inet weir`. */
struct packet_path {
	const char *object;
	bool tags;
};

struct answer {
	int verdict;
	/** skb->priority: see enum packet_tag. */
	__u32 priority;
};

/** The one whose programs are asked. */
extern const struct packet_path *path;

/** What a program says to a frame that enters by a device. */
struct answer ask(const char *program, const char *device, const struct frame *frame);
void expect_answer(struct answer answer, enum verdict verdict);

/** The backend that a tag names; false if it names none. */
bool tagged_backend(__u32 priority, struct backend *backend);

/* choice_cases.c */

/** Several backends, and session affinity. */
void choice_cases(const struct tables *tables);

/* shortage_cases.c */

/** More clients than source ports. */
void shortage_cases(const struct tables *tables);

#endif
