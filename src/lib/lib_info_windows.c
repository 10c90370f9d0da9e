// SPDX-License-Identifier: MIT
// lib_info_windows: struct bpf_*_info of bpf/bpf_windows.h.
#include "lib/lib_info.h"

void lib_info_fill_map(const struct proto_object_info_reply *from, struct bpf_map_info *info)
{
    memset(info, 0, sizeof(*info));
    info->id = from->id;
    info->type = (enum bpf_map_type)lib_map_type_number(from->type);
    info->key_size = from->key_size;
    info->value_size = from->value_size;
    info->max_entries = from->max_entries;
    info->map_flags = from->map_flags;
    info->pinned_path_count = from->pin_count;
    str_copy(info->name, sizeof(info->name), from->name);
}

static void fill_attach_guid(uint32_t attach_type, struct bpf_guid *guid)
{
    const struct spec_view *v = spec_builtin();
    if (attach_type < v->attach_type_count) {
        memcpy(guid, &v->attach_types[attach_type].guid, sizeof(*guid));
    }
}

static void fill_prog_guid(uint32_t prog_type, struct bpf_guid *guid)
{
    const struct spec_view *v = spec_builtin();
    if (prog_type < v->prog_type_count) {
        memcpy(guid, &v->prog_types[prog_type].guid, sizeof(*guid));
    }
}

void lib_info_fill_link(const struct proto_object_info_reply *from, struct bpf_link_info *info)
{
    const struct spec_view *v = spec_builtin();
    memset(info, 0, sizeof(*info));
    info->id = from->id;
    info->prog_id = from->prog_id;
    info->type = from->attach_type == ATTACH_TYPE_XDP ? BPF_LINK_TYPE_XDP : BPF_LINK_TYPE_PLAIN;
    info->attach_type = (enum bpf_attach_type)lib_attach_type_number(from->attach_type);
    fill_attach_guid(from->attach_type, &info->attach_type_uuid);
    if (from->attach_type < v->attach_type_count) {
        fill_prog_guid(v->attach_types[from->attach_type].prog_type, &info->program_type_uuid);
    }
    info->xdp.ifindex = from->attached ? from->ifindex : 0;
}

ebpf_result_t lib_info_fill_prog(const struct proto_object_info_reply *from, struct bpf_prog_info *info)
{
    struct bpf_prog_info given = *info;
    TRY(lib_info_copy_map_ids(from, (void *)given.map_ids, given.nr_map_ids));
    memset(info, 0, sizeof(*info));
    info->id = from->id;
    info->type = (enum bpf_prog_type)lib_prog_type_number(from->type);
    info->nr_map_ids = from->map_count;
    info->map_ids = given.map_ids;
    fill_prog_guid(from->type, &info->type_uuid);
    fill_attach_guid(from->attach_type, &info->attach_type_uuid);
    info->pinned_path_count = from->pin_count;
    info->link_count = from->link_count;
    str_copy(info->name, sizeof(info->name), from->name);
    return EBPF_SUCCESS;
}
