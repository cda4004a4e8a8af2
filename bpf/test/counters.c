/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define MAX_CPUS 256

static __u64 before[OUTCOME_COUNT];

static __u64 read_counter(const struct tables *tables, __u32 outcome)
{
	struct index key = {outcome};
	struct counter values[MAX_CPUS] = {};
	__u64 sum = 0;

	if (libbpf_num_possible_cpus() > MAX_CPUS || bpf_map_lookup_elem(tables->counters, &key, values) != 0)
		die("Cannot read counter %u", outcome);
	for (int i = 0; i < MAX_CPUS; i++)
		sum += values[i].count;
	return sum;
}

void mark_counters(const struct tables *tables)
{
	for (__u32 i = 0; i < OUTCOME_COUNT; i++)
		before[i] = read_counter(tables, i);
}

__u64 counter_moved(const struct tables *tables, enum outcome outcome)
{
	return read_counter(tables, outcome) - before[outcome];
}

void expect_counters(const struct tables *tables, enum outcome outcome, enum outcome also)
{
	for (__u32 i = 0; i < OUTCOME_COUNT; i++) {
		__u64 moved = counter_moved(tables, i), expected = i == outcome || i == also;

		if (moved != expected)
			complain("counter of outcome %u moved by %llu instead of %llu", i, moved, expected);
	}
}
