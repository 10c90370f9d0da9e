// SPDX-License-Identifier: MIT
// core_map: handlers of the map operations. Sizes of keys and values come from the map, never from the
// request.
#include "core/core_int.h"

ebpf_result_t handle_MAP_CREATE(struct execution *x)
{
    struct proto_map_create_request request;
    struct proto_new_object *reply = core_make_reply(x, 0, NULL);
    struct map *map = NULL;
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    core_get_fixed(x, &request);
    TRY(map_create(x->core->runtime, &request.def, &map));
    core_give_object(x, map_object(map), reply);
    return EBPF_SUCCESS;
}

static uint32_t key_size(const struct map *map)
{
    struct map_info info;
    map_info(map, &info);
    return info.def.key_size;
}

ebpf_result_t handle_MAP_LOOKUP(struct execution *x)
{
    struct proto_map_lookup_request request;
    struct map *map = core_map(x, 0);
    uint8_t *value = NULL;
    core_get_fixed(x, &request);
    if (x->request.tail_size != key_size(map) || request.delete_too > 1) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (core_make_reply(x, map_user_value_size(map), &value) == NULL) {
        return EBPF_NO_MEMORY;
    }
    return request.delete_too != 0 ? map_user_lookup_and_delete(map, x->request.tail, value)
                                   : map_user_lookup(map, x->request.tail, value);
}

ebpf_result_t handle_MAP_UPDATE(struct execution *x)
{
    struct proto_map_update_request request;
    struct map *map = core_map(x, 0);
    core_get_fixed(x, &request);
    if (request.key_size != key_size(map) || x->request.tail_size < request.key_size ||
        x->request.tail_size - request.key_size != map_user_value_size(map)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (core_make_reply(x, 0, NULL) == NULL) {
        return EBPF_NO_MEMORY;
    }
    return map_user_update(map, x->request.tail, x->request.tail + request.key_size, request.flags);
}

ebpf_result_t handle_MAP_DELETE(struct execution *x)
{
    struct map *map = core_map(x, 0);
    if (x->request.tail_size != key_size(map)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (core_make_reply(x, 0, NULL) == NULL) {
        return EBPF_NO_MEMORY;
    }
    return map_user_delete(map, x->request.tail);
}

ebpf_result_t handle_MAP_NEXT_KEY(struct execution *x)
{
    struct map *map = core_map(x, 0);
    uint32_t size = key_size(map);
    uint8_t *next = NULL;
    if (x->request.tail_size != 0 && x->request.tail_size != size) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (core_make_reply(x, size, &next) == NULL) {
        return EBPF_NO_MEMORY;
    }
    return map_user_next_key(map, x->request.tail_size != 0 ? x->request.tail : NULL, next);
}

ebpf_result_t handle_MAP_FREEZE(struct execution *x)
{
    return core_make_reply(x, 0, NULL) == NULL ? EBPF_NO_MEMORY : map_freeze(core_map(x, 0));
}

ebpf_result_t handle_MAP_SET_PROGRAM(struct execution *x)
{
    struct proto_map_set_program_request request;
    struct map *map = core_map(x, 0);
    core_get_fixed(x, &request);
    if (x->request.tail_size != key_size(map)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (core_make_reply(x, 0, NULL) == NULL) {
        return EBPF_NO_MEMORY;
    }
    return map_user_set_program(map, x->request.tail, core_prog(x, 1), request.flags);
}
