/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * socket_suite.c: real sockets in a cgroup of our own; test runs do not know socket programs. The backends are sockets of this
 * process as well. Whether it counts as the node or as a pod is a matter of the namespace cookie in `settings`: its own, or its
 * node's.
 */
#include "test.h"
#include "sockets.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TCP	       SOCK_STREAM
#define UDP	       SOCK_DGRAM
#define LOOPBACK_PORTS SETTINGS_LOOPBACK_NODE_PORTS
/** Not of `settings`: SETTINGS_NO_LOCAL_DETECTOR* for the family that is dialled, and for the other one. */
#define NO_DETECTOR	  (1u << 30)
#define NO_OTHER_DETECTOR (1u << 31)
#define COUNT(array)	  (sizeof(array) / sizeof((array)[0]))

enum caller { NODE, POD };

struct dial_case {
	const char *name;
	enum caller caller;
	__u32 settings;
	int type;
	const char *address;
	int port;
	/** NOTHING: left alone, uncounted. */
	enum outcome outcome;
	/** The backend that answers; NULL = none. */
	const char *backend;
	int backend_port;
	/** What connect() fails with, where it matters. */
	int error;
};

#define REFUSED(why) .outcome = OUTCOME_SOCKET_REFUSED_##why, .error = ECONNREFUSED
#define DROPPED(why) .outcome = OUTCOME_SOCKET_DROP_##why, .error = EPERM
/** Datagram sockets: connect() sends nothing and succeeds. */
#define WILL_BE_REFUSED(why) .outcome = OUTCOME_SOCKET_REFUSED_##why
#define WILL_BE_DROPPED(why) .outcome = OUTCOME_SOCKET_DROP_##why
#define LEFT		     OUTCOME_SOCKET_NO_LOCAL_ENDPOINT
#define ANSWERS		     OUTCOME_SOCKET_TRANSLATED
#define TO_PACKETS	     OUTCOME_SOCKET_LEFT_TO_PACKETS

/* clang-format off */
static const struct dial_case dial_cases[] = {
	{ "a ClusterIP", NODE, 0, TCP, "172.30.0.1", 80, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "a ClusterIP, from a pod", POD, 0, TCP, "172.30.0.1", 80, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "a ClusterIP, by a connected UDP socket", POD, 0, UDP, "172.30.0.9", 53, ANSWERS, "10.0.1.10", 5353, 0 },
	{ "an address of no Service", NODE, 0, TCP, "10.0.1.10", 8080, NOTHING, "10.0.1.10", 8080, 0 },
	{ "a NodePort", NODE, 0, TCP, "192.168.0.2", 30080, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "a NodePort, from a pod", POD, 0, TCP, "192.168.0.2", 30080, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "a NodePort on loopback", NODE, LOOPBACK_PORTS, TCP, "127.0.0.1", 30080, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "a NodePort on the zero address is one on loopback", NODE, LOOPBACK_PORTS, TCP, "0.0.0.0", 30080, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "a NodePort on loopback, switched off", NODE, 0, TCP, "127.0.0.1", 30080, NOTHING, NULL, 0, ECONNREFUSED },
	{ "a pod's loopback is its own", POD, LOOPBACK_PORTS, TCP, "127.0.0.1", 30080, NOTHING, NULL, 0, ECONNREFUSED },
	{ "a pod's zero address is its own", POD, LOOPBACK_PORTS, TCP, "0.0.0.0", 30080, NOTHING, NULL, 0, ECONNREFUSED },
	{ "a Service without endpoints", NODE, 0, TCP, "172.30.0.3", 80, REFUSED(NO_ENDPOINT) },
	{ "a Service without endpoints, connected UDP", POD, 0, UDP, "172.30.0.18", 53, TO_PACKETS, NULL, 0, 0 },
	{ "the same, connected UDP of the node", NODE, 0, UDP, "172.30.0.18", 53, WILL_BE_REFUSED(NO_ENDPOINT) },
	{ "a port that the ClusterIP lacks", POD, 0, TCP, "172.30.0.1", 81, REFUSED(UNKNOWN_PORT) },
	{ "a port that the ClusterIP lacks, connected UDP", POD, 0, UDP, "172.30.0.9", 65535, TO_PACKETS, NULL, 0, 0 },
	{ "a protocol that the ClusterIP lacks, connected UDP of the node", NODE, 0, UDP, "172.30.0.1", 80, WILL_BE_REFUSED(UNKNOWN_PORT) },
	{ "port 0, as resolvers connect to find their source address", POD, 0, UDP, "172.30.0.1", 0, TO_PACKETS, NULL, 0, 0 },
	{ "the same, of the node", NODE, 0, UDP, "172.30.0.1", 0, WILL_BE_REFUSED(UNKNOWN_PORT) },
	{ "a slot with another Service's backend", NODE, 0, TCP, "172.30.0.6", 80, REFUSED(BROKEN_TABLE) },
	{ "a slot beyond the table", NODE, 0, TCP, "172.30.0.7", 80, REFUSED(BROKEN_TABLE) },
	{ "policy without an endpoint here is left to packets, from a pod", POD, 0, TCP, "172.30.0.4", 80, LEFT, NULL, 0, 0 },
	{ "the same, connected UDP", POD, 0, UDP, "172.30.0.20", 53, LEFT, NULL, 0, 0 },
	{ "policy without an endpoint here fails the node's own", NODE, 0, TCP, "172.30.0.4", 80, DROPPED(NO_LOCAL_ENDPOINT) },
	{ "the same, connected UDP of the node", NODE, 0, UDP, "172.30.0.20", 53, WILL_BE_DROPPED(NO_LOCAL_ENDPOINT) },
	{ "the same, at a NodePort", NODE, 0, TCP, "192.168.0.2", 30082, DROPPED(NO_LOCAL_ENDPOINT) },
	{ "the same, at a NodePort on loopback", NODE, LOOPBACK_PORTS, TCP, "127.0.0.1", 30082, DROPPED(NO_LOCAL_ENDPOINT) },
	{ "the same, pods' sockets left to packets", NODE, SETTINGS_SOCKETS_HOST_ONLY, TCP, "172.30.0.4", 80, DROPPED(NO_LOCAL_ENDPOINT) },
	{ "the same, without a local detector", NODE, NO_DETECTOR, TCP, "172.30.0.4", 80, DROPPED(NO_LOCAL_ENDPOINT) },
	{ "the node is not an outside source: its short circuit is open", NODE, NO_DETECTOR, UDP, "203.0.113.200", 53, ANSWERS, "10.0.1.10", 5353, 0 },
	{ "and so is that of pods", POD, 0, UDP, "203.0.113.200", 53, ANSWERS, "10.0.1.10", 5353, 0 },
	{ "without a local detector theirs is not", POD, NO_DETECTOR, UDP, "203.0.113.200", 53, LEFT, NULL, 0, 0 },
	{ "source ranges that admit the node", NODE, 0, TCP, "203.0.113.201", 80, ANSWERS, "10.0.1.10", 8085, 0 },
	{ "source ranges that do not", NODE, 0, TCP, "203.0.113.202", 80, DROPPED(SOURCE_RANGE) },
	{ "source ranges that do not, pods' sockets left to packets", NODE, SETTINGS_SOCKETS_HOST_ONLY, TCP, "203.0.113.202", 80, DROPPED(SOURCE_RANGE) },
	{ "source ranges that do not, connected UDP", NODE, 0, UDP, "203.0.113.202", 53, WILL_BE_DROPPED(SOURCE_RANGE) },
	{ "source ranges come before policy", NODE, 0, TCP, "203.0.113.202", 81, DROPPED(SOURCE_RANGE) },
	{ "policy comes after source ranges", NODE, 0, TCP, "203.0.113.201", 81, DROPPED(NO_LOCAL_ENDPOINT) },
	{ "source ranges are left to packets, from a pod", POD, 0, TCP, "203.0.113.201", 80, TO_PACKETS, NULL, 0, 0 },
	{ "pods' sockets left to packets", POD, SETTINGS_SOCKETS_HOST_ONLY, TCP, "172.30.0.1", 80, NOTHING, NULL, 0, 0 },
	{ "the node's own are not", NODE, SETTINGS_SOCKETS_HOST_ONLY, TCP, "172.30.0.1", 80, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "a pod is a local source", POD, 0, TCP, "203.0.113.200", 83, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "a pod is not an outside source", POD, 0, TCP, "203.0.113.200", 82, REFUSED(NO_ENDPOINT) },
	{ "without a local detector a pod is one", POD, NO_DETECTOR, TCP, "203.0.113.200", 82, ANSWERS, "10.0.1.10", 8080, 0 },
	{ "without one for the other family it is none", POD, NO_OTHER_DETECTOR, TCP, "203.0.113.200", 82, REFUSED(NO_ENDPOINT) },
	{ "without a local detector the node still is local", NODE, NO_DETECTOR, TCP, "203.0.113.200", 83, ANSWERS, "10.0.1.10", 8080, 0 },
};
/* clang-format on */

static struct tables tables;

static void set_caller(enum caller caller, __u32 flags)
{
	bool v6 = mode == V6;

	if (flags & NO_DETECTOR)
		flags |= v6 ? SETTINGS_NO_LOCAL_DETECTOR6 : SETTINGS_NO_LOCAL_DETECTOR4;
	if (flags & NO_OTHER_DETECTOR)
		flags |= v6 ? SETTINGS_NO_LOCAL_DETECTOR4 : SETTINGS_NO_LOCAL_DETECTOR6;
	flags &= ~(NO_DETECTOR | NO_OTHER_DETECTOR);
	set_settings(&tables, flags, caller == NODE ? own_netns_cookie() : node_netns_cookie());
}

static void expect_peer(int client, const char *address, int port)
{
	const char *peer = peer_of(client), *expected = expected_text(address, port);

	if (strcmp(peer, expected) != 0)
		complain("getpeername says %s, should be %s", peer, expected);
}

static void expect_backend(int client, const struct dial_case *c)
{
	const char *backend = c->type == TCP ? accepted_at(c->backend_port) : datagram_arrives_at(client);
	const char *expected = expected_text(c->backend, c->backend_port);

	if (strcmp(backend, expected) != 0)
		complain("%s answered, should be %s", backend, expected);
}

static void run_dial_case(const struct dial_case *c)
{
	int client = open_client(c->type), error;

	begin_case(c->name);
	set_caller(c->caller, c->settings);
	mark_counters(&tables);
	error = connect_to(client, c->address, c->port);
	expect_counters(&tables, c->outcome, NOTHING);
	if ((c->error || c->type == UDP) && error != c->error)
		complain("connect: %s, should be %s", strerror(error), strerror(c->error));
	if (c->backend && error && c->type != UDP)
		complain("connect: %s", strerror(error));
	if (c->backend && !error) {
		expect_backend(client, c);
		if (c->outcome == ANSWERS && strcmp(c->address, "0.0.0.0") != 0)
			expect_peer(client, c->address, c->port);
	}
	close(client);
	end_case();
}

/** Number of different backends that this many connections get. */
static int different_backends(const char *address, int connections)
{
	char seen[16][64];
	int different = 0;

	for (int i = 0; i < connections; i++) {
		int client = open_client(TCP), known = 0;
		const char *backend;

		if (connect_to(client, address, 80) != 0)
			complain("cannot connect to %s", address);
		backend = accepted_at(8080);
		while (known < different && strcmp(seen[known], backend) != 0)
			known++;
		if (known == different && different < (int)COUNT(seen))
			strcpy(seen[different++], backend);
		close(client);
	}
	return different;
}

static void choice_cases(void)
{
	int different;

	set_caller(POD, 0);
	begin_case("sockets spread over all backends");
	different = different_backends("172.30.0.11", MANY_CHOICES);
	if (different != 8)
		complain("%d backends of 8 were chosen", different);
	end_case();

	begin_case("session affinity keeps a namespace's sockets at one backend");
	different = different_backends("172.30.0.10", 20);
	if (different != 1)
		complain("%d backends were chosen", different);
	end_case();
}

void socket_suite(void)
{
	struct bpf_object *object = load_object("socket");

	tables = open_tables(object);
	fill_tables(&tables);
	enter_pod();
	attach_to_own_cgroup(object);
	open_servers();
	for (mode = V4; mode <= MAPPED; mode++) {
		for (size_t i = 0; i < COUNT(dial_cases); i++)
			run_dial_case(&dial_cases[i]);
		choice_cases();
		set_caller(POD, 0);
		datagram_cases(&tables);
		connected_cases();
		reply_cases(&tables);
		network_cases(&tables);
	}
	for (mode = V4; mode <= V6; mode++)
		a_service_that_goes(&tables);
	close_servers();
	bpf_object__close(object);
}
