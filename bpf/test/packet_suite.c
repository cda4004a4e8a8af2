/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* packet_suite.c: one table of packets, each asked of the loaded tc program through BPF_PROG_TEST_RUN. */
#include "packets.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <string.h>

#define OTHER_COOKIE 1
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct bpf_object *object;
static struct tables tables;
const struct packet_path *path;
static const struct packet_path paths[] = {{"kfuncs", false}, {"netfilter", true}};
/** skb->priority of the next frames. */
static __u32 priority_before;

struct answer ask(const char *program, const char *device, const struct frame *frame)
{
	unsigned char bytes[512];
	struct __sk_buff skb = {.priority = priority_before, .ifindex = device_index(device)};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = bytes, .data_size_in = build_frame(frame, bytes), .ctx_in = &skb,
		    .ctx_size_in = sizeof(skb), .ctx_out = &skb, .ctx_size_out = sizeof(skb));

	if (bpf_prog_test_run_opts(program_of(object, program), &run) != 0)
		die("Cannot run %s: %s", program, strerror(errno));
	return (struct answer){(int)run.retval, skb.priority};
}

void expect_answer(struct answer answer, enum verdict verdict)
{
	int action = verdict == DROP ? TC_ACT_SHOT : TC_ACT_UNSPEC;

	if (answer.verdict != action)
		complain("verdict is %d, should be %d", answer.verdict, action);
	if ((answer.priority == (TAG_OF_WEIR | TAG_REFUSED)) != (verdict == REFUSE))
		complain("priority is 0x%x", answer.priority);
}

static bool same(const struct address *a, const char *v4)
{
	struct address b = ip(v4);

	return memcmp(a, &b, sizeof(b)) == 0;
}

/** The backend that a tag names. */
bool tagged_backend(__u32 priority, struct backend *backend)
{
	__u32 id = priority & TAG_BACKEND;

	return (priority & TAG_MASK) == TAG_OF_WEIR && !(priority & TAG_REFUSED) &&
	       bpf_map_lookup_elem(tables.backends, &id, backend) == 0;
}

static void expect_tag(const struct packet_case *c, __u32 priority)
{
	bool snat = (c->tagged ?: c->outcome) == OUTCOME_PACKET_TRANSLATED_SNAT ||
		    c->outcome == OUTCOME_PACKET_TUPLE_REUSED;
	struct backend backend;

	if (!tagged_backend(priority, &backend))
		return complain("priority 0x%x does not name a backend", priority);
	if (!same(&backend.address, c->backend) || ntohs(backend.port) != c->backend_port)
		complain("the tag names %s %d", ip_text(&backend.address), ntohs(backend.port));
	if (!!(priority & TAG_SNAT) != snat)
		complain("the tag says that the source is %s", snat ? "kept" : "replaced");
}

static void expect_flow(const struct packet_case *c)
{
	struct flow flow;

	if (!find_conntrack(&c->frame, &flow))
		return complain("conntrack does not have the flow");
	if (!same(&flow.destination, c->frame.destination))
		complain("the flow goes to %s", ip_text(&flow.destination));
	if (!same(&flow.reply_source, c->backend) || flow.reply_source_port != c->backend_port)
		complain("%s %d answers", ip_text(&flow.reply_source), flow.reply_source_port);
	if (!same(&flow.reply_destination, c->seen))
		complain("the backend sees %s", ip_text(&flow.reply_destination));
	if (flow.mark != CONNTRACK_MARK)
		complain("conntrack mark is 0x%lx", flow.mark);
}

static void expect_no_flow(const struct packet_case *c)
{
	struct flow flow;

	/* conntrack -G does not show an entry by its reply. */
	if ((c->frame.protocol != TCP && c->frame.protocol != UDP) || c->old_entry == ANSWERED)
		return;
	if (!c->old_state && find_conntrack(&c->frame, &flow))
		complain("there is a flow to %s", ip_text(&flow.reply_source));
	if (c->old_state &&
	    (!find_conntrack(&c->frame, &flow) || (flow.mark == CONNTRACK_MARK) != (c->old_entry == MARKED)))
		complain("the old flow is gone");
}

static void run_case(const struct packet_case *c)
{
	struct answer answer;

	begin_case(c->name);
	flush_conntrack();
	if (c->old_state)
		insert_conntrack(&c->frame, c->old_state, c->old_entry);
	mark_counters(&tables);
	answer = ask("weir_ingress", "outside", &c->frame);
	expect_answer(answer, c->verdict);
	expect_counters(&tables, path->tags && c->tagged ? c->tagged : c->outcome, c->also);
	if (c->backend && path->tags)
		expect_tag(c, answer.priority);
	else if (c->backend)
		expect_flow(c);
	else
		expect_no_flow(c);
	end_case();
}

static void setting_cases(void)
{
	struct frame from_pod = {FROM(POD, 1000), WEB, PLAIN}, from_device = {FROM(CLIENT, 1000), WEB, PLAIN};

	begin_case("what enters by a device of pods comes from a pod");
	flush_conntrack();
	mark_counters(&tables);
	ask("weir_ingress", "pods", &from_device);
	expect_counters(&tables, OUTCOME_PACKET_TRANSLATED, OUTCOME_PACKET_POD_UNSEEN_BY_SOCKETS);
	end_case();

	begin_case("pods whose sockets are left to packets are not counted as unseen");
	flush_conntrack();
	set_settings(&tables, SETTINGS_SOCKETS_HOST_ONLY, OTHER_COOKIE);
	mark_counters(&tables);
	ask("weir_ingress", "outside", &from_pod);
	expect_counters(&tables, OUTCOME_PACKET_TRANSLATED, NOTHING);
	set_settings(&tables, 0, OTHER_COOKIE);
	end_case();
}

/** The route to 10.0.1.0/24 leads to device `pods`, which has no address in `devices`. */
static void no_address_case(void)
{
	struct frame frame = {FROM(CLIENT, 1000), WEB, PLAIN};

	begin_case("what needs a source address where none is known is dropped");
	flush_conntrack();
	forget_node_addresses(&tables);
	mark_counters(&tables);
	expect_answer(ask("weir_ingress", "outside", &frame), DROP);
	expect_counters(&tables, OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS, NOTHING);
	set_settings(&tables, 0, OTHER_COOKIE);
	end_case();
}

/** Other software has left a priority that means something to table `inet weir`. */
static void foreign_tag_case(void)
{
	struct frame foreign = {FROM(CLIENT, 1000), TO("198.51.100.1", 80), TCP, PLAIN};
	struct frame known = {FROM(CLIENT, 1000), WEB, NO_SYN};
	__u32 after;

	begin_case("a priority of other software that looks like a tag is cleared, another one stays");
	priority_before = TAG_OF_WEIR | 5;
	after = ask("weir_ingress", "outside", &foreign).priority | ask("weir_ingress", "outside", &known).priority;
	if (after)
		complain("priority is 0x%x", after);
	priority_before = 6;
	after = ask("weir_ingress", "outside", &foreign).priority;
	if (after != 6)
		complain("priority is 0x%x, should be 6", after);
	priority_before = 0;
	end_case();
}

/** The frame is for the bridge, whose address is another than the port's. */
static void port_case(void)
{
	struct frame frame = {FROM(CLIENT, 1000), WEB, OTHER_HOST};

	begin_case("a bridge port takes frames for its bridge");
	flush_conntrack();
	mark_counters(&tables);
	ask("weir_ingress_port", "outside", &frame);
	expect_counters(&tables, OUTCOME_PACKET_TRANSLATED_SNAT, NOTHING);
	end_case();
}

/** A second client behind the same tuple: the kernel must choose another port, or the connection is lost. */
static void clash_case(void)
{
	struct frame direct = {FROM(POD, 1000), TO("10.0.1.10", 8080), TCP, PLAIN};
	struct frame dialled = {FROM(POD, 1000), WEB, PLAIN};
	struct flow flow;

	begin_case("a client that talks to the backend directly gets another port through the Service");
	flush_conntrack();
	insert_conntrack(&direct, "ESTABLISHED", UNTRANSLATED);
	mark_counters(&tables);
	ask("weir_ingress", "outside", &dialled);
	expect_counters(&tables, OUTCOME_PACKET_TRANSLATED, OUTCOME_PACKET_POD_UNSEEN_BY_SOCKETS);
	if (!find_conntrack(&dialled, &flow))
		complain("conntrack does not have the flow");
	else if (flow.reply_destination_port == 1000)
		complain("both flows have the same reply tuple");
	end_case();
}

static void extension_case(void)
{
	struct frame frame = {FROM(CLIENT, 1000), WEB, MANY_EXTENSIONS};

	begin_case("a packet with a dozen extension headers passes");
	flush_conntrack();
	mark_counters(&tables);
	ask("weir_ingress", "outside", &frame);
	expect_counters(&tables, NOTHING, NOTHING);
	end_case();
}

/** No host on a wire has such addresses; they must not reach the flows of IPv4. */
static void mapped_header_case(void)
{
	struct frame frame = {FROM(CLIENT, 1000), WEB, MAPPED_HEADER};
	struct flow flow;

	begin_case("an IPv6 packet with IPv4-mapped addresses starts no flow of IPv4");
	flush_conntrack();
	mark_counters(&tables);
	ask("weir_ingress", "outside", &frame);
	expect_counters(&tables, NOTHING, NOTHING);
	mode = V4;
	if (find_conntrack(&frame, &flow))
		complain("there is a flow to %s", ip_text(&flow.reply_source));
	mode = V6;
	end_case();
}

static void path_suite(void)
{
	object = load_object(path->object);
	tables = open_tables(object);
	fill_tables(&tables);
	set_settings(&tables, 0, OTHER_COOKIE);
	for (mode = V4; mode <= V6; mode++) {
		for (size_t i = 0; i < COUNT(cases); i++)
			run_case(&cases[i]);
		choice_cases(&tables);
		setting_cases();
		foreign_tag_case();
		port_case();
		if (path->tags)
			continue;
		no_address_case();
		clash_case();
		shortage_cases(&tables);
	}
	mode = V6;
	extension_case();
	mapped_header_case();
	flush_conntrack();
	bpf_object__close(object);
}

void packet_suite(void)
{
	for (path = paths; path < paths + COUNT(paths); path++)
		path_suite();
}
