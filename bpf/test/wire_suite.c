/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * wire_suite.c: what BPF_PROG_TEST_RUN cannot ask: frames that really arrive on a device (VLAN tags, which the kernel takes off
 * before tc ingress; frames shorter than a header, which test runs refuse on new kernels) and on one without Ethernet header.
 */
#include "test.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP	     IPPROTO_TCP
#define UDP	     IPPROTO_UDP
#define CLIENT	     "203.0.113.2"
#define PATIENCE_MS  20000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct wire_case {
	const char *name;
	struct frame frame;
	enum outcome outcome;
};

/* clang-format off */
static const struct wire_case ethernet_cases[] = {
	{ "on a wire: a SYN", { CLIENT, "172.30.0.1", 1000, 80, TCP, PLAIN }, OUTCOME_PACKET_TRANSLATED_SNAT },
	{ "on a wire: a tag that is only a priority", { CLIENT, "172.30.0.1", 1000, 80, TCP, TAG_0 }, OUTCOME_PACKET_TRANSLATED_SNAT },
	{ "on a wire: a frame of a VLAN is left to its VLAN device", { CLIENT, "172.30.0.1", 1000, 80, TCP, TAG_5 }, NOTHING },
	{ "on a wire: a frame for another host", { CLIENT, "172.30.0.1", 1000, 80, TCP, OTHER_HOST }, NOTHING },
	{ "on a wire: a frame that ends in its IP header", { CLIENT, "172.30.0.1", 1000, 80, TCP, CUT_IN_IP }, NOTHING },
};

static const struct wire_case tunnel_cases[] = {
	{ "on a layer-3 device: a SYN", { CLIENT, "172.30.0.1", 1000, 80, TCP, PLAIN }, OUTCOME_PACKET_TRANSLATED_SNAT },
	{ "on a layer-3 device: UDP", { CLIENT, "172.30.0.9", 1000, 53, UDP, PLAIN }, OUTCOME_PACKET_TRANSLATED_SNAT },
	{ "on a layer-3 device: options and extension headers", { CLIENT, "172.30.0.1", 1000, 80, TCP, EXTENDED }, OUTCOME_PACKET_TRANSLATED_SNAT },
	{ "on a layer-3 device: a later fragment", { CLIENT, "172.30.0.1", 1000, 80, TCP, LATER_FRAGMENT }, NOTHING },
	{ "on a layer-3 device: a packet that ends in its ports", { CLIENT, "172.30.0.1", 1000, 80, TCP, CUT_IN_PORTS }, NOTHING },
};
/* clang-format on */

/** Sent after each frame: when it is counted, the frame has been through. */
static const struct frame last = {CLIENT, "172.30.0.3", 1000, 80, TCP, PLAIN};
#define LAST_OUTCOME OUTCOME_PACKET_REFUSED_NO_ENDPOINT

static struct tables tables;

static void attach(struct bpf_object *object, const char *program, const char *device)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = device_index(device), .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_of(object, program));

	if (bpf_tc_hook_create(&hook) != 0 || bpf_tc_attach(&hook, &options) != 0)
		die("Cannot attach %s to %s", program, device);
}

static int open_wire(const char *device)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = device_index(device)};
	int wire = socket(AF_PACKET, SOCK_RAW, 0);

	if (wire < 0 || bind(wire, (struct sockaddr *)&address, sizeof(address)) != 0)
		die("Cannot open device \"%s\"", device);
	return wire;
}

/** A layer-3 device called `tunnel` that receives the written packets. Negative: this kernel has none. */
static int open_tunnel(void)
{
	struct ifreq request = {.ifr_name = "tunnel", .ifr_flags = IFF_TUN | IFF_NO_PI};
	int tunnel = open("/dev/net/tun", O_RDWR);

	if (tunnel >= 0 && ioctl(tunnel, TUNSETIFF, &request) != 0)
		die("Cannot make a TUN device");
	return tunnel;
}

static void send_frame(int wire, const struct frame *frame, unsigned int shape)
{
	struct frame shaped = *frame;
	unsigned char bytes[512];
	size_t size;

	shaped.shape |= shape;
	size = build_frame(&shaped, bytes);
	if (write(wire, bytes, size) != (ssize_t)size)
		die("Cannot send a frame");
}

static void run_wire_case(int wire, const struct wire_case *c, unsigned int shape)
{
	int waited = 0;

	begin_case(c->name);
	flush_conntrack();
	mark_counters(&tables);
	send_frame(wire, &c->frame, shape);
	send_frame(wire, &last, shape);
	while (counter_moved(&tables, LAST_OUTCOME) == 0 && waited++ < PATIENCE_MS)
		usleep(1000);
	expect_counters(&tables, c->outcome, LAST_OUTCOME);
	end_case();
}

void wire_suite(void)
{
	struct bpf_object *object = load_object("kfuncs");
	int wire = open_wire("wire"), tunnel = open_tunnel();

	tables = open_tables(object);
	fill_tables(&tables);
	set_settings(&tables, 0, 1);
	attach(object, "weir_ingress_l2", "outside");
	if (tunnel >= 0) {
		run("ip link set tunnel up");
		attach(object, "weir_ingress_l3", "tunnel");
	}
	for (mode = V4; mode <= V6; mode++) {
		for (size_t i = 0; i < COUNT(ethernet_cases); i++)
			run_wire_case(wire, &ethernet_cases[i], 0);
		for (size_t i = 0; i < COUNT(tunnel_cases) && tunnel >= 0; i++)
			run_wire_case(tunnel, &tunnel_cases[i], NO_ETHERNET);
	}
	begin_case("on a layer-3 device");
	if (tunnel < 0)
		skip_case("this kernel has no /dev/net/tun");
	close(wire);
	close(tunnel);
	bpf_object__close(object);
}
