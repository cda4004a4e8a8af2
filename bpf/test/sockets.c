/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS  10000
#define UDP_PORT     5353
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const addresses[] = {"10.0.1.1",  "10.0.1.2",  "10.0.1.3", "10.0.1.4",  "10.0.1.5",
					"10.0.1.6",  "10.0.1.7",  "10.0.1.8", "10.0.1.10", "10.0.1.11",
					"10.0.1.12", "10.0.1.13", "10.0.1.14"};
static const int tcp_ports[] = {8080, 8085};

/** UDP sockets of IPv4 addresses first, then of their IPv6 twins. */
static struct pollfd udp_servers[2 * COUNT(addresses)];
static int tcp_servers[COUNT(tcp_ports)];

static void open_udp_server(struct pollfd *server, const char *at)
{
	struct sockaddr_storage address;
	socklen_t size = socket_address(at, UDP_PORT, &address);

	server->events = POLLIN;
	server->fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (bind(server->fd, (struct sockaddr *)&address, size) != 0)
		die("Cannot serve UDP at %s", at);
}

/** One server for all addresses of both families. */
static int open_tcp_server(int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int server = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(server, (struct sockaddr *)&any, sizeof(any)) != 0 || listen(server, 100) != 0)
		die("Cannot serve TCP port %d", port);
	return server;
}

void open_servers(void)
{
	struct pollfd *server = udp_servers;

	for (mode = V4; mode <= V6; mode++)
		for (size_t i = 0; i < COUNT(addresses); i++) {
			run("ip address replace %s dev lo %s", twin(addresses[i]), mode == V6 ? "nodad" : "");
			open_udp_server(server++, addresses[i]);
		}
	for (size_t i = 0; i < COUNT(tcp_ports); i++)
		tcp_servers[i] = open_tcp_server(tcp_ports[i]);
}

void close_servers(void)
{
	for (size_t i = 0; i < COUNT(udp_servers); i++)
		close(udp_servers[i].fd);
	for (size_t i = 0; i < COUNT(tcp_ports); i++)
		close(tcp_servers[i]);
}

int open_client(int type)
{
	return socket(mode == V4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK, 0);
}

/** What a connect that went on in the background came to. */
static int background_error(int client)
{
	struct pollfd wait = {.fd = client, .events = POLLOUT};
	socklen_t size = sizeof(int);
	int error = ETIMEDOUT;

	if (poll(&wait, 1, 100) == 1)
		getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &size);
	return error;
}

int connect_to(int client, const char *address, int port)
{
	struct sockaddr_storage to;
	socklen_t size = socket_address(address, port, &to);

	if (connect(client, (struct sockaddr *)&to, size) == 0)
		return 0;
	return errno == EINPROGRESS ? background_error(client) : errno;
}

int send_to(int client, const char *address, int port)
{
	struct sockaddr_storage to;
	socklen_t size = socket_address(address, port, &to);

	return sendto(client, "?", 1, 0, (struct sockaddr *)&to, size) == 1 ? 0 : errno;
}

const char *peer_of(int socket)
{
	struct sockaddr_storage peer = {};
	socklen_t size = sizeof(peer);

	return getpeername(socket, (struct sockaddr *)&peer, &size) == 0 ? socket_text(&peer) : "no peer";
}

/** Address of our end, as the current mode writes it: the servers of TCP are IPv6 sockets for both families. */
static const char *own_address(int socket)
{
	struct sockaddr_storage own = {}, plain;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&own;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&plain;
	socklen_t size = sizeof(own);

	getsockname(socket, (struct sockaddr *)&own, &size);
	if (mode == V4 && own.ss_family == AF_INET6) {
		memset(&plain, 0, sizeof(plain));
		v4->sin_family = AF_INET;
		v4->sin_port = v6->sin6_port;
		memcpy(&v4->sin_addr, &v6->sin6_addr.s6_addr[12], 4);
		return socket_text(&plain);
	}
	if (mode == MAPPED && own.ss_family == AF_INET) {
		v4 = (struct sockaddr_in *)&own;
		return expected_text(inet_ntoa(v4->sin_addr), ntohs(v4->sin_port));
	}
	return socket_text(&own);
}

const char *accepted_at(int port)
{
	struct pollfd server = {.fd = tcp_servers[port == tcp_ports[0] ? 0 : 1], .events = POLLIN};
	const char *backend = "none";
	int accepted;

	if (poll(&server, 1, PATIENCE_MS) != 1)
		return backend;
	accepted = accept(server.fd, NULL, NULL);
	backend = own_address(accepted);
	close(accepted);
	return backend;
}

const char *datagram_arrives_at(int client)
{
	return send(client, "?", 1, 0) == 1 ? answered_by() : strerror(errno);
}

const char *answered_by(void)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	char byte;

	/* Datagrams over lo have arrived when sendto() returns, unless ksoftirqd has to deliver them. */
	if (poll(udp_servers, COUNT(udp_servers), PATIENCE_MS) < 1)
		return "none";
	for (size_t i = 0; i < COUNT(udp_servers); i++) {
		if (recvfrom(udp_servers[i].fd, &byte, 1, 0, (struct sockaddr *)&from, &size) != 1)
			continue;
		if (sendto(udp_servers[i].fd, "!", 1, 0, (struct sockaddr *)&from, size) != 1)
			die("Cannot answer a datagram");
		return own_address(udp_servers[i].fd);
	}
	return "none";
}

const char *received_from(int client)
{
	struct pollfd wait = {.fd = client, .events = POLLIN};
	struct sockaddr_storage from;
	socklen_t size = sizeof(from);
	char byte;

	if (poll(&wait, 1, PATIENCE_MS) != 1 || recvfrom(client, &byte, 1, 0, (struct sockaddr *)&from, &size) != 1)
		return "none";
	return socket_text(&from);
}

const char *stranger_writes_to(int client)
{
	struct sockaddr_storage own = {}, to;
	socklen_t size = sizeof(own);
	int stranger = open_client(SOCK_DGRAM);

	getsockname(client, (struct sockaddr *)&own, &size);
	socket_address("127.0.0.1", 7777, &to);
	if (bind(stranger, (struct sockaddr *)&to, size) != 0)
		die("Cannot bind a stranger");
	size = socket_address("10.0.1.1", ntohs(((struct sockaddr_in6 *)&own)->sin6_port), &to);
	if (sendto(stranger, "!", 1, 0, (struct sockaddr *)&to, size) != 1)
		die("Cannot write to a client");
	close(stranger);
	return expected_text("127.0.0.1", 7777);
}

void expect_text(const char *what, const char *is, const char *should_be)
{
	if (strcmp(is, should_be) != 0)
		complain("%s is %s, should be %s", what, is, should_be);
}

void expect_sent(int client, const char *address, int port, int error)
{
	int result = send_to(client, address, port);

	if (result != error)
		complain("sendto: %s", strerror(result));
}
