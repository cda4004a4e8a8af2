/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum address_mode mode;
const char *const mode_names[] = {[V4] = "v4", [V6] = "v6", [MAPPED] = "v4-mapped"};

static const char *current;
static char complaint[512];
static int passed, failed, skipped;

void begin_case(const char *name)
{
	current = name;
	complaint[0] = 0;
}

bool case_failed(void)
{
	return complaint[0] != 0;
}

void complain(const char *format, ...)
{
	va_list arguments;

	if (case_failed())
		return;
	va_start(arguments, format);
	vsnprintf(complaint, sizeof(complaint), format, arguments);
	va_end(arguments);
}

void end_case(void)
{
	if (case_failed()) {
		failed++;
		printf("FAIL %s: %s: %s\n", mode_names[mode], current, complaint);
	} else {
		passed++;
		printf("ok   %s: %s\n", mode_names[mode], current);
	}
	fflush(stdout);
}

void skip_case(const char *why)
{
	skipped++;
	printf("skip %s: %s: %s\n", mode_names[mode], current, why);
}

int finish(void)
{
	printf("datapath: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed == 0 && passed > 0 ? 0 : 1;
}

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}
