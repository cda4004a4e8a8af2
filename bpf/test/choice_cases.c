/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* choice_cases.c: which of several backends connections get. */
#include "packets.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** Asks the program, and tells the backend's address. */
static bool chosen_backend(const struct frame *frame, struct address *chosen)
{
	struct answer answer = ask("weir_ingress", "outside", frame);
	struct backend backend;
	struct flow flow;

	if (path->tags ? !tagged_backend(answer.priority, &backend) : !find_conntrack(frame, &flow))
		return false;
	*chosen = path->tags ? backend.address : flow.reply_source;
	return true;
}

/** Number of different backends that this many clients or connections get. */
static int different_backends(const char *service, int protocol, int port, int connections)
{
	struct address seen[16];
	int different = 0;

	for (int i = 0; i < connections; i++) {
		struct frame frame = {FROM(CLIENT, 2000 + i), TO(service, port), protocol, PLAIN};
		struct address chosen;
		int known = 0;

		if (!chosen_backend(&frame, &chosen)) {
			complain("connection %d has no backend", i);
			return 0;
		}
		while (known < different && memcmp(&seen[known], &chosen, sizeof(seen[0])) != 0)
			known++;
		if (known == different && different < (int)COUNT(seen))
			seen[different++] = chosen;
	}
	return different;
}

void choice_cases(const struct tables *tables)
{
	int different;

	begin_case("connections spread over all backends");
	different = different_backends("172.30.0.11", TCP, 80, MANY_CHOICES);
	if (different != 8)
		complain("%d backends of 8 were chosen", different);
	end_case();

	begin_case("session affinity keeps a client at its backend");
	different = different_backends("172.30.0.10", TCP, 80, 10);
	if (different != 1)
		complain("%d backends were chosen", different);
	end_case();

	begin_case("session affinity leaves a backend that is gone");
	set_backend_flags(tables, 10, 0);
	flush_conntrack();
	different = different_backends("172.30.0.10", TCP, 80, 40);
	if (different < 2)
		complain("%d backends were chosen", different);
	set_backend_flags(tables, 10, BACKEND_CLUSTER_LIST | BACKEND_LOCAL_LIST);
	end_case();
}
