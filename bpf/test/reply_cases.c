/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * reply_cases.c: a client outside keeps port 30053 through SNAT of a load balancer, and its address is the node's: so the server's
 * peer is the address and port of NodePort 30053 [udp-reply]. Without the rule, Service 9's backend gets the reply.
 */
#include "sockets.h"

#include <bpf/bpf.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEER	    "192.168.0.2"
#define PEER_PORT   30053
#define SERVER	    "10.0.1.1"
#define SERVER_PORT 5060

static int open_bound(const char *address, int port)
{
	struct sockaddr_storage own;
	socklen_t size = socket_address(address, port, &own);
	int bound = open_client(SOCK_DGRAM), on = 1;

	setsockopt(bound, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(bound, (struct sockaddr *)&own, size) != 0)
		die("Cannot bind to %s port %d", address, port);
	return bound;
}

/** Both ends; the client has written to the server, which knows the sender. */
static void open_conversation(int *client, int *server)
{
	*client = open_bound(PEER, PEER_PORT);
	*server = open_bound(SERVER, SERVER_PORT);
	expect_sent(*client, SERVER, SERVER_PORT, 0);
	expect_text("the sender", received_from(*server), expected_text(PEER, PEER_PORT));
}

static void expect_reply(int client, const char *from)
{
	expect_text("the reply", received_from(client), from);
	expect_text("the backend", answered_by(), "none");
}

static void a_reply_is_not_a_dial(const struct tables *tables)
{
	int client, server;

	begin_case("a reply to a sender with a Service's address and port goes to the sender [udp-reply]");
	open_conversation(&client, &server);
	mark_counters(tables);
	for (int replies = 0; replies < 3; replies++) {
		expect_sent(server, PEER, PEER_PORT, 0);
		expect_reply(client, expected_text(SERVER, SERVER_PORT));
	}
	expect_counters(tables, NOTHING, NOTHING);
	close(client);
	close(server);
	end_case();
}

static void also_connected(void)
{
	int client, server, worker;

	begin_case("also when the server connects its socket, or another one of its port");
	open_conversation(&client, &server);
	worker = open_bound(SERVER, SERVER_PORT);
	for (int i = 0; i < 2; i++) {
		int replying = i ? worker : server;

		if (connect_to(replying, PEER, PEER_PORT) != 0)
			complain("cannot connect");
		expect_text("the peer", peer_of(replying), expected_text(PEER, PEER_PORT));
		if (send(replying, "!", 1, 0) != 1)
			complain("cannot send");
		expect_reply(client, expected_text(SERVER, SERVER_PORT));
	}
	close(worker);
	close(client);
	close(server);
	end_case();
}

static void others_still_dial(void)
{
	int client, server, other = open_client(SOCK_DGRAM);

	begin_case("other ports of the server dial the Service there");
	open_conversation(&client, &server);
	expect_sent(other, PEER, PEER_PORT, 0);
	expect_text("the backend", answered_by(), expected_text("10.0.1.10", 5353));
	expect_text("the sender", received_from(other), expected_text(PEER, PEER_PORT));
	close(other);
	close(client);
	close(server);
	end_case();
}

static void clients_stay_clients(void)
{
	int client = open_bound(SERVER, SERVER_PORT);

	begin_case("a socket that dialled the Service stays its client when the answer is there");
	for (int asked = 0; asked < 3; asked++) {
		expect_sent(client, PEER, PEER_PORT, 0);
		expect_text("the backend", answered_by(), expected_text("10.0.1.10", 5353));
		expect_text("the sender", received_from(client), expected_text(PEER, PEER_PORT));
	}
	close(client);
	end_case();
}

/** Lets two minutes pass for every sender. On a machine that runs for less the time of the datagram lies below zero. */
static void age_senders(const struct tables *tables)
{
	struct udp_sender_key key;
	struct udp_sender old;
	struct timespec now;
	void *before = NULL;

	clock_gettime(CLOCK_MONOTONIC, &now);
	old.last_received_ns = (now.tv_sec - 121) * 1000000000ULL;

	while (bpf_map_get_next_key(tables->udp_senders, before, &key) == 0) {
		before = &key;
		if (bpf_map_update_elem(tables->udp_senders, &key, &old, BPF_EXIST) != 0)
			die("Cannot age a sender");
	}
}

static void conversations_end(const struct tables *tables)
{
	int client, server;

	begin_case("a sender that has been silent for longer than conntrack remembers is a Service again");
	open_conversation(&client, &server);
	age_senders(tables);
	expect_sent(server, PEER, PEER_PORT, 0);
	expect_text("the backend", answered_by(), expected_text("10.0.1.10", 5353));
	expect_text("the reply", received_from(client), "none");
	close(client);
	close(server);
	end_case();
}

void reply_cases(const struct tables *tables)
{
	/* First, while no one has written to the server's port. */
	clients_stay_clients();
	a_reply_is_not_a_dial(tables);
	also_connected();
	others_still_dial();
	conversations_end(tables);
}
