/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c: both ends of the benchmark.
 *
 *   load serve THREADS ADDRESS PORT                    echoes on TCP and UDP until it is killed; prints `ready`
 *   load connect|stream|flow|dgram THREADS MS ADDRESS PORT
 *
 * connect: a TCP connection for each request. stream: requests on one connection per thread. flow: a connected UDP socket for
 * each request. dgram: sendto and recvfrom on one UDP socket per thread. Threads block, one request at a time each; prints
 * {"requests": answered, "errors": failed, "seconds": time}.
 *
 * The server closes connections first, so that TIME_WAIT stays there and the client finds free ports at once.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64
#define BACKLOG	      4096
#define EVENTS	      64
#define MAX_THREADS   64

/** First byte of a request: whether the server closes the connection after its answer. */
enum request { REQUEST_KEEP = 'k', REQUEST_CLOSE = 'c' };

static struct sockaddr_storage address;
static socklen_t address_length;
static pthread_barrier_t listening;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void parse_address(const char *text, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(atoi(port));
		address_length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(atoi(port));
		address_length = sizeof(*v6);
	} else {
		fprintf(stderr, "Not an address: %s\n", text);
		exit(1);
	}
}

static int bound_socket(int type)
{
	int fd = socket(address.ss_family, type, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, address_length))
		fail("bind");
	if ((type & SOCK_STREAM) && listen(fd, BACKLOG))
		fail("listen");
	return fd;
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		fail("epoll_ctl");
}

static void accept_all(int epoll, int listener)
{
	int fd, on = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		watch(epoll, fd);
	}
}

static void answer_datagrams(int fd)
{
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	char message[MESSAGE_BYTES];
	ssize_t size;

	while ((size = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from, &length)) > 0)
		sendto(fd, message, size, 0, (struct sockaddr *)&from, length);
}

static void answer(int fd)
{
	char message[MESSAGE_BYTES];
	ssize_t size = recv(fd, message, sizeof(message), 0);

	if (size < 0 && errno == EAGAIN)
		return;
	if (size <= 0 || send(fd, message, size, MSG_NOSIGNAL) != size || message[0] == REQUEST_CLOSE)
		close(fd);
}

static void *serve(void *unused)
{
	int epoll = epoll_create1(0), tcp = bound_socket(SOCK_STREAM | SOCK_NONBLOCK);
	int udp = bound_socket(SOCK_DGRAM | SOCK_NONBLOCK);
	struct epoll_event events[EVENTS];

	watch(epoll, tcp);
	watch(epoll, udp);
	pthread_barrier_wait(&listening);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == tcp)
				accept_all(epoll, tcp);
			else if (events[i].data.fd == udp)
				answer_datagrams(udp);
			else
				answer(events[i].data.fd);
		}
	}
	return unused;
}

static void run_server(int threads)
{
	pthread_t thread;

	pthread_barrier_init(&listening, NULL, threads + 1);
	for (int i = 0; i < threads; i++)
		pthread_create(&thread, NULL, serve, NULL);
	pthread_barrier_wait(&listening);
	puts("ready");
	fflush(stdout);
	pause();
}

static int dial(int type)
{
	struct timeval limit = {.tv_sec = 1};
	int fd = socket(address.ss_family, type, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&address, address_length) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool exchange(int fd, enum request request)
{
	char message[MESSAGE_BYTES] = {request};

	return send(fd, message, sizeof(message), MSG_NOSIGNAL) == sizeof(message) &&
	       recv(fd, message, sizeof(message), MSG_WAITALL) == sizeof(message);
}

static bool request_connect(int *unused)
{
	int fd = dial(SOCK_STREAM);
	char end;
	bool fine = fd >= 0 && exchange(fd, REQUEST_CLOSE) && recv(fd, &end, 1, 0) == 0;

	close(fd);
	return fine;
}

static bool request_flow(int *unused)
{
	int fd = dial(SOCK_DGRAM);
	bool fine = fd >= 0 && exchange(fd, REQUEST_KEEP);

	close(fd);
	return fine;
}

static bool request_stream(int *fd)
{
	if (*fd < 0)
		*fd = dial(SOCK_STREAM);
	if (*fd >= 0 && exchange(*fd, REQUEST_KEEP))
		return true;
	close(*fd);
	*fd = -1;
	return false;
}

static bool request_dgram(int *fd)
{
	struct timeval limit = {.tv_sec = 1};
	char message[MESSAGE_BYTES] = {REQUEST_KEEP};
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);

	if (*fd < 0) {
		*fd = socket(address.ss_family, SOCK_DGRAM, 0);
		setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	}
	if (sendto(*fd, message, sizeof(message), 0, (struct sockaddr *)&address, address_length) != sizeof(message))
		return false;
	return recvfrom(*fd, message, sizeof(message), 0, (struct sockaddr *)&from, &length) == sizeof(message) &&
	       memcmp(&from, &address, 8) == 0;
}

static const struct workload {
	const char *name;
	/** One request; `fd` is the thread's own socket, -1 before the first. */
	bool (*request)(int *fd);
} workloads[] = {
	{"connect", request_connect},
	{"stream", request_stream},
	{"flow", request_flow},
	{"dgram", request_dgram},
};

static const struct workload *chosen;
static double end_time;

struct client {
	pthread_t thread;
	long requests, errors;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void *load(void *argument)
{
	struct client *client = argument;
	int fd = -1;

	do {
		if (chosen->request(&fd))
			client->requests++;
		else
			client->errors++;
	} while (now() < end_time);
	return NULL;
}

static void run_clients(int threads, double seconds)
{
	struct client clients[MAX_THREADS] = {}, sum = {};
	double start = now();

	end_time = start + seconds;
	for (int i = 0; i < threads; i++)
		pthread_create(&clients[i].thread, NULL, load, &clients[i]);
	for (int i = 0; i < threads; i++) {
		pthread_join(clients[i].thread, NULL);
		sum.requests += clients[i].requests;
		sum.errors += clients[i].errors;
	}
	printf("{\"requests\": %ld, \"errors\": %ld, \"seconds\": %.6f}\n", sum.requests, sum.errors, now() - start);
}

int main(int count, char **arguments)
{
	int threads = count > 2 ? atoi(arguments[2]) : 0;

	if (threads < 1 || threads > MAX_THREADS)
		return 2;
	if (count == 5 && strcmp(arguments[1], "serve") == 0) {
		parse_address(arguments[3], arguments[4]);
		run_server(threads);
	}
	for (unsigned i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (count == 6 && strcmp(arguments[1], workloads[i].name) == 0)
			chosen = &workloads[i];
	if (!chosen)
		return 2;
	parse_address(arguments[4], arguments[5]);
	run_clients(threads, atoi(arguments[3]) / 1e3);
	return 0;
}
