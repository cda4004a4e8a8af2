/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define MAX_CPUS 256

/** More than any service id of tables.c. */
#define MAX_SERVICES 256

static __u64 before[OUTCOME_COUNT];
static struct service_count before_of_services;

/** Of all Services together. */
static struct service_count read_service_counts(const struct tables *tables)
{
	struct service_count sum = {};

	for (__u32 service = 0; service < MAX_SERVICES; service++) {
		struct service_count counts;

		if (bpf_map_lookup_elem(tables->service_counts, &service, &counts) != 0)
			die("Cannot read the counts of service %u", service);
		sum.connections += counts.connections;
		sum.refusals += counts.refusals;
	}
	return sum;
}

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
	before_of_services = read_service_counts(tables);
}

__u64 counter_moved(const struct tables *tables, enum outcome outcome)
{
	return read_counter(tables, outcome) - before[outcome];
}

/** What a Service counts when this is how a decision ended. */
static void add_expected(struct service_count *counts, enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_SOCKET_TRANSLATED:
	case OUTCOME_PACKET_TRANSLATED:
	case OUTCOME_PACKET_TRANSLATED_SNAT:
		counts->connections++;
		break;
	case OUTCOME_SOCKET_REFUSED_NO_ENDPOINT:
	case OUTCOME_SOCKET_REFUSED_BROKEN_TABLE:
	case OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT:
	case OUTCOME_SOCKET_DROP_SOURCE_RANGE:
	case OUTCOME_PACKET_REFUSED_NO_ENDPOINT:
	case OUTCOME_PACKET_DROP_NO_LOCAL_ENDPOINT:
	case OUTCOME_PACKET_DROP_SOURCE_RANGE:
	case OUTCOME_PACKET_DROP_CONNTRACK_FULL:
	case OUTCOME_PACKET_DROP_NO_SOURCE_PORT:
	case OUTCOME_PACKET_DROP_CONNTRACK:
	case OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS:
	case OUTCOME_PACKET_DROP_BROKEN_TABLE:
		counts->refusals++;
		break;
	default:
		break;
	}
}

static void expect_service_counts(const struct tables *tables, enum outcome outcome, enum outcome also)
{
	struct service_count expected = before_of_services, is = read_service_counts(tables);

	add_expected(&expected, outcome);
	add_expected(&expected, also);
	if (is.connections != expected.connections || is.refusals != expected.refusals)
		complain("Services count %llu connections and %llu refusals instead of %llu and %llu", is.connections,
			 is.refusals, expected.connections, expected.refusals);
}

void expect_counters(const struct tables *tables, enum outcome outcome, enum outcome also)
{
	for (__u32 i = 0; i < OUTCOME_COUNT; i++) {
		__u64 moved = counter_moved(tables, i), expected = i == outcome || i == also;

		if (moved != expected)
			complain("counter of outcome %u moved by %llu instead of %llu", i, moved, expected);
	}
	expect_service_counts(tables, outcome, also);
}
