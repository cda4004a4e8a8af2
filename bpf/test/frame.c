/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <string.h>

#define EXTENSION_BYTES	  8
#define MORE_FRAGMENTS_V4 0x2000
#define MORE_FRAGMENTS_V6 1
/** In units of 8 bytes. */
#define LATER_OFFSET 100

struct writer {
	unsigned char *at;
};

static void *put(struct writer *w, size_t size)
{
	unsigned char *place = w->at;

	memset(place, 0, size);
	w->at += size;
	return place;
}

static void put_be16(struct writer *w, __u16 value)
{
	value = htons(value);
	memcpy(put(w, sizeof(value)), &value, sizeof(value));
}

static void put_tag(struct writer *w, __u16 tag)
{
	put_be16(w, ETH_P_8021Q);
	put_be16(w, tag);
}

static void put_ethernet(struct writer *w, unsigned int shape)
{
	static const unsigned char ours[ETH_ALEN] = {2, 0, 0, 0, 0, 2}, others[ETH_ALEN] = {2, 0, 0, 0, 0, 9};

	memcpy(put(w, ETH_ALEN), shape & OTHER_HOST ? others : ours, ETH_ALEN);
	put(w, ETH_ALEN);
	if (shape & TAG_5)
		put_tag(w, 5);
	if (shape & TAG_0)
		put_tag(w, 3 << 13);
	if (shape & INNER_TAG)
		put_tag(w, 7);
	if (shape & ARP)
		put_be16(w, ETH_P_ARP);
	else
		put_be16(w, mode == V6 ? ETH_P_IPV6 : ETH_P_IP);
}

static void put_transport(struct writer *w, const struct frame *frame)
{
	struct tcphdr *tcp;
	struct udphdr *udp;

	if (frame->protocol == IPPROTO_TCP) {
		tcp = put(w, sizeof(*tcp));
		tcp->source = htons(frame->source_port);
		tcp->dest = htons(frame->destination_port);
		tcp->doff = sizeof(*tcp) / 4;
		tcp->syn = !(frame->shape & NO_SYN);
		tcp->ack = !!(frame->shape & (WITH_ACK | NO_SYN));
		tcp->window = htons(1000);
		tcp->seq = htonl(frame->shape & LATER_SEQUENCE ? 1000 : 0);
		return;
	}
	udp = put(w, sizeof(*udp));
	udp->source = htons(frame->source_port);
	udp->dest = htons(frame->destination_port);
	udp->len = htons(sizeof(*udp));
}

static size_t transport_size(const struct frame *frame)
{
	return frame->protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
}

static void put_v4(struct writer *w, const struct frame *frame)
{
	size_t options = frame->shape & EXTENDED ? EXTENSION_BYTES : 0;
	struct iphdr *header = put(w, sizeof(*header));

	header->version = 4;
	header->ihl = (sizeof(*header) + options) / 4;
	header->ttl = 64;
	header->protocol = frame->protocol;
	header->tot_len = htons(sizeof(*header) + options + transport_size(frame));
	header->frag_off = htons((frame->shape & FIRST_FRAGMENT ? MORE_FRAGMENTS_V4 : 0) |
				 (frame->shape & LATER_FRAGMENT ? LATER_OFFSET : 0));
	header->saddr = ip(frame->source).word[3];
	header->daddr = ip(frame->destination).word[3];
	memset(put(w, options), 1, options); /* IPOPT_NOOP */
}

/** A hop-by-hop or destination options header of 8 bytes: one PadN of 4. `next` is where the next header's number goes. */
static __u8 *put_extension(struct writer *w, __u8 *next, __u8 kind)
{
	__u8 *header = put(w, EXTENSION_BYTES);

	*next = kind;
	header[2] = 1;
	header[3] = 4;
	return header;
}

static __u8 *put_fragment(struct writer *w, __u8 *next, unsigned int shape)
{
	__u8 *header = put(w, EXTENSION_BYTES);
	__be16 offset = htons(shape & FIRST_FRAGMENT ? MORE_FRAGMENTS_V6 : LATER_OFFSET << 3);

	*next = IPPROTO_FRAGMENT;
	memcpy(header + 2, &offset, sizeof(offset));
	return header;
}

static void put_v6(struct writer *w, const struct frame *frame)
{
	struct ipv6hdr *header = put(w, sizeof(*header));
	struct address source = ip(frame->source), destination = ip(frame->destination);
	__u8 *next = &header->nexthdr;

	header->version = 6;
	header->hop_limit = 64;
	if (frame->shape & MAPPED_HEADER) {
		source = mapped(frame->source);
		destination = mapped(frame->destination);
	}
	memcpy(&header->saddr, &source, sizeof(source));
	memcpy(&header->daddr, &destination, sizeof(destination));
	if (frame->shape & EXTENDED) {
		next = put_extension(w, next, IPPROTO_HOPOPTS);
		next = put_extension(w, next, IPPROTO_DSTOPTS);
	}
	for (int i = 0; (frame->shape & MANY_EXTENSIONS) && i < 12; i++)
		next = put_extension(w, next, IPPROTO_DSTOPTS);
	if (frame->shape & (FIRST_FRAGMENT | LATER_FRAGMENT))
		next = put_fragment(w, next, frame->shape);
	*next = frame->protocol;
	header->payload_len = htons(w->at - (unsigned char *)(header + 1) + transport_size(frame));
}

size_t build_frame(const struct frame *frame, unsigned char *into)
{
	struct writer w = {into};
	unsigned char *network;

	if (!(frame->shape & NO_ETHERNET))
		put_ethernet(&w, frame->shape);
	network = w.at;
	if (mode == V6)
		put_v6(&w, frame);
	else
		put_v4(&w, frame);
	if (frame->shape & CUT_IN_IP)
		return network + sizeof(struct iphdr) - 4 - into;
	if (frame->shape & CUT_IN_PORTS)
		return w.at + 2 - into;
	put_transport(&w, frame);
	return w.at - into;
}
