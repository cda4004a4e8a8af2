/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flood.c: how long a datagram takes, without an answer.
 *
 *   flood sink ADDRESS PORT   takes datagrams and never reads them; prints `ready`
 *   flood send MS ADDRESS PORT
 *
 * The sender stays on one CPU, and the kernel handles a datagram there on all nodes of its way (netif_rx of veth), so the time of a
 * datagram is what all of them do: the processor time of the sender, whatever else the machine does. Prints
 * {"requests": sent, "errors": failed, "seconds": processor time}. IPv4.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64
/** Datagrams between two looks at the clock. */
#define BURST 64

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_socket(int (*join)(int, const struct sockaddr *, socklen_t), const char *address, const char *port)
{
	struct sockaddr_in end = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (inet_pton(AF_INET, address, &end.sin_addr) != 1)
		fail("inet_pton");
	if (join(fd, (struct sockaddr *)&end, sizeof(end)))
		fail("bind or connect");
	return fd;
}

static void pin_to_first_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("sched_setaffinity");
}

static double processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void flood(int fd, double seconds)
{
	char message[MESSAGE_BYTES] = {};
	long sent = 0, failed = 0;
	double start = processor_time(), end;

	do {
		for (int i = 0; i < BURST; i++) {
			if (send(fd, message, sizeof(message), 0) == sizeof(message))
				sent++;
			else
				failed++;
		}
		end = processor_time();
	} while (end < start + seconds);
	printf("{\"requests\": %ld, \"errors\": %ld, \"seconds\": %.6f}\n", sent, failed, end - start);
}

int main(int count, char **arguments)
{
	if (count == 4 && strcmp(arguments[1], "sink") == 0) {
		open_socket(bind, arguments[2], arguments[3]);
		puts("ready");
		fflush(stdout);
		pause();
	}
	if (count != 5 || strcmp(arguments[1], "send") != 0)
		return 2;
	pin_to_first_cpu();
	flood(open_socket(connect, arguments[3], arguments[4]), atoi(arguments[2]) / 1e3);
	return 0;
}
