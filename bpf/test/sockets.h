/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* sockets.h: clients and servers of the socket suite. */
#ifndef WEIR_SOCKETS_H
#define WEIR_SOCKETS_H

#include "test.h"

/* cgroup.c */

/**
 * Runs `body` in a child process, in a new cgroup that is gone when this returns, however the child ended. Gives the child's
 * exit status.
 */
int run_in_cgroup(int (*body)(void));
void attach_to_own_cgroup(struct bpf_object *object);

/* sockets.c */

/** Servers at every backend address that tables.c knows, and their addresses on lo. */
void open_servers(void);
void close_servers(void);
/** A socket of the current mode that does not block. */
int open_client(int type);
/** 0, or the error. A TCP connect to a backend of this process needs no wait. */
int connect_to(int client, const char *address, int port);
/** 0, or the error. */
int send_to(int client, const char *address, int port);
/** What getpeername() says, as text. */
const char *peer_of(int socket);
/** Backend of the last TCP connection; "none". */
const char *accepted_at(int port);
/** Sends a datagram on a connected socket and says at which backend it arrives. */
const char *datagram_arrives_at(int client);
/** Backend that received the last datagram; it answers at once. "none" if there is none. */
const char *answered_by(void);
/** Sender of the next datagram in the socket, as recvfrom() says; "none". */
const char *received_from(int client);
/** Sends a datagram to `client` from an address outside its Services; returns what recvfrom() should say. */
const char *stranger_writes_to(int client);

/** Complains unless `is` is the text that it should be; `what` names it. */
void expect_text(const char *what, const char *is, const char *should_be);
/** Complains unless send_to() gives this error. */
void expect_sent(int client, const char *address, int port, int error);

/* connected_cases.c */

/** UDP sockets that connect: their one peer. */
void connected_cases(void);

/* reply_cases.c */

/** UDP servers that answer a client whose address and port are also a Service's. */
void reply_cases(const struct tables *tables);

/* network_cases.c */

/** What a namespace must look like for its sockets to be a pod's. */
void network_cases(const struct tables *tables);

/* datagram_cases.c */

/** Unconnected UDP: keeping a backend, replies, forgetting. */
void datagram_cases(const struct tables *tables);
/** Removes a Service port for good: its ClusterIP lives on. */
void a_service_that_goes(const struct tables *tables);

#endif
