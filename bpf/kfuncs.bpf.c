/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kfuncs.bpf.c: packet path `kfuncs`. The program gives the first packet of a flow a conntrack entry with its translation; the
 * kernel does the rest. Needs table `inet weir`: without its hooks nothing is translated.
 */
#include "lib/ingress.h"
#include "lib/insert.h"
#include "lib/snat.h"

/** For the agent, which says it. Two CPUs at once may mix up what they write: it is for people. */
static always_inline void note_shortage(const struct translation *to, __u8 protocol, __u32 service)
{
	struct index first = {.value = 0};
	struct shortage *shortage = bpf_map_lookup_elem(&shortages, &first);

	if (shortage)
		*shortage = (struct shortage){
			.source = to->source,
			.backend = to->backend,
			.port = to->backend_port,
			.protocol = protocol,
			.service = service,
		};
}

static always_inline enum outcome translate(struct __sk_buff *skb, const struct packet *packet,
					    const struct choice *chosen)
{
	const struct backend *backend = chosen->backend;
	struct settings *settings = get_settings();
	struct translation to = {
		.backend = backend->address,
		.backend_port = backend->port,
		.source = packet->source,
	};
	enum outcome outcome;
	__u32 device = 0;
	bool snat = chosen->snat && leaves_node(skb, packet, &backend->address, &device);

	if (!settings)
		return OUTCOME_PACKET_DROP_BROKEN_TABLE;
	to.mark = settings->conntrack_mark;
	if (snat)
		to.source = snat_address(device, address_is_v4(&packet->source), settings);
	if (address_is_zero(&to.source))
		return OUTCOME_PACKET_DROP_NO_SOURCE_ADDRESS;
	outcome = insert_flow(skb, packet, &to);
	if (outcome == OUTCOME_PACKET_DROP_NO_SOURCE_PORT)
		note_shortage(&to, packet->protocol, backend->service);
	return outcome == OUTCOME_PACKET_TRANSLATED && snat ? OUTCOME_PACKET_TRANSLATED_SNAT : outcome;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
