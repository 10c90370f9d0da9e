// SPDX-License-Identifier: MIT
// lib_info: the platform's public information structures, filled from the reply of OBJECT_INFO. One
// implementation per set of numbers: lib_info_linux.c, lib_info_windows.c.
#pragma once

#include "lib/lib_int.h"

void lib_info_fill_map(const struct proto_object_info_reply *from, struct bpf_map_info *info);
void lib_info_fill_link(const struct proto_object_info_reply *from, struct bpf_link_info *info);
// `info` holds what the caller gave: where map ids go and how many fit. Fails as lib_info_copy_map_ids does.
ebpf_result_t lib_info_fill_prog(const struct proto_object_info_reply *from,
                                 struct bpf_prog_info *info) MUST_CHECK;

// Copies a program's map ids to the caller's `ids`, as many as fit in `room`. EBPF_INVALID_POINTER: room
// without a pointer.
ebpf_result_t lib_info_copy_map_ids(const struct proto_object_info_reply *from, void *ids,
                                    uint32_t room) MUST_CHECK;

// Next attachment point of a hook by internal attach type.
ebpf_result_t lib_hook_next(uint32_t attach_type, uint32_t after_ifindex,
                            struct ebpf_hook_point *point) MUST_CHECK;
