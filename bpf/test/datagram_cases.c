/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sockets.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALL_LISTS    (BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** More Services than a socket keeps by itself. */
static const struct {
	const char *service, *backend;
} many[] = {
	{"172.30.0.9", "10.0.1.10"},  {"172.30.0.14", "10.0.1.11"}, {"172.30.0.15", "10.0.1.12"},
	{"172.30.0.16", "10.0.1.13"}, {"172.30.0.17", "10.0.1.14"}, {"172.30.0.12", NULL},
};

static void keeps_its_backend(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);
	char first[64];

	begin_case("an unconnected socket keeps its backend, and sees the Service reply");
	mark_counters(tables);
	expect_sent(client, "172.30.0.12", 53, 0);
	expect_counters(tables, OUTCOME_SOCKET_TRANSLATED, NOTHING);
	strcpy(first, answered_by());
	for (int i = 0; i < 30; i++) {
		mark_counters(tables);
		expect_sent(client, "172.30.0.12", 53, 0);
		expect_counters(tables, OUTCOME_SOCKET_KEPT_BACKEND, NOTHING);
		expect_text("the backend", answered_by(), first);
		expect_text("the sender", received_from(client), expected_text("172.30.0.12", 53));
	}
	close(client);
	end_case();
}

static void leaves_a_backend_that_is_gone(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);

	begin_case("an unconnected socket leaves a backend that is gone");
	expect_sent(client, "172.30.0.12", 53, 0);
	answered_by();
	set_backend_flags(tables, 12, 0);
	mark_counters(tables);
	expect_sent(client, "172.30.0.12", 53, 0);
	expect_counters(tables, OUTCOME_SOCKET_TRANSLATED, NOTHING);
	answered_by();
	set_backend_flags(tables, 12, ALL_LISTS);
	close(client);
	end_case();
}

/** Policy, topology and termination end no flow: see [udp-endpoint-gone] in docs/semantics.md. */
static void keeps_a_backend_that_takes_no_new_flows(const struct tables *tables)
{
	static const __u32 serving[] = {BACKEND_UNLISTED, BACKEND_LOCAL_LIST};

	begin_case("an unconnected socket keeps a backend that drains, or that policy or topology leave out");
	for (size_t i = 0; i < COUNT(serving); i++) {
		int client = open_client(SOCK_DGRAM);
		char first[64];

		expect_sent(client, "172.30.0.12", 53, 0);
		strcpy(first, answered_by());
		set_backend_flags(tables, 12, serving[i]);
		for (int datagrams = 0; datagrams < 30; datagrams++) {
			mark_counters(tables);
			expect_sent(client, "172.30.0.12", 53, 0);
			expect_counters(tables, OUTCOME_SOCKET_KEPT_BACKEND, NOTHING);
			expect_text("the backend", answered_by(), first);
		}
		set_backend_flags(tables, 12, ALL_LISTS);
		close(client);
	}
	end_case();
}

static void uses_the_node_port(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);

	begin_case("an unconnected socket dials a NodePort");
	mark_counters(tables);
	expect_sent(client, "192.168.0.2", 30053, 0);
	expect_counters(tables, OUTCOME_SOCKET_TRANSLATED, NOTHING);
	expect_text("the backend", answered_by(), expected_text("10.0.1.10", 5353));
	expect_text("the sender", received_from(client), expected_text("192.168.0.2", 30053));
	close(client);
	end_case();
}

static void is_refused(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);

	begin_case("a datagram that is refused leaves the socket: the answer to it refuses");
	mark_counters(tables);
	expect_sent(client, "172.30.0.18", 53, 0);
	expect_counters(tables, OUTCOME_SOCKET_LEFT_TO_PACKETS, NOTHING);
	mark_counters(tables);
	expect_sent(client, "172.30.0.18", 54, 0);
	expect_counters(tables, OUTCOME_SOCKET_LEFT_TO_PACKETS, NOTHING);
	set_settings(tables, 0, own_netns_cookie());
	mark_counters(tables);
	expect_sent(client, "172.30.0.18", 53, 0);
	expect_counters(tables, OUTCOME_SOCKET_REFUSED_NO_ENDPOINT, NOTHING);
	mark_counters(tables);
	expect_sent(client, "172.30.0.18", 54, 0);
	expect_counters(tables, OUTCOME_SOCKET_REFUSED_UNKNOWN_PORT, NOTHING);
	set_settings(tables, 0, 1);
	close(client);
	end_case();
}

static void is_dropped(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);

	begin_case("a datagram of the node leaves the socket where policy drops it");
	set_settings(tables, 0, own_netns_cookie());
	mark_counters(tables);
	expect_sent(client, "172.30.0.20", 53, 0);
	expect_counters(tables, OUTCOME_SOCKET_DROP_NO_LOCAL_ENDPOINT, NOTHING);
	mark_counters(tables);
	expect_sent(client, "203.0.113.202", 53, 0);
	expect_counters(tables, OUTCOME_SOCKET_DROP_SOURCE_RANGE, NOTHING);
	set_settings(tables, 0, node_netns_cookie());
	close(client);
	end_case();
}

static void strangers_stay_strangers(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);
	const char *stranger;

	begin_case("a datagram from anybody else shows its own address");
	expect_sent(client, "172.30.0.9", 53, 0);
	answered_by();
	received_from(client);
	mark_counters(tables);
	stranger = stranger_writes_to(client);
	expect_text("the sender", received_from(client), stranger);
	expect_sent(client, "10.0.1.11", 5353, 0);
	expect_text("the backend", answered_by(), expected_text("10.0.1.11", 5353));
	expect_text("the sender", received_from(client), expected_text("10.0.1.11", 5353));
	expect_counters(tables, NOTHING, NOTHING);
	close(client);
	end_case();
}

static void remembers_many(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);

	begin_case("replies of six Services find their names");
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < COUNT(many); i++) {
			mark_counters(tables);
			expect_sent(client, many[i].service, 53, 0);
			expect_counters(tables, round ? OUTCOME_SOCKET_KEPT_BACKEND : OUTCOME_SOCKET_TRANSLATED,
					NOTHING);
		}
	for (size_t answers = 0; answers < 3 * COUNT(many); answers++)
		answered_by();
	for (size_t answers = 0; answers < 3 * COUNT(many); answers++) {
		const char *from = received_from(client);
		size_t i = 0;

		while (i < COUNT(many) && strcmp(from, expected_text(many[i].service, 53)) != 0)
			i++;
		if (i == COUNT(many))
			complain("a reply came from %s", from);
	}
	close(client);
	end_case();
}

static void tells_twins_apart(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);
	/* Both lead to 10.0.1.10:5353. */
	const struct {
		const char *address;
		int port;
	} asked[] = {{"172.30.0.9", 53}, {"192.168.0.2", 30053}, {"172.30.0.9", 53}, {"192.168.0.2", 30053}};

	begin_case("a reply of a backend of two Services shows the one asked last");
	for (size_t i = 0; i < COUNT(asked); i++) {
		mark_counters(tables);
		expect_sent(client, asked[i].address, asked[i].port, 0);
		expect_counters(tables, i < 2 ? OUTCOME_SOCKET_TRANSLATED : OUTCOME_SOCKET_KEPT_BACKEND, NOTHING);
		answered_by();
		expect_text("the sender", received_from(client), expected_text(asked[i].address, asked[i].port));
	}
	close(client);
	end_case();
}

static void sees_whom_it_asked(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);
	/* The Service leads to 10.0.1.10:5353. */
	const struct {
		const char *address;
		int port;
		enum outcome outcome;
	} asked[] = {{"172.30.0.9", 53, OUTCOME_SOCKET_TRANSLATED},
		     {"10.0.1.10", 5353, NOTHING},
		     {"10.0.1.10", 5353, NOTHING},
		     {"172.30.0.9", 53, OUTCOME_SOCKET_KEPT_BACKEND},
		     {"10.0.1.10", 5353, NOTHING}};

	begin_case("a reply of a backend that was also asked directly shows how it was asked last");
	for (size_t i = 0; i < COUNT(asked); i++) {
		mark_counters(tables);
		expect_sent(client, asked[i].address, asked[i].port, 0);
		expect_counters(tables, asked[i].outcome, NOTHING);
		answered_by();
		expect_text("the sender", received_from(client), expected_text(asked[i].address, asked[i].port));
	}
	close(client);
	end_case();
}

static void forgets_when_it_connects(void)
{
	int client = open_client(SOCK_DGRAM);

	begin_case("a socket that connects to a backend itself forgets the Service");
	if (connect_to(client, "172.30.0.9", 53) != 0)
		complain("cannot connect");
	expect_text("the backend", datagram_arrives_at(client), expected_text("10.0.1.10", 5353));
	expect_text("the sender", received_from(client), expected_text("172.30.0.9", 53));
	if (connect_to(client, "10.0.1.10", 5353) != 0)
		complain("cannot connect again");
	expect_text("the peer", peer_of(client), expected_text("10.0.1.10", 5353));
	expect_text("the backend", datagram_arrives_at(client), expected_text("10.0.1.10", 5353));
	expect_text("the sender", received_from(client), expected_text("10.0.1.10", 5353));
	close(client);
	end_case();
}

void datagram_cases(const struct tables *tables)
{
	keeps_its_backend(tables);
	leaves_a_backend_that_is_gone(tables);
	keeps_a_backend_that_takes_no_new_flows(tables);
	uses_the_node_port(tables);
	is_refused(tables);
	is_dropped(tables);
	strangers_stay_strangers(tables);
	remembers_many(tables);
	tells_twins_apart(tables);
	sees_whom_it_asked(tables);
	forgets_when_it_connects();
}

void a_service_that_goes(const struct tables *tables)
{
	int client = open_client(SOCK_DGRAM);

	begin_case("an unconnected socket is left to packets when its Service port goes");
	expect_sent(client, "172.30.0.14", 53, 0);
	remove_frontend(tables, "172.30.0.14", 53, IPPROTO_UDP);
	mark_counters(tables);
	send_to(client, "172.30.0.14", 53);
	expect_counters(tables, OUTCOME_SOCKET_LEFT_TO_PACKETS, NOTHING);
	close(client);
	end_case();
}
