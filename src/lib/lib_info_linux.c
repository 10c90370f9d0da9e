// SPDX-License-Identifier: MIT
// lib_info_linux: struct bpf_*_info of the Linux UAPI (linux/bpf.h).
#include "lib/lib_info.h"

void lib_info_fill_map(const struct proto_object_info_reply *from, struct bpf_map_info *info)
{
    memset(info, 0, sizeof(*info));
    info->type = lib_map_type_number(from->type);
    info->id = from->id;
    info->key_size = from->key_size;
    info->value_size = from->value_size;
    info->max_entries = from->max_entries;
    info->map_flags = from->map_flags;
    str_copy(info->name, sizeof(info->name), from->name); // 15 bytes of it, as on Linux
}

void lib_info_fill_link(const struct proto_object_info_reply *from, struct bpf_link_info *info)
{
    memset(info, 0, sizeof(*info));
    info->type = from->attach_type == ATTACH_TYPE_XDP ? BPF_LINK_TYPE_XDP : BPF_LINK_TYPE_UNSPEC;
    info->id = from->id;
    info->prog_id = from->prog_id;
    info->xdp.ifindex = from->attached ? from->ifindex : 0;
}

ebpf_result_t lib_info_fill_prog(const struct proto_object_info_reply *from, struct bpf_prog_info *info)
{
    struct bpf_prog_info given = *info;
    TRY(lib_info_copy_map_ids(from, (void *)(uintptr_t)given.map_ids, given.nr_map_ids));
    memset(info, 0, sizeof(*info));
    info->type = lib_prog_type_number(from->type);
    info->id = from->id;
    memcpy(info->tag, from->tag, sizeof(info->tag));
    info->xlated_prog_len = from->insn_count * INSN_SLOT_SIZE;
    info->load_time = from->load_time_ns;
    info->nr_map_ids = from->map_count;
    info->map_ids = given.map_ids;
    str_copy(info->name, sizeof(info->name), from->name); // 15 bytes of it, as on Linux
    info->run_time_ns = from->run_time_ns;
    info->run_cnt = from->run_count;
    return EBPF_SUCCESS;
}
