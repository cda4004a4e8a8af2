/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define BUFFERS 8

static char *buffer(void)
{
	static char buffers[BUFFERS][64];
	static int next;

	return buffers[next++ % BUFFERS];
}

static struct in6_addr twin_of(const char *v4)
{
	struct in6_addr address;
	char text[64];

	if (strcmp(v4, "127.0.0.1") == 0)
		return in6addr_loopback;
	if (strcmp(v4, "0.0.0.0") == 0)
		return in6addr_any;
	snprintf(text, sizeof(text), "fd00::%s", v4);
	if (inet_pton(AF_INET6, text, &address) != 1)
		die("Cannot parse address \"%s\"", v4);
	return address;
}

struct address mapped(const char *v4)
{
	struct address address = {.word = {0, 0, htonl(0xffff), 0}};

	if (inet_pton(AF_INET, v4, &address.word[3]) != 1)
		die("Cannot parse address \"%s\"", v4);
	return address;
}

struct address ip(const char *v4)
{
	struct address address;
	struct in6_addr v6;

	if (mode != V6)
		return mapped(v4);
	v6 = twin_of(v4);
	memcpy(&address, &v6, sizeof(address));
	return address;
}

const char *ip_text(const struct address *address)
{
	bool v4 = !address->word[0] && !address->word[1] && address->word[2] == htonl(0xffff);

	return inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? (const void *)&address->word[3] : address, buffer(), 64);
}

const char *twin(const char *v4)
{
	struct address address = ip(v4);

	return ip_text(&address);
}

socklen_t socket_address(const char *v4, int port, struct sockaddr_storage *into)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)into;
	struct sockaddr_in *in = (struct sockaddr_in *)into;
	struct address address = ip(v4);

	memset(into, 0, sizeof(*into));
	if (mode == V4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = address.word[3];
		return sizeof(*in);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, &address, sizeof(address));
	return sizeof(*v6);
}

const char *socket_text(const struct sockaddr_storage *address)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	char text[INET6_ADDRSTRLEN];
	char *result = buffer();

	if (address->ss_family == AF_INET)
		snprintf(result, 64, "%s %d", inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)),
			 ntohs(in->sin_port));
	else
		snprintf(result, 64, "%s %d", inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text)),
			 ntohs(v6->sin6_port));
	return result;
}

const char *expected_text(const char *v4, int port)
{
	struct sockaddr_storage address;

	socket_address(v4, port, &address);
	return socket_text(&address);
}
