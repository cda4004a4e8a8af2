/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * speaker.c: SCTP without sockets, enough of it to show which host answers (INIT and INIT ACK, RFC 9260, 3.3.2 and 3.3.3), and a ping
 * that says who refuses it.
 *
 *   speaker serve NAME PORT                               answers INITs to a port, on every address; the answer's cookie names the server and the client
 *   speaker dial ADDRESS PORT SOURCE_PORT MS [SOURCE]     sends an INIT, from an address, and says what came back
 *   speaker ping ADDRESS MS                               sends an ICMP echo request and says what came back
 */
#include "raw.h"

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
		printf("%s\n", errno == ECONNREFUSED || errno == ENOPROTOOPT ? "refused" : strerror(errno));
		return true;
	}
	if (ntohs(heard->destination_port) != source_port || bytes != sizeof(*heard) || heard->type != CHUNK_INIT_ACK ||
	    heard->tag != htonl(INITIATE_TAG) || heard->checksum != checksum_of(*heard, bytes))
		return false;
	printf("answered %.*s\n", MAX_TEXT, heard->cookie);
	return true;
}

static void bind_to(int fd, const char *source_text)
{
	union address source = parse_address(source_text);

	if (bind(fd, &source.any, length_of(&source)) != 0)
		fail("bind");
}

static void dial(const char *address_text, uint16_t port, uint16_t source_port, long ms, const char *source_text)
{
	union address address = parse_address(address_text);
	int fd = open_raw(address.any.sa_family, IPPROTO_SCTP);
	struct handshake init = packet_of(CHUNK_INIT, source_port, port, 0);
	long end = now_ms() + ms;

	init.checksum = checksum_of(init, INIT_BYTES);
	ask_for_errors(fd, address.any.sa_family);
	if (source_text)
		bind_to(fd, source_text);
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

int main(int count, char **arguments)
{
	if (count == 4 && strcmp(arguments[1], "serve") == 0)
		serve(arguments[2], atoi(arguments[3]));
	else if ((count == 6 || count == 7) && strcmp(arguments[1], "dial") == 0)
		dial(arguments[2], atoi(arguments[3]), atoi(arguments[4]), atol(arguments[5]), arguments[6]);
	else if (count == 4 && strcmp(arguments[1], "ping") == 0)
		ping(arguments[2], atol(arguments[3]));
	else
		return 2;
	return 0;
}
