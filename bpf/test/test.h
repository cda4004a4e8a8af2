/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * test.h: the parts of the datapath's own tests. Everything happens in a network namespace, in unpinned maps and in a cgroup
 * of our own. Every case runs for each family: addresses are written as IPv4, and IPv6 cases use the twin of each, so that
 * 10.0.1.10 is also fd00::10.0.1.10.
 */
#ifndef WEIR_TEST_H
#define WEIR_TEST_H

#include <linux/types.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "../abi/types.h"

/** Of 8 backends each is met by so many random choices, but for one run in 10^16. */
#define MANY_CHOICES 300

/** No counter may move. */
#define NOTHING OUTCOME_COUNT

#define CONNTRACK_MARK 0x200

enum address_mode {
	V4,
	V6,
	/** IPv4-mapped addresses on an IPv6 socket; packets know no such thing. */
	MAPPED,
};

extern enum address_mode mode;
extern const char *const mode_names[];

/* report.c: one line a case, and the count at the end. */

/** Starts a case; what follows belongs to it. */
void begin_case(const char *name);
/** Reports a failure of the case; prints the first one, the case has failed. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool case_failed(void);
void end_case(void);
/** Prints the case as not tried on this machine. */
void skip_case(const char *why);
/** Prints the count; exit status of the program. */
int finish(void);
/** Ends the program: the test itself cannot go on. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* address.c */

/** The table form of an address in the current mode. */
struct address ip(const char *v4);
/** Its IPv4-mapped form, in every mode. */
struct address mapped(const char *v4);
/** Text of a table address, in one of a few static buffers. */
const char *ip_text(const struct address *address);
/** Text of the current mode's form of an IPv4 address, as commands take it. */
const char *twin(const char *v4);
/** The socket address of the current mode. */
socklen_t socket_address(const char *v4, int port, struct sockaddr_storage *into);
/** The same as text, `address port`. */
const char *socket_text(const struct sockaddr_storage *address);
const char *expected_text(const char *v4, int port);

/* world.c */

/** A network namespace of our own, with devices, routes and table `inet weir` for all suites. */
void make_world(void);
/** From here on this process is in a pod's network namespace; the one before is its node's. */
void enter_pod(void);
/** Cookies of the network namespaces of this process, and of its node. */
__u64 own_netns_cookie(void);
__u64 node_netns_cookie(void);
/** Interface index, on the node, of the device that leads to the pod. */
__u32 pod_link_index(void);
/** Runs a command; the program ends if it fails. */
void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
__u32 device_index(const char *name);
/** Where the compiled programs are. */
extern const char *object_folder;
/** Loads NAME.bpf.o with fresh maps. */
struct bpf_object *load_object(const char *name);
int program_of(struct bpf_object *object, const char *name);

/* tables.c: the Services that all cases dial. */

/** Tables of one loaded object. */
struct tables {
	int addresses, frontends, slots, backends, source_ranges, local_nets, devices, settings, counters, affinity,
		shortages, service_counts, udp_senders;
};

struct tables open_tables(struct bpf_object *object);
/** Writes the Services of tables.c for both families, node addresses, ranges, devices and settings. */
void fill_tables(const struct tables *tables);
void set_settings(const struct tables *tables, __u32 flags, __u64 cookie);
/** DEVICE_* bits of the node's device that leads to the pod. */
void set_pod_link_flags(const struct tables *tables, __u32 flags);
/** Settings of a node without known addresses. */
void forget_node_addresses(const struct tables *tables);
/** Changes the flags of every backend of a Service in the current mode; 0 = gone. */
void set_backend_flags(const struct tables *tables, __u32 service, __u32 flags);
void remove_frontend(const struct tables *tables, const char *address, int port, int protocol);
/** Remembers all counters. */
void mark_counters(const struct tables *tables);
/** Complains unless exactly these two moved, by one each, since mark_counters(); NOTHING for none. */
void expect_counters(const struct tables *tables, enum outcome outcome, enum outcome also);
/** How far one counter moved since mark_counters(). */
__u64 counter_moved(const struct tables *tables, enum outcome outcome);

/* frame.c */

enum shape {
	/** A TCP SYN, or a UDP datagram. */
	PLAIN = 0,
	WITH_ACK = 1,
	/** A TCP segment without SYN. */
	NO_SYN = 2,
	FIRST_FRAGMENT = 4,
	LATER_FRAGMENT = 8,
	/** IPv4 options, or IPv6 hop-by-hop and destination options. */
	EXTENDED = 16,
	CUT_IN_IP = 32,
	CUT_IN_PORTS = 64,
	/** A VLAN tag inside the frame, as the inner one of two. */
	INNER_TAG = 128,
	OTHER_HOST = 256,
	/** No Ethernet header. */
	NO_ETHERNET = 512,
	/** Outer VLAN tags, for frames on a wire: number 5, and number 0 (a priority only). */
	TAG_5 = 1024,
	TAG_0 = 2048,
	/** More extension headers than anybody needs. */
	MANY_EXTENSIONS = 4096,
	ARP = 8192,
	/** Addresses of IPv4 in the IPv6 header, in their IPv4-mapped form: no host may send that. */
	MAPPED_HEADER = 16384,
	/** A TCP sequence number other than 0. */
	LATER_SEQUENCE = 32768,
};

struct frame {
	const char *source, *destination;
	int source_port, destination_port, protocol;
	unsigned int shape;
};

/** Bytes of a frame in the current mode; returns their number. */
size_t build_frame(const struct frame *frame, unsigned char *into);

/* conntrack.c */

struct flow {
	struct address source, destination, reply_source, reply_destination;
	int source_port, destination_port, reply_source_port, reply_destination_port;
	unsigned long mark;
};

/** The first conntrack entry that frame started; false if there is none. */
bool find_conntrack(const struct frame *frame, struct flow *into);
void flush_conntrack(void);
/** An entry that is there before a frame. */
enum old_entry {
	/** To another backend. */
	TRANSLATED,
	/** No program acted on it. */
	UNTRANSLATED,
	/** The same, with our mark: to a backend that has the very address dialled. */
	MARKED,
	/** Untranslated, and the frame is the answer in it. */
	ANSWERED,
};
/** `state` for TCP only. */
void insert_conntrack(const struct frame *frame, const char *state, enum old_entry kind);

/* The suites. */

void packet_suite(void);
void wire_suite(void);
void socket_suite(void);

#endif
