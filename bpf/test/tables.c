/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

#define SLOTS	     8
#define NOWHERE	     2000000000u
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** One Service port. Its slots are backends[0..], the local extent is the first `local`, the outside one the first `outside`. */
struct service {
	__u32 id;
	int protocol, port, flags, affinity_seconds;
	const char *cluster_ip;
	const char *backends[SLOTS];
	int backend_port, local, outside;
	enum { SOUND, FOREIGN_BACKEND, NO_SUCH_BACKEND, NO_SUCH_SLOT } table;
};

/** A further address and port of a Service, with its own policy. */
struct extra {
	__u32 service;
	const char *address;
	int port, flags, local, outside;
};

/* clang-format off */
static const struct service services[] = {
	{ .id = 1, .cluster_ip = "172.30.0.1", .port = 80, .protocol = IPPROTO_TCP, .flags = FRONTEND_SNAT_OUTSIDE,
	  .backends = { "10.0.1.10" }, .backend_port = 8080, .local = 1, .outside = 1 },
	{ .id = 2, .cluster_ip = "172.30.0.2", .port = 80, .protocol = IPPROTO_TCP, .flags = FRONTEND_SNAT_OUTSIDE,
	  .backends = { "10.0.2.10" }, .backend_port = 8080, .local = 1, .outside = 1 },
	{ .id = 3, .cluster_ip = "172.30.0.3", .port = 80, .protocol = IPPROTO_TCP, .backend_port = 1 },
	{ .id = 4, .cluster_ip = "172.30.0.4", .port = 80, .protocol = IPPROTO_TCP, .backend_port = 8080,
	  .flags = FRONTEND_DROP_LOCAL | FRONTEND_DROP_OUTSIDE },
	{ .id = 5, .cluster_ip = "172.30.0.5", .port = 80, .protocol = IPPROTO_TCP,
	  .backends = { "10.0.1.10" }, .backend_port = 8085, .local = 1, .outside = 1 },
	{ .id = 6, .cluster_ip = "172.30.0.6", .port = 80, .protocol = IPPROTO_TCP, .table = FOREIGN_BACKEND,
	  .backends = { "10.0.1.10" }, .backend_port = 8080, .local = 1, .outside = 1 },
	{ .id = 7, .cluster_ip = "172.30.0.7", .port = 80, .protocol = IPPROTO_TCP, .table = NO_SUCH_SLOT,
	  .backends = { "10.0.1.10" }, .backend_port = 8080, .local = 1, .outside = 1 },
	{ .id = 8, .cluster_ip = "172.30.0.8", .port = 80, .protocol = IPPROTO_TCP, .flags = FRONTEND_SNAT_OUTSIDE,
	  .backends = { "192.168.0.2" }, .backend_port = 9000, .local = 1, .outside = 1 },
	{ .id = 9, .cluster_ip = "172.30.0.9", .port = 53, .protocol = IPPROTO_UDP, .flags = FRONTEND_SNAT_OUTSIDE,
	  .backends = { "10.0.1.10" }, .backend_port = 5353, .local = 1, .outside = 1 },
	{ .id = 10, .cluster_ip = "172.30.0.10", .port = 80, .protocol = IPPROTO_TCP, .affinity_seconds = 60,
	  .backends = { "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.1.5", "10.0.1.6", "10.0.1.7", "10.0.1.8" },
	  .backend_port = 8080, .local = SLOTS, .outside = SLOTS },
	{ .id = 11, .cluster_ip = "172.30.0.11", .port = 80, .protocol = IPPROTO_TCP,
	  .backends = { "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.1.5", "10.0.1.6", "10.0.1.7", "10.0.1.8" },
	  .backend_port = 8080, .local = SLOTS, .outside = SLOTS },
	{ .id = 12, .cluster_ip = "172.30.0.12", .port = 53, .protocol = IPPROTO_UDP,
	  .backends = { "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.1.5", "10.0.1.6", "10.0.1.7", "10.0.1.8" },
	  .backend_port = 5353, .local = SLOTS, .outside = SLOTS },
	{ .id = 13, .cluster_ip = "172.30.0.13", .port = 80, .protocol = IPPROTO_TCP, .table = NO_SUCH_BACKEND,
	  .backends = { "10.0.1.10" }, .backend_port = 8080, .local = 1, .outside = 1 },
	{ .id = 14, .cluster_ip = "172.30.0.14", .port = 53, .protocol = IPPROTO_UDP,
	  .backends = { "10.0.1.11" }, .backend_port = 5353, .local = 1, .outside = 1 },
	{ .id = 15, .cluster_ip = "172.30.0.15", .port = 53, .protocol = IPPROTO_UDP,
	  .backends = { "10.0.1.12" }, .backend_port = 5353, .local = 1, .outside = 1 },
	{ .id = 16, .cluster_ip = "172.30.0.16", .port = 53, .protocol = IPPROTO_UDP,
	  .backends = { "10.0.1.13" }, .backend_port = 5353, .local = 1, .outside = 1 },
	{ .id = 17, .cluster_ip = "172.30.0.17", .port = 53, .protocol = IPPROTO_UDP,
	  .backends = { "10.0.1.14" }, .backend_port = 5353, .local = 1, .outside = 1 },
	{ .id = 18, .cluster_ip = "172.30.0.18", .port = 53, .protocol = IPPROTO_UDP },
	/* Where no process listens. */
	{ .id = 21, .cluster_ip = "172.30.0.21", .port = 53, .protocol = IPPROTO_UDP,
	  .backends = { "10.0.1.10" }, .backend_port = 5399, .local = 1, .outside = 1 },
	{ .id = 20, .cluster_ip = "172.30.0.20", .port = 53, .protocol = IPPROTO_UDP, .backend_port = 5353,
	  .flags = FRONTEND_DROP_LOCAL | FRONTEND_DROP_OUTSIDE },
	{ .id = 19, .cluster_ip = "172.30.0.19", .port = 80, .protocol = IPPROTO_TCP,
	  .backends = { "10.0.1.10", "10.0.2.10" }, .backend_port = 8080, .local = 2, .outside = 2 },
};

static const struct extra extras[] = {
	/* NodePorts of 1, 3 and 9; externalTrafficPolicy Local without an endpoint here, and with one. */
	{ .service = 1, .address = "0.0.0.0", .port = 30080, .flags = FRONTEND_SNAT_LOCAL | FRONTEND_SNAT_OUTSIDE, .local = 1, .outside = 1 },
	{ .service = 2, .address = "0.0.0.0", .port = 30081, .flags = FRONTEND_SNAT_LOCAL | FRONTEND_SNAT_OUTSIDE, .local = 1, .outside = 1 },
	{ .service = 9, .address = "0.0.0.0", .port = 30053, .flags = FRONTEND_SNAT_LOCAL | FRONTEND_SNAT_OUTSIDE, .local = 1, .outside = 1 },
	{ .service = 2, .address = "203.0.113.200", .port = 80, .flags = FRONTEND_DROP_OUTSIDE | FRONTEND_OUTSIDE_SOURCE_USES_LOCAL, .local = 1 },
	{ .service = 1, .address = "203.0.113.200", .port = 81, .flags = FRONTEND_OUTSIDE_SOURCE_USES_LOCAL, .local = 1, .outside = 1 },
	/* Source ranges: the node's own processes are admitted at the first address only. */
	{ .service = 5, .address = "203.0.113.201", .port = 80, .flags = FRONTEND_SOURCE_RANGES | FRONTEND_RANGES_ADMIT_NODE, .local = 1, .outside = 1 },
	{ .service = 5, .address = "203.0.113.202", .port = 80, .flags = FRONTEND_SOURCE_RANGES, .local = 1, .outside = 1 },
	/* The same addresses without an endpoint here. */
	{ .service = 5, .address = "203.0.113.201", .port = 81, .flags = FRONTEND_SOURCE_RANGES | FRONTEND_RANGES_ADMIT_NODE | FRONTEND_DROP_LOCAL },
	{ .service = 5, .address = "203.0.113.202", .port = 81, .flags = FRONTEND_SOURCE_RANGES | FRONTEND_DROP_LOCAL },
	{ .service = 9, .address = "203.0.113.202", .port = 53, .flags = FRONTEND_SOURCE_RANGES, .local = 1 },
	/* The backend of 17 is also a load balancer's address of 14. */
	{ .service = 14, .address = "10.0.1.14", .port = 5353, .local = 1, .outside = 1 },
	/* A policy without an endpoint here, at a NodePort; one that admits local sources only. */
	{ .service = 4, .address = "0.0.0.0", .port = 30082, .flags = FRONTEND_DROP_LOCAL | FRONTEND_DROP_OUTSIDE },
	{ .service = 9, .address = "203.0.113.200", .port = 53, .flags = FRONTEND_DROP_OUTSIDE, .local = 1 },
	/* The endpoints depend on the source: a local process finds none at port 82, an outsider none at port 83. */
	{ .service = 1, .address = "203.0.113.200", .port = 82, .outside = 1 },
	{ .service = 1, .address = "203.0.113.200", .port = 83, .local = 1 },
};
/* clang-format on */

static void put_entry(int map, const void *key, const void *value)
{
	if (bpf_map_update_elem(map, key, value, BPF_ANY) != 0)
		die("Cannot fill a table");
}

static __u32 id_of(__u32 service)
{
	return service + (mode == V6 ? 100 : 0);
}

static __u32 first_slot(__u32 service)
{
	return id_of(service) * SLOTS;
}

static const struct service *service_by_id(__u32 id)
{
	for (size_t i = 0; i < COUNT(services); i++)
		if (services[i].id == id)
			return &services[i];
	die("Cannot find service %u", id);
}

static void put_frontend(const struct tables *t, const struct service *s, const struct extra *e)
{
	struct frontend_key key = {.address = ip(e->address), .port = htons(e->port), .protocol = s->protocol};
	__u32 first = s->table == NO_SUCH_SLOT ? NOWHERE : first_slot(s->id);
	struct frontend value = {
		.local_source = {first, e->local},
		.outside_source = {first, e->outside},
		.service = id_of(s->id),
		.flags = e->flags,
		.affinity_seconds = s->affinity_seconds,
	};

	put_entry(t->frontends, &key, &value);
}

static void put_backends(const struct tables *t, const struct service *s)
{
	for (int i = 0; i < SLOTS && s->backends[i]; i++) {
		struct index key = {first_slot(s->id) + i};
		struct slot slot = {s->table == NO_SUCH_BACKEND ? NOWHERE : key.value};
		struct backend backend = {
			.address = ip(s->backends[i]),
			.port = htons(s->backend_port),
			.flags = BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST,
			.service = id_of(s->id) + (s->table == FOREIGN_BACKEND),
		};

		put_entry(t->backends, &key, &backend);
		put_entry(t->slots, &key, &slot);
	}
}

static void put_meaning(const struct tables *t, const char *address, __u32 flags)
{
	struct address_key key = {ip(address)};
	struct address_meaning value = {flags};

	put_entry(t->addresses, &key, &value);
}

static void put_service(const struct tables *t, const struct service *s)
{
	const struct extra own = {s->id, s->cluster_ip, s->port, s->flags, s->local, s->outside};

	put_backends(t, s);
	put_frontend(t, s, &own);
	put_meaning(t, s->cluster_ip, ADDRESS_CLUSTER_IP | ADDRESS_FRONTENDS);
}

static void put_extra(const struct tables *t, const struct extra *extra)
{
	put_frontend(t, service_by_id(extra->service), extra);
	if (strcmp(extra->address, "0.0.0.0") != 0)
		put_meaning(t, extra->address, ADDRESS_FRONTENDS);
}

static void put_ranges(const struct tables *t)
{
	struct range_key allowed = {.prefix_bits = 32 + 96 + 25, .service = id_of(5), .address = ip("203.0.113.0")};
	struct net_key pods = {.prefix_bits = 96 + 8, .address = ip("10.0.0.0")};
	struct presence yes = {1};

	put_entry(t->source_ranges, &allowed, &yes);
	put_entry(t->local_nets, &pods, &yes);
}

static void put_device(const struct tables *t, const char *name, const char *v4, const char *v6, __u32 flags)
{
	struct device_key key = {device_index(name)};
	struct device value = {.flags = flags};

	mode = V4;
	if (v4)
		value.snat4 = ip(v4);
	mode = V6;
	if (v6)
		value.snat6 = ip(v6);
	put_entry(t->devices, &key, &value);
}

struct tables open_tables(struct bpf_object *object)
{
#define OPEN(name) .name = bpf_object__find_map_fd_by_name(object, #name)
	return (struct tables){
		OPEN(addresses),  OPEN(frontends),	OPEN(slots),	   OPEN(backends), OPEN(source_ranges),
		OPEN(local_nets), OPEN(devices),	OPEN(settings),	   OPEN(counters), OPEN(affinity),
		OPEN(shortages),  OPEN(service_counts), OPEN(udp_senders),
	};
#undef OPEN
}

void fill_tables(const struct tables *t)
{
	for (mode = V4; mode <= V6; mode++) {
		for (size_t i = 0; i < COUNT(services); i++)
			put_service(t, &services[i]);
		for (size_t i = 0; i < COUNT(extras); i++)
			put_extra(t, &extras[i]);
		put_meaning(t, "192.168.0.2", ADDRESS_NODE);
		put_ranges(t);
	}
	put_device(t, "outside", "192.168.0.2", "192.168.0.2", 0);
	put_device(t, "pods", NULL, NULL, DEVICE_PODS);
	mode = V4;
}

void set_pod_link_flags(const struct tables *t, __u32 flags)
{
	struct device_key key = {pod_link_index()};
	struct device value = {.flags = flags};

	put_entry(t->devices, &key, &value);
}

void forget_node_addresses(const struct tables *t)
{
	struct index first = {0};
	struct settings value = {.conntrack_mark = CONNTRACK_MARK};

	put_entry(t->settings, &first, &value);
}

void set_settings(const struct tables *t, __u32 flags, __u64 cookie)
{
	struct index first = {0};
	struct settings value = {
		.node_netns_cookie = cookie,
		.flags = flags,
		.conntrack_mark = CONNTRACK_MARK,
	};
	enum address_mode before = mode;

	mode = V4;
	value.snat4 = ip("10.0.1.1");
	mode = V6;
	value.snat6 = ip("10.0.1.1");
	mode = before;
	put_entry(t->settings, &first, &value);
}

void set_backend_flags(const struct tables *t, __u32 service, __u32 flags)
{
	for (__u32 i = 0; i < SLOTS; i++) {
		struct index key = {first_slot(service) + i};
		struct backend backend;

		if (bpf_map_lookup_elem(t->backends, &key, &backend) != 0 || !backend.port)
			continue;
		backend.flags = flags;
		put_entry(t->backends, &key, &backend);
	}
}

void remove_frontend(const struct tables *t, const char *address, int port, int protocol)
{
	struct frontend_key key = {.address = ip(address), .port = htons(port), .protocol = protocol};

	if (bpf_map_delete_elem(t->frontends, &key) != 0)
		die("Cannot remove a frontend");
}
