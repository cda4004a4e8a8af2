/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * network_cases.c: sockets outside the node's network namespace, whose own namespace is changed: each change leaves them a pod's,
 * or makes them sockets of another network, which are left to packets.
 */
#include "sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVICE	     "172.30.0.1"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define POD	     OUTCOME_SOCKET_TRANSLATED
#define OTHER	     OUTCOME_SOCKET_OF_OTHER_NETWORK

struct network_case {
	const char *name;
	/** Shell commands that change the namespace, and that change it back; NULL = none. */
	const char *change, *undo;
	/** Outcome of a socket that dials an IPv4 or an IPv6 address. */
	enum outcome v4, v6;
};

/* clang-format off */
static const struct network_case cases[] = {
	{ "a namespace with one device that leads to the node is a pod's", NULL, NULL, POD, POD },
	{ "a second device with addresses is another network",
	  "ip link add net1 type veth peer name net2; ip addr add 192.168.9.2/24 dev net1; ip addr add fd09::2/64 dev net1 nodad; ip link set net1 up",
	  "ip link del net1", OTHER, OTHER },
	{ "so it is in a family in which it has an address",
	  "ip link add net1 type veth peer name net2; ip addr add 192.168.9.2/24 dev net1; ip link set net1 up", "ip link del net1", OTHER, POD },
	{ "link-local addresses lead to no network", "ip link add net1 type veth peer name net2; ip link set net1 up; ip link set net2 up", "ip link del net1", POD, POD },
	{ "a device that is down leads nowhere",
	  "ip link add net1 type veth peer name net2; ip addr add 192.168.9.2/24 dev net1; ip addr add fd09::2/64 dev net1 nodad", "ip link del net1", POD, POD },
	{ "a namespace whose device is down has no network", "ip link set eth0 down",
	  "ip link set eth0 up; ip route add default dev eth0; ip addr replace fd00::10.0.3.2/128 dev eth0 nodad; ip -6 route add default dev eth0",
	  OTHER, OTHER },
	{ "NAT of its own claims what it claims", "nft add table inet own '{ chain c { type nat hook postrouting priority 100; }; }'",
	  "nft delete table inet own", OTHER, OTHER },
	{ "and in its family only", "nft add table ip own '{ chain c { type nat hook output priority 0; }; }'", "nft delete table ip own", OTHER, POD },
	{ "in the other one, too", "nft add table ip6 own '{ chain c { type nat hook output priority 0; }; }'", "nft delete table ip6 own", POD, OTHER },
	{ "rules that translate nothing claim nothing",
	  "nft add table inet own '{ chain c { type filter hook output priority 0; ct state new accept; }; chain d { type filter hook output priority 9; }; }'",
	  "nft delete table inet own", POD, POD },
	{ "many chains hide no NAT",
	  "nft add table inet own '{ chain c { type nat hook output priority 0; }; }'; for i in $(seq 20); do nft add chain inet own c$i '{ type filter hook output priority '$((-300 - i))'; }'; done",
	  "nft delete table inet own", OTHER, OTHER },
	{ "another engine's addresses are not a pod's",
	  "ip addr add 172.17.0.2/16 dev eth0; ip addr del 10.0.3.2/32 dev eth0; ip addr add fd17::2/64 dev eth0 nodad; ip addr del fd00::10.0.3.2/128 dev eth0",
	  "ip addr del 172.17.0.2/16 dev eth0; ip addr add 10.0.3.2/32 dev eth0; ip addr del fd17::2/64 dev eth0; ip addr add fd00::10.0.3.2/128 dev eth0 nodad; ip route replace default dev eth0",
	  OTHER, OTHER },
	{ "one pod's address among others is enough", "ip addr add 172.17.0.2/16 dev eth0; ip addr add fd17::2/64 dev eth0 nodad",
	  "ip addr del 172.17.0.2/16 dev eth0; ip addr del fd17::2/64 dev eth0", POD, POD },
};
/* clang-format on */

static void expect_dial(const struct tables *tables, int port, enum outcome outcome)
{
	int client = open_client(SOCK_STREAM);

	mark_counters(tables);
	connect_to(client, SERVICE, port);
	expect_counters(tables, outcome, NOTHING);
	if (outcome == POD && strcmp(accepted_at(8080), expected_text("10.0.1.10", 8080)) != 0)
		complain("the backend does not answer");
	close(client);
}

static void run_case(const struct tables *tables, const struct network_case *c)
{
	begin_case(c->name);
	if (c->change)
		run("%s", c->change);
	expect_dial(tables, 80, mode == V6 ? c->v6 : c->v4);
	if (c->undo)
		run("%s", c->undo);
	end_case();
}

/** Addresses of no pod range, as with a local detector by device. */
static void device_cases(const struct tables *tables)
{
	const struct network_case *foreign = &cases[COUNT(cases) - 2];

	run("%s", foreign->change);
	begin_case("a device of pods makes a pod, whatever its address");
	set_pod_link_flags(tables, DEVICE_PODS);
	expect_dial(tables, 80, POD);
	set_pod_link_flags(tables, 0);
	expect_dial(tables, 80, OTHER);
	end_case();

	begin_case("without a local detector every address is a pod's");
	set_settings(tables, SETTINGS_NO_LOCAL_DETECTOR4 | SETTINGS_NO_LOCAL_DETECTOR6, node_netns_cookie());
	mark_counters(tables);
	expect_dial(tables, 80, POD);
	set_settings(tables, 0, node_netns_cookie());
	end_case();
	run("%s", foreign->undo);
}

static void port_case(const struct tables *tables)
{
	struct sockaddr_storage any;
	int client = open_client(SOCK_STREAM);
	socklen_t size = socket_address("10.0.3.2", 0, &any);

	begin_case("a pod's TCP socket with a port of its own is left to packets");
	if (bind(client, (struct sockaddr *)&any, size) != 0)
		complain("cannot bind");
	mark_counters(tables);
	connect_to(client, SERVICE, 80);
	expect_counters(tables, OUTCOME_SOCKET_LEFT_TO_PACKETS, NOTHING);
	close(client);
	end_case();
}

/** A namespace inside another one's. */
static void nested_cases(const struct tables *tables)
{
	begin_case("a device that does not lead to the node is another network's");
	set_settings(tables, 0, 1);
	expect_dial(tables, 80, OTHER);
	end_case();

	begin_case("sockets of another network are not refused, either");
	expect_dial(tables, 81, OTHER);
	set_settings(tables, 0, node_netns_cookie());
	end_case();
}

void network_cases(const struct tables *tables)
{
	for (size_t i = 0; i < COUNT(cases); i++)
		run_case(tables, &cases[i]);
	device_cases(tables);
	port_case(tables);
	nested_cases(tables);
}
