/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* conntrack.c: what the conntrack command shows, so the tests see what an administrator would. */
#include "test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *protocol_name(const struct frame *frame)
{
	return frame->protocol == IPPROTO_TCP ? "tcp" : "udp";
}

static struct address parse_address(const char *text)
{
	struct address address;
	char mapped[64];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	if (inet_pton(AF_INET6, mapped, &address) != 1)
		die("Cannot parse address \"%s\" of conntrack -G", text);
	return address;
}

/** Value of the `occurrence`th NAME=VALUE of a line; "" if there is none. */
static const char *field(const char *line, const char *name, int occurrence)
{
	static char value[64];
	const char *at = line;

	value[0] = 0;
	while ((at = strstr(at, name))) {
		at += strlen(name);
		if (occurrence-- == 0) {
			sscanf(at, "%63s", value);
			break;
		}
	}
	return value;
}

bool find_conntrack(const struct frame *frame, struct flow *into)
{
	char line[1024];
	FILE *list;

	snprintf(line, sizeof(line), "conntrack -G -p %s --orig-src %s --orig-dst %s --sport %d --dport %d 2>/dev/null",
		 protocol_name(frame), twin(frame->source), twin(frame->destination), frame->source_port,
		 frame->destination_port);
	list = popen(line, "r");
	if (!list)
		die("Cannot run conntrack");
	line[0] = 0;
	if (!fgets(line, sizeof(line), list))
		line[0] = 0;
	pclose(list);
	if (!line[0])
		return false;
	into->source = parse_address(field(line, " src=", 0));
	into->destination = parse_address(field(line, " dst=", 0));
	into->source_port = atoi(field(line, " sport=", 0));
	into->destination_port = atoi(field(line, " dport=", 0));
	into->reply_source = parse_address(field(line, " src=", 1));
	into->reply_destination = parse_address(field(line, " dst=", 1));
	into->reply_source_port = atoi(field(line, " sport=", 1));
	into->reply_destination_port = atoi(field(line, " dport=", 1));
	into->mark = strtoul(field(line, " mark=", 0), NULL, 0);
	return true;
}

void flush_conntrack(void)
{
	run("conntrack -F 2>/dev/null");
}

void insert_conntrack(const struct frame *frame, const char *state, enum old_entry kind)
{
	const struct frame answered = {frame->destination, frame->source,   frame->destination_port,
				       frame->source_port, frame->protocol, PLAIN};
	const struct frame *as = kind == ANSWERED ? &answered : frame;
	char more[64] = "";

	if (kind == TRANSLATED)
		snprintf(more, sizeof(more), "--dst-nat %s", twin("10.0.2.99"));
	if (kind == MARKED)
		snprintf(more, sizeof(more), "--mark 0x%x", CONNTRACK_MARK);
	run("conntrack -I -p %s -s %s -d %s --sport %d --dport %d -t 60 %s %s %s >/dev/null 2>&1", protocol_name(frame),
	    twin(as->source), twin(as->destination), as->source_port, as->destination_port,
	    frame->protocol == IPPROTO_TCP ? "--state" : "", frame->protocol == IPPROTO_TCP ? state : "", more);
}
