/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* main.c: asks the compiled datapath. Needs root; touches nothing outside its own network namespace and cgroup. */
#include "sockets.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** The kernel wants int keys in the BTF of arrays; libbpf warns, and goes on without BTF for these. */
static int print_problems(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level != LIBBPF_WARN || strstr(format, "Retrying without BTF"))
		return 0;
	return vfprintf(stderr, format, arguments);
}

static int run_suites(void)
{
	make_world();
	packet_suite();
	wire_suite();
	socket_suite();
	return finish();
}

int main(int argc, char **argv)
{
	if (argc != 2)
		die("Usage: %s FOLDER-OF-OBJECTS", argv[0]);
	object_folder = argv[1];
	libbpf_set_print(print_problems);
	return run_in_cgroup(run_suites);
}
