/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* connected_cases.c: a connected UDP socket has one peer, whatever else the process does with the socket. */
#include "sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int connect_client(const char *address, int port)
{
	int client = open_client(SOCK_DGRAM), error = connect_to(client, address, port);

	if (error)
		complain("connect: %s", strerror(error));
	return client;
}

static void expect_conversation(int client, const char *service, const char *backend)
{
	expect_text("the peer", peer_of(client), expected_text(service, 53));
	expect_text("the backend", datagram_arrives_at(client), expected_text(backend, 5353));
	expect_text("the sender", received_from(client), expected_text(service, 53));
}

/** An IPv6 socket's datagrams to a mapped peer pass the sendmsg hook with the peer's address (udpv6_sendmsg). */
static void is_translated_once(void)
{
	int client;

	begin_case("a connected socket is translated once, although its backend is also a Service's address "
		   "[translated-once]");
	client = connect_client("172.30.0.17", 53);
	expect_conversation(client, "172.30.0.17", "10.0.1.14");
	close(client);
	end_case();
}

static void survives_a_failed_connect(void)
{
	int client;

	begin_case("a connect that fails leaves the socket with its peer");
	client = connect_client("172.30.0.9", 53);
	for (int attempts = 0; attempts < 3; attempts++) {
		if (connect_to(client, "198.18.0.1", 53) == 0)
			complain("the route should be missing");
		expect_conversation(client, "172.30.0.9", "10.0.1.10");
	}
	close(client);
	end_case();
}

/** The Service of the last connect, or of the one before: both lead to the same backend. */
static void shows_the_last_connect(void)
{
	int client;

	begin_case("of two Services of one backend the peer is the one connected to last");
	client = connect_client("172.30.0.9", 53);
	if (connect_to(client, "192.168.0.2", 30053) != 0)
		complain("cannot connect again");
	expect_text("the peer", peer_of(client), expected_text("192.168.0.2", 30053));
	expect_text("the backend", datagram_arrives_at(client), expected_text("10.0.1.10", 5353));
	expect_text("the sender", received_from(client), expected_text("192.168.0.2", 30053));
	close(client);
	end_case();
}

static void stays_with_its_backend(void)
{
	char first[64];
	int client;

	begin_case("a datagram to the Service that a socket is connected to goes where the connection goes");
	for (int sockets = 0; sockets < 20; sockets++) {
		client = connect_client("172.30.0.12", 53);
		expect_sent(client, "172.30.0.12", 53, 0);
		strcpy(first, answered_by());
		expect_text("the sender", received_from(client), expected_text("172.30.0.12", 53));
		expect_text("the backend", datagram_arrives_at(client), first);
		close(client);
	}
	end_case();
}

/** More Services than a socket keeps by itself, one of them with the backend of the peer. */
static void other_datagrams_change_nothing(void)
{
	static const char *const others[] = {"172.30.0.14", "172.30.0.15", "172.30.0.16", "172.30.0.17", "172.30.0.12"};
	int client;

	begin_case("datagrams to other Services leave a connected socket its peer");
	client = connect_client("172.30.0.9", 53);
	for (size_t i = 0; i < COUNT(others); i++) {
		expect_sent(client, others[i], 53, 0);
		answered_by();
	}
	expect_sent(client, "192.168.0.2", 30053, 0);
	answered_by();
	received_from(client);
	expect_conversation(client, "172.30.0.9", "10.0.1.10");
	close(client);
	end_case();
}

/** connect() meets the hook with a subflow, getpeername() with the socket of the process. */
static void shows_the_peer_of_mptcp(void)
{
	int client = socket(mode == V4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_MPTCP);

	begin_case("an MPTCP socket sees the Service as its peer");
	if (client < 0) {
		skip_case("the kernel has no MPTCP");
		return;
	}
	if (connect_to(client, "172.30.0.1", 80) != 0)
		complain("cannot connect");
	expect_text("the backend", accepted_at(8080), expected_text("10.0.1.10", 8080));
	expect_text("the peer", peer_of(client), expected_text("172.30.0.1", 80));
	close(client);
	end_case();
}

/** No hook changes the address that ip_recv_error() gives. */
static void names_the_backend_in_its_error_queue(void)
{
	struct sockaddr_storage to = {};
	struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof(to)};
	int client, on = 1;

	begin_case("the error queue of a socket names the backend [socket-beyond-hooks]");
	client = connect_client("172.30.0.21", 53);
	setsockopt(client, mode == V4 ? SOL_IP : SOL_IPV6, mode == V4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on));
	expect_text("the backend", datagram_arrives_at(client), "none");
	if (recvmsg(client, &message, MSG_ERRQUEUE) < 0)
		complain("the error queue is empty: %s", strerror(errno));
	else
		expect_text("the destination", socket_text(&to), expected_text("10.0.1.10", 5399));
	close(client);
	end_case();
}

void connected_cases(void)
{
	/* An IPv6 socket has no error queue for IPv4. */
	if (mode != MAPPED)
		names_the_backend_in_its_error_queue();
	shows_the_peer_of_mptcp();
	is_translated_once();
	survives_a_failed_connect();
	shows_the_last_connect();
	stays_with_its_backend();
	other_datagrams_change_nothing();
}
