/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * world.c: a node. It has a wire to the outside (device `outside`, its far end `wire`) and one to its pods (`pods`, far end
 * `pod`); pods of the other node are behind 192.168.0.3. The socket suite lives in a pod of it, and its backends listen there on
 * addresses of lo.
 */
#define _GNU_SOURCE
#include "test.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

const char *object_folder;

static const char *const commands[] = {
	"ip link set lo up",
	"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
	"ip link add outside address 02:00:00:00:00:02 type veth peer name wire",
	"ip link add pods address 02:00:00:00:00:02 type veth peer name pod",
	"ip link set outside up && ip link set wire up && ip link set pods up && ip link set pod up",
	"ip address add 192.168.0.2/24 dev outside",
	"ip address add fd00::192.168.0.2/120 dev outside nodad",
	"ip address add 10.0.1.1/24 dev pods",
	"ip address add fd00::10.0.1.1/120 dev pods nodad",
	"ip route add 10.0.2.0/24 via 192.168.0.3",
	"ip route add fd00::10.0.2.0/120 via fd00::192.168.0.3",
	"ip route add default via 192.168.0.1",
	"ip route add default via fd00::192.168.0.1",
	"ip route add unreachable 198.18.0.0/24",
	"ip route add unreachable fd00::198.18.0.0/120",
	"nft 'table inet weir { chain dstnat { type nat hook prerouting priority dstnat; ct state new counter; }; }'",
	"nft 'table inet weir { chain srcnat { type nat hook postrouting priority srcnat; }; }'",
};

static const char *const pod_commands[] = {
	"ip link set lo up && ip link set eth0 up",
	"ip address add 10.0.3.2/32 dev eth0",
	"ip address add fd00::10.0.3.2/128 dev eth0 nodad",
	"ip route add default dev eth0",
	"ip -6 route add default dev eth0",
	"ip route add unreachable 198.18.0.0/24",
	"ip route add unreachable fd00::198.18.0.0/120",
	"for a in 192.168.0.2 10.0.1.1; do ip address add $a/32 dev lo; ip address add fd00::$a/128 dev lo nodad; done",
};

static __u64 cookie_of_node;
static __u32 index_of_pod_link;

void run(const char *format, ...)
{
	char command[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	if (system(command) != 0)
		die("Cannot run \"%s\"", command);
}

void make_world(void)
{
	if (unshare(CLONE_NEWNET) != 0)
		die("Cannot make a network namespace: are you root?");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		run("%s", commands[i]);
}

__u32 device_index(const char *name)
{
	__u32 index = if_nametoindex(name);

	if (!index)
		die("Cannot find device \"%s\"", name);
	return index;
}

__u64 own_netns_cookie(void)
{
	int any = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t size = sizeof(__u64);
	__u64 cookie = 0;

	if (getsockopt(any, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0)
		die("Cannot read the network namespace's cookie");
	close(any);
	return cookie;
}

__u64 node_netns_cookie(void)
{
	return cookie_of_node;
}

__u32 pod_link_index(void)
{
	return index_of_pod_link;
}

static int own_netns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

/** The descriptor `node` stays open: without it the node's namespace would go, and its devices with it. */
void enter_pod(void)
{
	int node = own_netns(), pod;

	cookie_of_node = own_netns_cookie();
	if (unshare(CLONE_NEWNET) != 0)
		die("Cannot make a network namespace for a pod");
	pod = own_netns();
	setns(node, CLONE_NEWNET);
	run("ip link add podlink up type veth peer name eth0 netns /proc/%d/fd/%d", getpid(), pod);
	index_of_pod_link = device_index("podlink");
	setns(pod, CLONE_NEWNET);
	for (size_t i = 0; i < sizeof(pod_commands) / sizeof(pod_commands[0]); i++)
		run("%s", pod_commands[i]);
	close(pod);
}

struct bpf_object *load_object(const char *name)
{
	struct bpf_object *object;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.bpf.o", object_folder, name);
	object = bpf_object__open_file(path, NULL);
	if (!object || bpf_object__load(object) != 0)
		die("Cannot load \"%s\"", path);
	return object;
}

int program_of(struct bpf_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	if (!program)
		die("Cannot find program \"%s\"", name);
	return bpf_program__fd(program);
}
