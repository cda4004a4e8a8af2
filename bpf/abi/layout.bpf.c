/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * layout.bpf.c: holds no program. scripts/abi/generate.ts compiles it and reads every struct, enum and map from its BTF.
 * Clang emits BTF only for used types: the maps use structs, the variables below use the rest.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"

struct index index_used;

enum address_flags address_flags_used;
enum frontend_flags frontend_flags_used;
enum backend_flags backend_flags_used;
enum device_flags device_flags_used;
enum settings_flags settings_flags_used;
enum packet_tag packet_tag_used;
enum flow_direction flow_direction_used;
enum outcome outcome_used;
