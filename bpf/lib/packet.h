/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * packet.h: does this packet start a flow, and which? Reads copies from the network header on, so neither the kind of a device
 * nor headers outside the linear part of an skb need a case of their own. tc ingress runs before defragmentation: only a first
 * fragment has ports.
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

/**
 * Bytes of the packet before its network header. tc ingress shows a packet from its MAC header on, and the kernel has set both
 * headers before (net/core/dev.c, __netif_receive_skb_core). Between them is an Ethernet header, or nothing (IPIP, TUN), or
 * the outer headers (multipoint GRE: net/ipv4/ip_gre.c, __ipgre_rcv), or a MAC header that IPsec moved up (VTI and xfrm
 * devices: skb_mac_header_rebuild), or the pseudo header of IPoIB: the type of the device does not say.
 */
static always_inline __u32 link_headers_size(struct __sk_buff *skb)
{
	const struct sk_buff *buffer = (const void *)skb;

	return (__u16)(BPF_CORE_READ(buffer, network_header) - BPF_CORE_READ(buffer, mac_header));
}

/**
 * Copies `size` bytes from `offset` behind the network header; false if the packet is shorter. The first call reads the linear
 * part only, and costs less.
 */
static always_inline bool load_header(struct __sk_buff *skb, __u32 offset, void *into, __u32 size)
{
	return bpf_skb_load_bytes_relative(skb, offset, into, size, BPF_HDR_START_NET) == 0 ||
	       bpf_skb_load_bytes(skb, link_headers_size(skb) + offset, into, size) == 0;
}

/** Ports of a TCP SYN without ACK: no other segment starts a connection. */
static always_inline bool parse_tcp(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	struct tcphdr tcp;

	if (!load_header(skb, offset, &tcp, sizeof(tcp)) || !tcp.syn || tcp.ack || tcp.rst || tcp.fin)
		return false;
	packet->source_port = tcp.source;
	packet->destination_port = tcp.dest;
	packet->sequence = bpf_ntohl(tcp.seq);
	return true;
}

static always_inline bool parse_udp(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	struct udphdr udp;

	if (!load_header(skb, offset, &udp, sizeof(udp)))
		return false;
	packet->source_port = udp.source;
	packet->destination_port = udp.dest;
	return true;
}

static always_inline bool parse_ports(struct __sk_buff *skb, __u32 offset, struct packet *packet)
{
	if (packet->protocol == IPPROTO_TCP)
		return parse_tcp(skb, offset, packet);
	return packet->protocol == IPPROTO_UDP && parse_udp(skb, offset, packet);
}

static always_inline bool parse_v4(struct __sk_buff *skb, struct packet *packet)
{
	struct iphdr ip;

	if (!load_header(skb, 0, &ip, sizeof(ip)))
		return false;
	if (ip.version != 4 || ip.ihl < 5 || (ip.frag_off & IPV4_FRAGMENT_OFFSET))
		return false;
	packet->source = address_from_v4(ip.saddr);
	packet->destination = address_from_v4(ip.daddr);
	packet->protocol = ip.protocol;
	return parse_ports(skb, ip.ihl * 4, packet);
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
		if (!load_header(skb, *offset, &option, sizeof(option)))
			return false;
		*offset += (option.hdrlen + 1) * 8;
		*next = option.nexthdr;
		return true;
	case IPPROTO_FRAGMENT:
		if (!load_header(skb, *offset, &fragment, sizeof(fragment)) || (fragment.offset & IPV6_FRAGMENT_OFFSET))
			return false;
		*offset += sizeof(fragment);
		*next = fragment.next;
		return true;
	default:
		return false;
	}
}

static always_inline bool parse_v6(struct __sk_buff *skb, struct packet *packet)
{
	__u32 offset = sizeof(struct ipv6hdr);
	struct ipv6hdr ip;

	if (!load_header(skb, 0, &ip, sizeof(ip)) || ip.version != 6)
		return false;
	packet->source = address_from_v6(ip.saddr.in6_u.u6_addr32);
	packet->destination = address_from_v6(ip.daddr.in6_u.u6_addr32);
	/* IPv4-mapped addresses belong to no wire (RFC 4942, 2.2); here they would pass for IPv4. */
	if (address_is_v4(&packet->source) || address_is_v4(&packet->destination))
		return false;
	packet->protocol = ip.nexthdr;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)
			break;
		if (!skip_extension(skb, &offset, &packet->protocol))
			return false;
	}
	return parse_ports(skb, offset, packet);
}

/** True: `packet` is filled, and is one that may start a flow. */
static always_inline bool parse_packet(struct __sk_buff *skb, struct packet *packet)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return parse_v4(skb, packet);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return parse_v6(skb, packet);
	return false;
}

#endif
