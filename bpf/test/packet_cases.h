/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* packet_cases.h: the table of packets and their expected fates. tables.c has the Services. */
#ifndef WEIR_PACKET_CASES_H
#define WEIR_PACKET_CASES_H

#include "test.h"

#define TCP	   IPPROTO_TCP
#define UDP	   IPPROTO_UDP
#define CLIENT	   "203.0.113.2"
#define BLOCKED	   "203.0.113.130"
#define POD	   "10.0.1.20"
#define REMOTE_POD "10.0.2.20"
#define NODE	   "192.168.0.2"
/** What settings say where a device has no address. */
#define PODS_ADDRESS "10.0.1.1"

enum verdict { PASS, REFUSE, DROP };

struct packet_case {
	const char *name;
	struct frame frame;
	enum verdict verdict;
	enum outcome outcome, also;
	/** Instead of `outcome` where the table decides about the source; 0 = the same. */
	enum outcome tagged;
	/** The translated flow: backend, and the source that it sees. NULL = there must be no entry. */
	const char *backend;
	int backend_port;
	const char *seen;
	/** An entry of the same tuple, in this state, that is there before. */
	const char *old_state;
	enum old_entry old_entry;
};

#define TO(address, port)	     .destination = address, .destination_port = port
#define FROM(address, port)	     .source = address, .source_port = port
#define FLOW(address, port, seen_as) .backend = address, .backend_port = port, .seen = seen_as
#define ENDS(how, counted)	     .verdict = how, .outcome = counted, .also = NOTHING
#define TRANSLATED		     .verdict = PASS, .outcome = OUTCOME_PACKET_TRANSLATED, .also = NOTHING
#define SNAT			     .verdict = PASS, .outcome = OUTCOME_PACKET_TRANSLATED_SNAT, .also = NOTHING
#define REUSED			     .verdict = PASS, .outcome = OUTCOME_PACKET_TRANSLATED_SNAT, .also = OUTCOME_PACKET_TUPLE_REUSED
#define FROM_POD		     .verdict = PASS, .outcome = OUTCOME_PACKET_TRANSLATED, .also = OUTCOME_PACKET_POD_UNSEEN_BY_SOCKETS
#define WEB			     TO("172.30.0.1", 80), .protocol = TCP
#define LEFT_ALONE		     ENDS(PASS, NOTHING)

/* clang-format off */
static const struct packet_case cases[] = {
	/* What does not start a flow of a Service */
	{ "a SYN to an address without a Service passes", { FROM(CLIENT, 1000), TO("198.51.100.1", 80), TCP }, LEFT_ALONE },
	{ "a SYN and ACK to a Service passes", { FROM(CLIENT, 1000), WEB, WITH_ACK }, LEFT_ALONE },
	{ "a TCP segment without SYN passes", { FROM(CLIENT, 1000), WEB, NO_SYN }, LEFT_ALONE },
	{ "a later fragment passes", { FROM(CLIENT, 1000), WEB, LATER_FRAGMENT }, LEFT_ALONE },
	{ "a packet that ends in its ports passes", { FROM(CLIENT, 1000), WEB, CUT_IN_PORTS }, LEFT_ALONE },
	{ "a frame for another host passes", { FROM(CLIENT, 1000), WEB, OTHER_HOST }, LEFT_ALONE },
	{ "a frame with a second VLAN tag passes", { FROM(CLIENT, 1000), WEB, INNER_TAG }, LEFT_ALONE },
	{ "a frame of another EtherType passes", { FROM(CLIENT, 1000), WEB, ARP }, LEFT_ALONE },
	{ "ICMP to a ClusterIP passes", { FROM(CLIENT, 1000), TO("172.30.0.1", 80), IPPROTO_ICMP }, LEFT_ALONE },
	{ "SCTP to a ClusterIP passes", { FROM(CLIENT, 1000), TO("172.30.0.1", 80), IPPROTO_SCTP }, LEFT_ALONE },
	{ "a node address with a port other than a NodePort passes", { FROM(CLIENT, 1000), TO(NODE, 22), TCP }, LEFT_ALONE },
	{ "a NodePort on another address passes", { FROM(CLIENT, 1000), TO("192.168.0.3", 30080), TCP }, LEFT_ALONE },
	{ "a NodePort on loopback is not for packets", { FROM(CLIENT, 1000), TO("127.0.0.1", 30080), TCP }, LEFT_ALONE },
	{ "the zero address is not a Service address", { FROM(CLIENT, 1000), TO("0.0.0.0", 30080), TCP }, LEFT_ALONE },

	/* Translation, with and without a new source */
	{ "an outside client's SYN to a ClusterIP gets the device's address", { FROM(CLIENT, 1000), WEB }, SNAT, FLOW("10.0.1.10", 8080, PODS_ADDRESS) },
	{ "towards another node the source is that of the device to it", { FROM(CLIENT, 1000), TO("172.30.0.2", 80), TCP }, SNAT, FLOW("10.0.2.10", 8080, NODE) },
	{ "a pod's SYN to a ClusterIP keeps its source", { FROM(POD, 1000), WEB }, FROM_POD, FLOW("10.0.1.10", 8080, POD) },
	{ "a pod of another node is a pod too", { FROM(REMOTE_POD, 1000), WEB }, FROM_POD, FLOW("10.0.1.10", 8080, REMOTE_POD) },
	{ "a pod that reaches itself gets a new source", { FROM("10.0.1.10", 1000), WEB },
	  .verdict = PASS, .outcome = OUTCOME_PACKET_TRANSLATED_SNAT, .also = OUTCOME_PACKET_POD_UNSEEN_BY_SOCKETS, FLOW("10.0.1.10", 8080, PODS_ADDRESS) },
	{ "a NodePort gets a new source", { FROM(CLIENT, 1000), TO(NODE, 30080), TCP }, SNAT, FLOW("10.0.1.10", 8080, PODS_ADDRESS) },
	{ "a NodePort gets a new source from pods too", { FROM(POD, 1000), TO(NODE, 30081), TCP }, SNAT, FLOW("10.0.2.10", 8080, NODE) },
	{ "a backend in the host's network sees the client", { FROM(CLIENT, 1000), TO("172.30.0.8", 80), TCP }, TRANSLATED, .tagged = OUTCOME_PACKET_TRANSLATED_SNAT, FLOW("192.168.0.2", 9000, CLIENT) },
	{ "policy Local with a backend here keeps the client's address", { FROM(CLIENT, 1000), TO("203.0.113.200", 81), TCP }, TRANSLATED, FLOW("10.0.1.10", 8080, CLIENT) },
	{ "UDP to a ClusterIP", { FROM(CLIENT, 1000), TO("172.30.0.9", 53), UDP }, SNAT, FLOW("10.0.1.10", 5353, PODS_ADDRESS) },
	{ "UDP to a NodePort", { FROM(CLIENT, 1000), TO(NODE, 30053), UDP }, SNAT, FLOW("10.0.1.10", 5353, PODS_ADDRESS) },
	{ "a first fragment starts a flow", { FROM(CLIENT, 1000), WEB, FIRST_FRAGMENT }, SNAT, FLOW("10.0.1.10", 8080, PODS_ADDRESS) },
	{ "a first fragment of UDP starts a flow", { FROM(CLIENT, 1000), TO("172.30.0.9", 53), UDP, FIRST_FRAGMENT }, SNAT, FLOW("10.0.1.10", 5353, PODS_ADDRESS) },
	{ "IP options and extension headers are stepped over", { FROM(CLIENT, 1000), WEB, EXTENDED }, SNAT, FLOW("10.0.1.10", 8080, PODS_ADDRESS) },
	{ "extension headers before a fragment header", { FROM(CLIENT, 1000), WEB, EXTENDED | FIRST_FRAGMENT }, SNAT, FLOW("10.0.1.10", 8080, PODS_ADDRESS) },

	/* Refused and dropped */
	{ "a ClusterIP refuses ports that it lacks", { FROM(CLIENT, 1000), TO("172.30.0.1", 81), TCP }, ENDS(REFUSE, OUTCOME_PACKET_REFUSED_UNKNOWN_PORT) },
	{ "a ClusterIP refuses a protocol that it lacks", { FROM(CLIENT, 1000), TO("172.30.0.1", 80), UDP }, ENDS(REFUSE, OUTCOME_PACKET_REFUSED_UNKNOWN_PORT) },
	{ "a Service without endpoints refuses", { FROM(CLIENT, 1000), TO("172.30.0.3", 80), TCP }, ENDS(REFUSE, OUTCOME_PACKET_REFUSED_NO_ENDPOINT) },
	{ "UDP to a Service without endpoints is refused", { FROM(POD, 1000), TO("172.30.0.18", 53), UDP }, ENDS(REFUSE, OUTCOME_PACKET_REFUSED_NO_ENDPOINT) },
	{ "policy Local without a backend here drops", { FROM(CLIENT, 1000), TO("203.0.113.200", 80), TCP }, ENDS(DROP, OUTCOME_PACKET_DROP_NO_LOCAL_ENDPOINT) },
	{ "policy Local for a pod: any backend", { FROM(POD, 1000), TO("203.0.113.200", 80), TCP }, TRANSLATED, FLOW("10.0.2.10", 8080, POD) },
	{ "internal policy Local without a backend here drops", { FROM(POD, 1000), TO("172.30.0.4", 80), TCP }, ENDS(DROP, OUTCOME_PACKET_DROP_NO_LOCAL_ENDPOINT) },
	{ "the extent of outside sources answers outside sources", { FROM(CLIENT, 1000), TO("203.0.113.200", 82), TCP }, TRANSLATED, FLOW("10.0.1.10", 8080, CLIENT) },
	{ "the extent of local sources answers pods", { FROM(POD, 1000), TO("203.0.113.200", 82), TCP }, ENDS(REFUSE, OUTCOME_PACKET_REFUSED_NO_ENDPOINT) },
	{ "a source inside the ranges passes them", { FROM(CLIENT, 1000), TO("203.0.113.201", 80), TCP }, TRANSLATED, FLOW("10.0.1.10", 8085, CLIENT) },
	{ "a source outside the ranges is dropped", { FROM(BLOCKED, 1000), TO("203.0.113.201", 80), TCP }, ENDS(DROP, OUTCOME_PACKET_DROP_SOURCE_RANGE) },
	{ "a pod outside the ranges is dropped", { FROM(POD, 1000), TO("203.0.113.201", 80), TCP }, ENDS(DROP, OUTCOME_PACKET_DROP_SOURCE_RANGE) },
	{ "a slot with another Service's backend is a broken table", { FROM(CLIENT, 1000), TO("172.30.0.6", 80), TCP }, ENDS(DROP, OUTCOME_PACKET_DROP_BROKEN_TABLE) },
	{ "a slot beyond the table is a broken table", { FROM(CLIENT, 1000), TO("172.30.0.7", 80), TCP }, ENDS(DROP, OUTCOME_PACKET_DROP_BROKEN_TABLE) },
	{ "a backend beyond the table is a broken table", { FROM(CLIENT, 1000), TO("172.30.0.13", 80), TCP }, ENDS(DROP, OUTCOME_PACKET_DROP_BROKEN_TABLE) },

	/* Flows that conntrack knows */
	{ "a datagram of a known flow passes", { FROM(CLIENT, 1000), TO("172.30.0.9", 53), UDP }, LEFT_ALONE, .old_state = "" },
	{ "a repeated SYN passes", { FROM(CLIENT, 1000), WEB }, LEFT_ALONE, .old_state = "SYN_SENT" },
	{ "a SYN into an open connection passes", { FROM(CLIENT, 1000), WEB }, LEFT_ALONE, .old_state = "ESTABLISHED" },
	{ "a SYN into a half-closed connection passes", { FROM(CLIENT, 1000), WEB }, LEFT_ALONE, .old_state = "FIN_WAIT" },
	{ "a SYN into the other half-closed connection passes", { FROM(CLIENT, 1000), WEB }, LEFT_ALONE, .old_state = "CLOSE_WAIT" },
	{ "a datagram of a client that was there before the Service starts a flow", { FROM(CLIENT, 1000), TO("172.30.0.9", 53), UDP }, SNAT, FLOW("10.0.1.10", 5353, PODS_ADDRESS), .old_state = "", .old_entry = UNTRANSLATED },
	{ "a SYN repeated since before the Service was there starts a flow", { FROM(CLIENT, 1000), WEB }, SNAT, FLOW("10.0.1.10", 8080, PODS_ADDRESS), .old_state = "SYN_SENT", .old_entry = UNTRANSLATED },
	{ "a datagram to a backend with the address dialled stays", { FROM(CLIENT, 1000), TO("172.30.0.9", 53), UDP }, LEFT_ALONE, .old_state = "", .old_entry = MARKED },
	{ "a datagram that answers this node passes", { FROM(CLIENT, 1000), TO(NODE, 30053), UDP }, LEFT_ALONE, .old_state = "", .old_entry = ANSWERED },
	{ "a SYN after TIME_WAIT starts anew", { FROM(CLIENT, 1000), WEB }, REUSED, FLOW("10.0.1.10", 8080, PODS_ADDRESS), .old_state = "TIME_WAIT" },
	{ "a SYN after a reset starts anew", { FROM(CLIENT, 1000), WEB }, REUSED, FLOW("10.0.1.10", 8080, PODS_ADDRESS), .old_state = "CLOSE" },
	{ "a SYN after both FINs starts anew", { FROM(CLIENT, 1000), WEB }, REUSED, FLOW("10.0.1.10", 8080, PODS_ADDRESS), .old_state = "LAST_ACK" },
};
/* clang-format on */

#endif
