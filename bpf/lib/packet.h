/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * packet.h: does this packet start a flow, and which? Reads copies (bpf_skb_load_bytes), so headers outside the linear
 * part of an skb need no case of their own. tc ingress runs before defragmentation: only a first fragment has ports.
 */
#ifndef WEIR_LIB_PACKET_H
#define WEIR_LIB_PACKET_H

#include "address.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define IPV4_FRAGMENT_OFFSET bpf_htons(0x1fff)
#define IPV6_FRAGMENT_OFFSET bpf_htons(0xfff8)
/** More extension headers than this before TCP or UDP: left to the kernel. */
#define MAX_EXTENSIONS 6

/** The first packet of a flow, as it will be looked up. */
struct packet {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 reserved[3];
	/** Sequence number of a SYN. */
	__u32 sequence;
};

/** IPv6 fragment header, RFC 8200, 4.5. */
struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 identification;
};

/** `size` bytes of the packet, in place or in `copy`; NULL if it is shorter. */
static always_inline const void *header_at(struct __sk_buff *skb, __u32 offset, void *copy, __u32 size)
{
	void *in_place = (void *)(long)skb->data + offset;

	if (in_place + size <= (void *)(long)skb->data_end)
		return in_place;
	return bpf_skb_load_bytes(skb, offset, copy, size) == 0 ? copy : NULL;
}

/** Ports of a TCP SYN without ACK: no other segment starts a connection. */
static always_inline bool parse_tcp(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	struct tcphdr copy;
	const struct tcphdr *tcp = header_at(skb, offset, &copy, sizeof(copy));

	if (!tcp || !tcp->syn || tcp->ack || tcp->rst || tcp->fin)
		return false;
	packet->source_port = tcp->source;
	packet->destination_port = tcp->dest;
	packet->sequence = bpf_ntohl(tcp->seq);
	return true;
}

static always_inline bool parse_udp(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	struct udphdr copy;
	const struct udphdr *udp = header_at(skb, offset, &copy, sizeof(copy));

	if (!udp)
		return false;
	packet->source_port = udp->source;
	packet->destination_port = udp->dest;
	return true;
}

static always_inline bool parse_ports(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	if (packet->protocol == IPPROTO_TCP)
		return parse_tcp(skb, offset, packet);
	return packet->protocol == IPPROTO_UDP && parse_udp(skb, offset, packet);
}

static always_inline bool parse_v4(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	struct iphdr copy;
	const struct iphdr *ip = header_at(skb, offset, &copy, sizeof(copy));

	if (!ip || ip->version != 4 || ip->ihl < 5 || (ip->frag_off & IPV4_FRAGMENT_OFFSET))
		return false;
	packet->source = address_from_v4(ip->saddr);
	packet->destination = address_from_v4(ip->daddr);
	packet->protocol = ip->protocol;
	return parse_ports(skb, offset + ip->ihl * 4, packet);
}

/** Steps over one extension header; false where no upper header can follow, or it is not for us to read. */
static always_inline bool skip_extension(struct __sk_buff *skb, __u32 *offset, __u8 *next)
{
	struct ipv6_opt_hdr option;
	struct fragment_header fragment;

	switch (*next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		if (bpf_skb_load_bytes(skb, *offset, &option, sizeof(option)) != 0)
			return false;
		*offset += (option.hdrlen + 1) * 8;
		*next = option.nexthdr;
		return true;
	case IPPROTO_FRAGMENT:
		if (bpf_skb_load_bytes(skb, *offset, &fragment, sizeof(fragment)) != 0 ||
		    (fragment.offset & IPV6_FRAGMENT_OFFSET))
			return false;
		*offset += sizeof(fragment);
		*next = fragment.next;
		return true;
	default:
		return false;
	}
}

static always_inline bool parse_v6(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	struct ipv6hdr copy;
	const struct ipv6hdr *ip = header_at(skb, offset, &copy, sizeof(copy));

	if (!ip || ip->version != 6)
		return false;
	packet->source = address_from_v6(ip->saddr.in6_u.u6_addr32);
	packet->destination = address_from_v6(ip->daddr.in6_u.u6_addr32);
	/* IPv4-mapped addresses belong to no wire (RFC 4942, 2.2); here they would pass for IPv4. */
	if (address_is_v4(&packet->source) || address_is_v4(&packet->destination))
		return false;
	packet->protocol = ip->nexthdr;
	offset += sizeof(*ip);
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)
			break;
		if (!skip_extension(skb, &offset, &packet->protocol))
			return false;
	}
	return parse_ports(skb, offset, packet);
}

/** True: `packet` is filled, and is one that may start a flow. `offset` is where the IP header begins. */
static always_inline bool parse_packet(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return parse_v4(skb, offset, packet);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return parse_v6(skb, offset, packet);
	return false;
}

#endif
