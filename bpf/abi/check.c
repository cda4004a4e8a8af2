/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * check.c: an ordinary program that fills every struct of types.h with distinct values and prints its bytes, one struct a line.
 * src/abi/generated.test.ts holds the same values and compares: a witness that has nothing to do with BTF or our generator.
 */
#include <arpa/inet.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>

#include "types.h"

static void print(const char *name, const void *bytes, size_t size)
{
	printf("%s ", name);
	for (size_t i = 0; i < size; i++)
		printf("%02x", ((const unsigned char *)bytes)[i]);
	printf("\n");
}

#define PRINT(type, ...) print(#type, &(struct type){__VA_ARGS__}, sizeof(struct type))

static struct address ip(const char *text)
{
	struct address address;
	char mapped[64];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	if (inet_pton(AF_INET6, mapped, &address) != 1)
		fprintf(stderr, "bad address %s\n", text);
	return address;
}

static struct socket_flow flow(const char *service, const char *backend, __u32 seed)
{
	return (struct socket_flow){
		.service_address = ip(service),
		.backend_address = ip(backend),
		.service_port = htons(1000 + seed),
		.backend_port = htons(2000 + seed),
		.backend = 3000000 + seed,
		.service = 4000000 + seed,
	};
}

static void print_frontends(void)
{
	PRINT(address_key, .address = ip("10.96.0.1"));
	PRINT(address_meaning, .flags = ADDRESS_CLUSTER_IP | ADDRESS_NODE | ADDRESS_FRONTENDS | ADDRESS_HELD);
	PRINT(frontend_key, .address = ip("fd00:10:96::a"), .port = htons(8080), .protocol = 17);
	PRINT(extent, .first = 0x01020304, .count = 0x05060708);
	PRINT(frontend, .local_source = {11, 12}, .outside_source = {13, 14}, .service = 0x11121314,
	      .flags = FRONTEND_OUTSIDE_SOURCE_USES_LOCAL, .affinity_seconds = 10800);
	PRINT(range_key, .prefix_bits = 32 + 96 + 8, .service = 79, .address = ip("10.0.0.0"));
	PRINT(net_key, .prefix_bits = 48, .address = ip("fd00:244::"));
	PRINT(presence, .present = 1);
}

static void print_backends(void)
{
	PRINT(index, .value = 0xfffffffe);
	PRINT(slot, .backend = 0x00c0ffee);
	PRINT(backend, .address = ip("10.244.1.7"), .port = htons(443), .flags = BACKEND_LOCAL_LIST, .service = 77);
	PRINT(service_key, .service = 78);
	PRINT(service_name, .text = "shop/caf\xc3\xa9:http", .family = 6, .protocol = 17, .lost_frontends = 258);
}

static void print_node(void)
{
	PRINT(device_key, .ifindex = 81);
	PRINT(device, .snat4 = ip("192.0.2.1"), .snat6 = ip("2001:db8::1"), .flags = DEVICE_PODS);
	PRINT(settings, .node_netns_cookie = 0x0102030405060708ull, .flags = SETTINGS_LOOPBACK_NODE_PORTS,
	      .conntrack_mark = 0x100, .snat4 = ip("192.0.2.2"), .snat6 = ip("2001:db8::2"));
}

static void print_flows(void)
{
	PRINT(affinity_key, .client = ip("198.51.100.9"), .service = 82, .is_cookie = 1);
	PRINT(affinity, .last_used_ns = 0xfffffffffffffff0ull, .backend = 83);
	PRINT(socket_flow, .service_address = ip("10.96.0.10"), .backend_address = ip("10.244.2.3"),
	      .service_port = htons(1001), .backend_port = htons(2001), .backend = 3000001, .service = 4000001);
	PRINT(socket_state,
	      .flows = {flow("10.96.0.11", "10.244.0.1", 2), flow("fd00::11", "fd00:244::1", 3),
			flow("10.96.0.13", "10.244.0.3", 4), flow("10.96.0.14", "10.244.0.4", 5)},
	      .moved = 2, .connected = {flow("10.96.0.15", "10.244.0.5", 6), flow("fd00::16", "fd00:244::6", 7)});
	PRINT(socket_flow_key, .socket = 0x1122334455667788ull, .address = ip("fd00:10:96::b"), .port = htons(53),
	      .direction = FLOW_FROM_BACKEND);
	PRINT(udp_sender_key, .netns_cookie = 0x1020304050607080ull, .address = ip("192.0.2.9"), .port = htons(5060),
	      .own_port = htons(5061));
	PRINT(udp_sender, .last_received_ns = 0xfffffffffffffff1ull);
	PRINT(shortage, .source = ip("192.0.2.3"), .backend = ip("10.244.3.4"), .port = htons(8443), .protocol = 6,
	      .service = 84);
	PRINT(counter, .count = 0x8000000000000001ull);
	PRINT(service_count, .connections = 0x8000000000000002ull, .refusals = 3);
}

int main(void)
{
	print_frontends();
	print_backends();
	print_node();
	print_flows();
	return 0;
}
