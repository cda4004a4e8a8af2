/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * shortage_cases.c: more clients than source ports. A client with a port below 512 gets another one below 512
 * (nf_nat_l4proto_unique_tuple), so 511 flows are all that one address of the node can have with one backend.
 */
#include "packets.h"

#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOW_PORTS    511
#define MOST_CLIENTS 20000

/** A client of its own for each number. */
static struct frame client(int number, int protocol, unsigned int shape)
{
	static char source[32];
	struct frame frame = {FROM(source, 300), WEB, shape};

	snprintf(source, sizeof(source), "198.18.%d.%d", number >> 8, number & 0xff);
	if (protocol == UDP)
		frame = (struct frame){FROM(source, 300), TO("172.30.0.9", 53), UDP, shape};
	return frame;
}

/** Clients come until every port is taken. Returns their number. */
static int take_all_ports(const struct tables *tables, int protocol)
{
	int clients = 0;

	flush_conntrack();
	mark_counters(tables);
	while (clients < MOST_CLIENTS && counter_moved(tables, OUTCOME_PACKET_TRANSLATED_SNAT) < LOW_PORTS) {
		struct frame frame = client(clients++, protocol, PLAIN);

		ask("weir_ingress", "outside", &frame);
	}
	if (counter_moved(tables, OUTCOME_PACKET_TRANSLATED_SNAT) != LOW_PORTS)
		complain("%llu of %d clients got a port", counter_moved(tables, OUTCOME_PACKET_TRANSLATED_SNAT),
			 clients);
	return clients;
}

static void expect_shortage(const struct tables *tables, int port, int protocol, __u32 service)
{
	struct address source = ip(PODS_ADDRESS), backend = ip("10.0.1.10");
	struct index first = {0};
	struct shortage is;

	if (bpf_map_lookup_elem(tables->shortages, &first, &is) != 0)
		die("Cannot read the shortage");
	if (memcmp(&is.source, &source, sizeof(source)) != 0)
		complain("ports of %s ran out", ip_text(&is.source));
	if (memcmp(&is.backend, &backend, sizeof(backend)) != 0 || is.port != htons(port) || is.protocol != protocol)
		complain("they ran out towards %s %d", ip_text(&is.backend), ntohs(is.port));
	if (is.service != service + (mode == V6 ? 100 : 0))
		complain("they ran out for Service %u", is.service);
}

static void expect_dropped(const struct tables *tables, const struct frame *frame)
{
	struct flow flow;

	mark_counters(tables);
	expect_answer(ask("weir_ingress", "outside", frame), DROP);
	expect_counters(tables, OUTCOME_PACKET_DROP_NO_SOURCE_PORT, NOTHING);
	if (find_conntrack(frame, &flow))
		complain("there is a flow to %s", ip_text(&flow.reply_source));
}

static void no_port_case(const struct tables *tables, int protocol)
{
	struct frame frame;
	int clients;

	begin_case(protocol == TCP
			   ? "TCP: a client without a free source port is dropped, and the shortage is recorded"
			   : "UDP: a client without a free source port is dropped, and the shortage is recorded");
	clients = take_all_ports(tables, protocol);
	frame = client(clients, protocol, PLAIN);
	expect_dropped(tables, &frame);
	expect_shortage(tables, protocol == TCP ? 8080 : 5353, protocol, protocol == TCP ? 1 : 9);
	mark_counters(tables);
	frame = client(0, protocol, PLAIN);
	expect_answer(ask("weir_ingress", "outside", &frame), PASS);
	expect_counters(tables, NOTHING, NOTHING);
	frame.source_port = 2000;
	expect_answer(ask("weir_ingress", "outside", &frame), PASS);
	expect_counters(tables, OUTCOME_PACKET_TRANSLATED_SNAT, NOTHING);
	end_case();
}

/** Every port has had its connection, and that is over: of a client through the Service, or of a socket of the node. */
static void finish_all_ports(bool of_clients)
{
	const char *as = mode == V6 ? "--src-nat [%s]:%d --dst-nat [%s]:%d" : "--src-nat %s:%d --dst-nat %s:%d";
	char path[] = "/tmp/weir-test-XXXXXX", nat[256] = "";
	FILE *list = fdopen(mkstemp(path), "w");

	for (int port = 1; port <= LOW_PORTS; port++) {
		if (of_clients)
			snprintf(nat, sizeof(nat), as, twin(PODS_ADDRESS), port, twin("10.0.1.10"), 8080);
		fprintf(list, "-A -p tcp --state TIME_WAIT -t 60 -s %s --sport %d -d %s --dport %d %s\n",
			twin(of_clients ? CLIENT : PODS_ADDRESS), port, twin(of_clients ? "172.30.0.1" : "10.0.1.10"),
			of_clients ? 80 : 8080, nat);
	}
	fclose(list);
	flush_conntrack();
	run("conntrack -R %s >/dev/null 2>&1", path);
	unlink(path);
}

static void finished_case(const struct tables *tables)
{
	struct frame early = client(1, TCP, PLAIN), late = client(1, TCP, LATER_SEQUENCE);
	struct flow flow;

	begin_case(
		"a finished connection gives its source port to the next client, if the backend can tell them apart");
	finish_all_ports(true);
	expect_dropped(tables, &early);
	mark_counters(tables);
	expect_answer(ask("weir_ingress", "outside", &late), PASS);
	expect_counters(tables, OUTCOME_PACKET_TRANSLATED_SNAT, OUTCOME_PACKET_TUPLE_REUSED);
	if (!find_conntrack(&late, &flow) || flow.reply_destination_port > LOW_PORTS)
		complain("the client has no flow");
	end_case();
}

static void sockets_case(const struct tables *tables)
{
	struct frame frame = client(1, TCP, LATER_SEQUENCE);

	begin_case("a finished connection of a socket of the node keeps its port");
	finish_all_ports(false);
	expect_dropped(tables, &frame);
	end_case();
}

void shortage_cases(const struct tables *tables)
{
	no_port_case(tables, TCP);
	no_port_case(tables, UDP);
	finished_case(tables);
	sockets_case(tables);
	flush_conntrack();
}
