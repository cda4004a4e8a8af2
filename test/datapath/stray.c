/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * stray.c: a TCP segment that lies outside the window.
 *
 *   stray ADDRESS PORT MS    sends one to the first client that a TCP server here gets, and says if a reset came back
 */
#include "raw.h"

#include <netinet/tcp.h>

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
	const char *outcome = "no client came";
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
	if (count != 4)
		return 2;
	stray(arguments[1], atoi(arguments[2]), atol(arguments[3]));
	return 0;
}
