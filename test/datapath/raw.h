/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* raw.h: packets past the kernel's sockets, in and out. */
#ifndef WEIR_TEST_RAW_H
#define WEIR_TEST_RAW_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t length_of(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

static union address parse_address(const char *text)
{
	union address address = {};

	address.any.sa_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(address.any.sa_family, text,
		      address.any.sa_family == AF_INET ? (void *)&address.v4.sin_addr : (void *)&address.v6.sin6_addr) != 1)
		fail("read an address");
	return address;
}

static inline const char *text_of(const union address *address, char *text)
{
	const void *bits = address->any.sa_family == AF_INET ? (void *)&address->v4.sin_addr : (void *)&address->v6.sin6_addr;

	return inet_ntop(address->any.sa_family, bits, text, INET6_ADDRSTRLEN);
}

static int open_raw(int family, int protocol)
{
	int fd = socket(family, SOCK_RAW, protocol), on = 1;

	if (fd < 0)
		fail("open a raw socket");
	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	return fd;
}

static long now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/** The transport header of a packet as a raw socket delivers it, with where it came from and was sent to; NULL for none. */
static void *receive(int fd, int flags, void *buffer, size_t *bytes, union address *from, union address *to)
{
	char control[512];
	struct iovec part = {buffer, *bytes};
	struct msghdr message = {from, sizeof(*from), &part, 1, control, sizeof(control), 0};
	ssize_t length = recvmsg(fd, &message, flags);
	size_t header = 0;

	if (length < 0)
		return NULL;
	for (struct cmsghdr *item = CMSG_FIRSTHDR(&message); item; item = CMSG_NXTHDR(&message, item)) {
		if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
			to->v4.sin_family = AF_INET;
			to->v4.sin_addr = ((struct in_pktinfo *)CMSG_DATA(item))->ipi_addr;
			if (!(flags & MSG_ERRQUEUE))
				header = ((struct ip *)buffer)->ip_hl * 4;
		}
		if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
			to->v6.sin6_family = AF_INET6;
			to->v6.sin6_addr = ((struct in6_pktinfo *)CMSG_DATA(item))->ipi6_addr;
		}
		if (item->cmsg_level == IPPROTO_IP || item->cmsg_level == IPPROTO_IPV6)
			if (item->cmsg_type == IP_RECVERR || item->cmsg_type == IPV6_RECVERR)
				errno = ((struct sock_extended_err *)CMSG_DATA(item))->ee_errno;
	}
	*bytes = length - header;
	return (char *)buffer + header;
}

static inline void ask_for_errors(int fd, int family)
{
	int on = 1;

	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
}

/** Sum of 16-bit words, as ICMP and TCP have it. */
static uint32_t sum_of(const void *words, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes / 2; i++)
		sum += ((const uint16_t *)words)[i];
	return (sum & 0xffff) + (sum >> 16);
}

#endif
