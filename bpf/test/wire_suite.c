/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * wire_suite.c: what BPF_PROG_TEST_RUN cannot ask: frames that really arrive on a device (VLAN tags, which the kernel takes off
 * before tc ingress; frames shorter than a header, which test runs refuse on new kernels), packets on a device without Ethernet
 * header, and packets with more than an Ethernet header before the IP header, as some tunnels show them.
 */
#include "test.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP	    IPPROTO_TCP
#define UDP	    IPPROTO_UDP
#define CLIENT	    "203.0.113.2"
#define PATIENCE_MS 20000
/** A program with a lower priority number runs first. */
#define FIRST_PRIORITY 1
#define OUR_PRIORITY   2
/** An outer IPv4 and a GRE header. */
#define OUTER_BYTES  28
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

static const struct wire_case outer_cases[] = {
	{ "behind outer headers: a SYN", { CLIENT, "172.30.0.1", 1000, 80, TCP, PLAIN }, OUTCOME_PACKET_TRANSLATED_SNAT },
	{ "behind outer headers: UDP", { CLIENT, "172.30.0.9", 1000, 53, UDP, PLAIN }, OUTCOME_PACKET_TRANSLATED_SNAT },
	{ "behind outer headers: options and extension headers", { CLIENT, "172.30.0.1", 1000, 80, TCP, EXTENDED }, OUTCOME_PACKET_TRANSLATED_SNAT },
	{ "behind outer headers: a later fragment", { CLIENT, "172.30.0.1", 1000, 80, TCP, LATER_FRAGMENT }, NOTHING },
	{ "behind outer headers: a packet that ends in its ports", { CLIENT, "172.30.0.1", 1000, 80, TCP, CUT_IN_PORTS }, NOTHING },
};
/* clang-format on */

/** Sent after each frame: when it is counted, the frame has been through. */
static const struct frame last = {CLIENT, "172.30.0.3", 1000, 80, TCP, PLAIN};
#define LAST_OUTCOME OUTCOME_PACKET_REFUSED_NO_ENDPOINT

static struct tables tables;

static void attach(int program, const char *device, __u32 priority)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = device_index(device), .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .priority = priority);
	int created = bpf_tc_hook_create(&hook);

	if ((created != 0 && created != -EEXIST) || bpf_tc_attach(&hook, &options) != 0)
		die("Cannot attach a program to %s", device);
}

/**
 * A program that shows the packet with more bytes before it, and its MAC header at the first of them: so does the kernel with
 * the outer headers of a multipoint GRE tunnel (skb_pop_mac_header), which not every kernel has.
 */
static int outer_headers_program(void)
{
	const struct bpf_insn instructions[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = OUTER_BYTES},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_change_head},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int program =
		bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "outer_headers", "GPL", instructions, COUNT(instructions), NULL);

	if (program < 0)
		die("Cannot load a program");
	return program;
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
	attach(program_of(object, "weir_ingress"), "outside", OUR_PRIORITY);
	if (tunnel >= 0) {
		run("ip link set tunnel up");
		attach(program_of(object, "weir_ingress"), "tunnel", OUR_PRIORITY);
	}
	for (mode = V4; mode <= V6; mode++) {
		for (size_t i = 0; i < COUNT(ethernet_cases); i++)
			run_wire_case(wire, &ethernet_cases[i], 0);
		for (size_t i = 0; i < COUNT(tunnel_cases) && tunnel >= 0; i++)
			run_wire_case(tunnel, &tunnel_cases[i], NO_ETHERNET);
	}
	if (tunnel >= 0)
		attach(outer_headers_program(), "tunnel", FIRST_PRIORITY);
	for (mode = V4; mode <= V6; mode++)
		for (size_t i = 0; i < COUNT(outer_cases) && tunnel >= 0; i++)
			run_wire_case(tunnel, &outer_cases[i], NO_ETHERNET);
	begin_case("on a layer-3 device");
	if (tunnel < 0)
		skip_case("this kernel has no /dev/net/tun");
	close(wire);
	close(tunnel);
	bpf_object__close(object);
}
