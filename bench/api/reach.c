/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reach.c: tells when a Service leads where it should.
 *
 *   reach SERVICE_PORT ENDPOINT_PORT
 *
 * Listens on ENDPOINT_PORT at every IPv4 address of its network namespace: all
 * endpoints are this process. For each line `INTERVAL WANTED ADDRESS...` of
 * standard input it dials SERVICE_PORT of one address after the other, each
 * every INTERVAL microseconds until a connection has come out at endpoint
 * WANTED (0.0.0.0: at any). Then it prints the time, in nanoseconds of
 * CLOCK_MONOTONIC.
 *
 * On the loopback device a connection stands when connect returns. So one
 * thread does both ends, and no time is lost between them.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 128
/** A connection that has not come out after this long leads nowhere. */
#define ANSWER_MS 5

static int listener;
static struct sockaddr_in service = {.sin_family = AF_INET};

static int check(int result, const char *what)
{
	if (result >= 0)
		return result;
	perror(what);
	exit(1);
}

static void start_listening(int port)
{
	struct sockaddr_in everywhere = {.sin_family = AF_INET, .sin_port = htons(port)};

	listener = check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
	check(bind(listener, (struct sockaddr *)&everywhere, sizeof(everywhere)), "bind");
	check(listen(listener, BACKLOG), "listen");
}

/** Address at which the connection from `client_port` has come out; INADDR_ANY
 * if it has not. Others are late ones of earlier dials. */
static in_addr_t endpoint_reached(in_port_t client_port)
{
	struct pollfd incoming = {.fd = listener, .events = POLLIN};

	while (poll(&incoming, 1, ANSWER_MS) > 0) {
		struct sockaddr_in client, own;
		socklen_t length = sizeof(client), own_length = sizeof(own);
		int fd = accept(listener, (struct sockaddr *)&client, &length);

		if (fd < 0)
			continue;
		check(getsockname(fd, (struct sockaddr *)&own, &own_length), "getsockname");
		close(fd);
		if (client.sin_port == client_port)
			return own.sin_addr.s_addr;
	}
	return INADDR_ANY;
}

/** Endpoint that a new connection to the Service reaches, INADDR_ANY for none.
 */
static in_addr_t dial(void)
{
	/* No TIME_WAIT: its ports would run out */
	struct linger at_once = {.l_onoff = 1};
	int fd = check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
	in_addr_t reached = INADDR_ANY;

	check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), "setsockopt");
	if (connect(fd, (struct sockaddr *)&service, sizeof(service)) == 0 || errno == EINPROGRESS) {
		struct sockaddr_in own;
		socklen_t length = sizeof(own);

		check(getsockname(fd, (struct sockaddr *)&own, &length), "getsockname");
		reached = endpoint_reached(own.sin_port);
	}
	close(fd);
	return reached;
}

static void wait_for(in_addr_t wanted, useconds_t interval)
{
	for (;;) {
		in_addr_t reached = dial();

		if (reached != INADDR_ANY && (wanted == INADDR_ANY || reached == wanted))
			return;
		usleep(interval);
	}
}

static void print_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%lld%09ld\n", (long long)now.tv_sec, now.tv_nsec);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char *line = NULL, *word;
	size_t size = 0;

	if (argc != 3) {
		fprintf(stderr, "Usage: reach SERVICE_PORT ENDPOINT_PORT\n");
		return 2;
	}
	service.sin_port = htons(atoi(argv[1]));
	start_listening(atoi(argv[2]));
	while (getline(&line, &size, stdin) > 0) {
		useconds_t interval = atoi(strtok(line, " \n"));
		in_addr_t wanted = inet_addr(strtok(NULL, " \n"));

		while ((word = strtok(NULL, " \n")) != NULL) {
			service.sin_addr.s_addr = inet_addr(word);
			wait_for(wanted, interval);
		}
		print_time();
	}
	return 0;
}
