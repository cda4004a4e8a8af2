/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * speaker.c: packets for tests that no socket of the kernel at hand makes. It speaks as much SCTP as tells who answers whom (INIT and
 * INIT ACK, RFC 9260, 3.3.2 and 3.3.3), and sends TCP segments that lie outside the window.
 *
 *   speaker serve NAME PORT                      answers INITs to a port, on every address; the answer's cookie says who and to whom
 *   speaker dial ADDRESS PORT SOURCE_PORT MS     sends an INIT and says what came back
 *   speaker ping ADDRESS MS                      sends an ICMP echo request and says what came back
 *   speaker stray ADDRESS PORT MS                sends a stray segment to the first TCP client of a server here, says if a reset came
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
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

#define CHUNK_INIT 1
#define CHUNK_INIT_ACK 2
#define PARAMETER_COOKIE 7
#define INITIATE_TAG 0x77656972
#define MAX_TEXT 120

/** An SCTP packet with one INIT or INIT ACK, and in the latter a cookie. */
struct __attribute__((packed)) handshake {
	uint16_t source_port, destination_port;
	uint32_t tag, checksum;
	uint8_t type, flags;
	uint16_t length;
	uint32_t initiate_tag, window;
	uint16_t streams_out, streams_in;
	uint32_t first_tsn;
	uint16_t cookie_type, cookie_length;
	char cookie[MAX_TEXT];
};

#define INIT_BYTES offsetof(struct handshake, cookie_type)

static void fail(const char *what)
{
	fprintf(stderr, "Cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

/** CRC32c of a packet whose checksum field counts as zero (RFC 9260, appendix A). */
static uint32_t checksum_of(struct handshake packet, size_t bytes)
{
	const uint8_t *byte = (const uint8_t *)&packet;
	uint32_t sum = ~0u;

	packet.checksum = 0;
	for (size_t i = 0; i < bytes; i++) {
		sum ^= byte[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78 : 0);
	}
	return ~sum;
}

static struct handshake packet_of(uint8_t type, uint16_t source_port, uint16_t destination_port, uint32_t tag)
{
	return (struct handshake){
		.source_port = htons(source_port),
		.destination_port = htons(destination_port),
		.tag = tag,
		.type = type,
		.length = htons(INIT_BYTES - 12),
		.initiate_tag = htonl(INITIATE_TAG),
		.window = htonl(65536),
		.streams_out = htons(1),
		.streams_in = htons(1),
		.first_tsn = htonl(1),
	};
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

static const char *text_of(const union address *address, char *text)
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

static void answer(int fd, const char *name, uint16_t port)
{
	char buffer[2048], client[INET6_ADDRSTRLEN];
	size_t bytes = sizeof(buffer);
	union address from = {}, to = {};
	struct handshake *asked = receive(fd, 0, buffer, &bytes, &from, &to), said;
	int reply;

	if (!asked || bytes < INIT_BYTES || asked->type != CHUNK_INIT || ntohs(asked->destination_port) != port ||
	    asked->checksum != checksum_of(*asked, bytes < sizeof(said) ? bytes : sizeof(said)))
		return;
	said = packet_of(CHUNK_INIT_ACK, port, ntohs(asked->source_port), asked->initiate_tag);
	snprintf(said.cookie, sizeof(said.cookie), "%s %s %d", name, text_of(&from, client), ntohs(asked->source_port));
	said.cookie_type = htons(PARAMETER_COOKIE);
	said.cookie_length = htons(sizeof(said.cookie) + 4);
	said.length = htons(sizeof(said) - 12);
	said.checksum = checksum_of(said, sizeof(said));
	from.v6.sin6_port = 0;
	reply = open_raw(from.any.sa_family, IPPROTO_SCTP);
	if (bind(reply, &to.any, length_of(&to)) == 0)
		sendto(reply, &said, sizeof(said), 0, &from.any, length_of(&from));
	close(reply);
}

static void serve(const char *name, uint16_t port)
{
	struct pollfd sockets[] = {{open_raw(AF_INET, IPPROTO_SCTP), POLLIN, 0}, {open_raw(AF_INET6, IPPROTO_SCTP), POLLIN, 0}};

	printf("ready\n");
	fflush(stdout);
	while (poll(sockets, 2, -1) > 0)
		for (int i = 0; i < 2; i++)
			if (sockets[i].revents)
				answer(sockets[i].fd, name, port);
}

/** Prints what one packet or ICMP error says about our INIT; false if it is about something else. */
static bool hear(int fd, int flags, uint16_t source_port)
{
	char buffer[2048];
	size_t bytes = sizeof(buffer);
	union address from = {}, to = {};
	struct handshake *heard;

	errno = 0;
	heard = receive(fd, flags, buffer, &bytes, &from, &to);
	if (!heard || bytes < 12)
		return false;
	if (flags & MSG_ERRQUEUE) {
		if (ntohs(heard->source_port) != source_port)
			return false;
		printf("%s\n", errno == ECONNREFUSED ? "refused" : strerror(errno));
		return true;
	}
	if (ntohs(heard->destination_port) != source_port || bytes != sizeof(*heard) || heard->type != CHUNK_INIT_ACK ||
	    heard->tag != htonl(INITIATE_TAG) || heard->checksum != checksum_of(*heard, bytes))
		return false;
	printf("answered %.*s\n", MAX_TEXT, heard->cookie);
	return true;
}

static void ask_for_errors(int fd, int family)
{
	int on = 1;

	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
}

static void dial(const char *address_text, uint16_t port, uint16_t source_port, long ms)
{
	union address address = parse_address(address_text);
	int fd = open_raw(address.any.sa_family, IPPROTO_SCTP);
	struct handshake init = packet_of(CHUNK_INIT, source_port, port, 0);
	long end = now_ms() + ms;

	init.checksum = checksum_of(init, INIT_BYTES);
	ask_for_errors(fd, address.any.sa_family);
	if (connect(fd, &address.any, length_of(&address)) != 0)
		fail("connect");
	if (send(fd, &init, INIT_BYTES, 0) < 0 && errno == EPERM)
		printf("EPERM ");
	for (long left = ms; left > 0; left = end - now_ms()) {
		struct pollfd wait = {fd, POLLIN, 0};

		if (poll(&wait, 1, left) <= 0)
			break;
		if (wait.revents & POLLERR && hear(fd, MSG_ERRQUEUE, source_port))
			return;
		if (wait.revents & POLLIN && hear(fd, MSG_DONTWAIT, source_port))
			return;
	}
	printf("timeout\n");
}

/** Sum of 16-bit words, as ICMP and TCP have it. */
static uint32_t sum_of(const void *words, size_t bytes)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes / 2; i++)
		sum += ((const uint16_t *)words)[i];
	return (sum & 0xffff) + (sum >> 16);
}

static void ping(const char *address_text, long ms)
{
	union address address = parse_address(address_text);
	int family = address.any.sa_family, fd = open_raw(family, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	uint16_t echo[4] = {htons((family == AF_INET ? 8 : 128) << 8), 0, htons(1), htons(1)};
	struct pollfd wait = {fd, 0, 0};
	char buffer[2048];
	size_t bytes = sizeof(buffer);
	union address from, to;

	echo[1] = ~sum_of(echo, sizeof(echo));
	ask_for_errors(fd, family);
	if (connect(fd, &address.any, length_of(&address)) != 0)
		fail("connect");
	if (send(fd, echo, sizeof(echo), 0) < 0 && errno == EPERM)
		printf("EPERM ");
	if (poll(&wait, 1, ms) > 0 && receive(fd, MSG_ERRQUEUE, buffer, &bytes, &from, &to))
		printf("%s\n", errno == ECONNREFUSED ? "refused" : strerror(errno));
	else
		printf("timeout\n");
}

static uint16_t tcp_checksum(const union address *from, const union address *to, const void *segment, size_t bytes)
{
	struct {
		uint32_t address[8], length, next;
	} pseudo = {.length = htonl(bytes), .next = htonl(IPPROTO_TCP)};
	bool is_v4 = from->any.sa_family == AF_INET;
	uint32_t sum;

	memcpy(pseudo.address, is_v4 ? (void *)&from->v4.sin_addr : (void *)&from->v6.sin6_addr, is_v4 ? 4 : 16);
	memcpy(pseudo.address + 4, is_v4 ? (void *)&to->v4.sin_addr : (void *)&to->v6.sin6_addr, is_v4 ? 4 : 16);
	sum = sum_of(&pseudo, sizeof(pseudo)) + sum_of(segment, bytes);
	return ~((sum & 0xffff) + (sum >> 16));
}

/** As the server would, but far beyond the client's window (what lies before it conntrack lets pass since Linux 6.1, tcp_in_window()); a reset that answers it has the number that it acknowledges. */
static uint32_t send_stray(int fd, const union address *server, const union address *client, const struct tcphdr *seen)
{
	struct {
		struct tcphdr header;
		char text[8];
	} stray = {.text = "stray"};

	stray.header.source = seen->dest;
	stray.header.dest = seen->source;
	stray.header.seq = htonl(ntohl(seen->ack_seq) + 100000000);
	stray.header.ack_seq = htonl(ntohl(seen->seq) - 1000);
	stray.header.doff = sizeof(stray.header) / 4;
	stray.header.psh = stray.header.ack = 1;
	stray.header.window = seen->window;
	stray.header.check = tcp_checksum(server, client, &stray, sizeof(stray));
	if (sendto(fd, &stray, sizeof(stray), 0, &client->any, length_of(client)) < 0)
		fail("send a stray segment");
	return stray.header.ack_seq;
}

static void stray(const char *address_text, uint16_t port, long ms)
{
	union address server = parse_address(address_text), client = {};
	int fd = open_raw(server.any.sa_family, IPPROTO_TCP);
	long end = now_ms() + ms;
	const char *outcome = "nobody came";
	uint32_t acknowledged = 0;

	if (bind(fd, &server.any, length_of(&server)) != 0)
		fail("bind");
	printf("ready\n");
	fflush(stdout);
	for (long left = ms; left > 0; left = end - now_ms()) {
		struct pollfd wait = {fd, POLLIN, 0};
		union address from = {}, to = {};
		char buffer[2048];
		size_t bytes = sizeof(buffer);
		struct tcphdr *seen;

		if (poll(&wait, 1, left) <= 0)
			break;
		seen = receive(fd, 0, buffer, &bytes, &from, &to);
		if (!seen || bytes < sizeof(*seen) || ntohs(seen->dest) != port || seen->syn)
			continue;
		from.v6.sin6_port = 0;
		if (client.any.sa_family == 0 && seen->ack) {
			client = from;
			acknowledged = send_stray(fd, &server, &client, seen);
			outcome = "no reset";
		} else if (seen->rst && seen->seq == acknowledged) {
			outcome = "reset";
			break;
		}
	}
	printf("%s\n", outcome);
}

int main(int count, char **arguments)
{
	if (count == 4 && strcmp(arguments[1], "serve") == 0)
		serve(arguments[2], atoi(arguments[3]));
	else if (count == 6 && strcmp(arguments[1], "dial") == 0)
		dial(arguments[2], atoi(arguments[3]), atoi(arguments[4]), atol(arguments[5]));
	else if (count == 4 && strcmp(arguments[1], "ping") == 0)
		ping(arguments[2], atol(arguments[3]));
	else if (count == 5 && strcmp(arguments[1], "stray") == 0)
		stray(arguments[2], atoi(arguments[3]), atol(arguments[4]));
	else
		return 2;
	return 0;
}
