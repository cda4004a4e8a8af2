/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* packets.h: what the parts of the packet suite share. */
#ifndef WEIR_PACKETS_H
#define WEIR_PACKETS_H

#include "packet_cases.h"

/* packet_suite.c */

struct answer {
	int verdict;
	__u32 mark;
};

/** What a program says to a frame that enters by a device. */
struct answer ask(const char *program, const char *device, const struct frame *frame);
void expect_answer(struct answer answer, enum verdict verdict);

/* shortage_cases.c */

/** More clients than source ports. */
void shortage_cases(const struct tables *tables);

#endif
