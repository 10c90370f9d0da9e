// SPDX-License-Identifier: MIT
// core_memory: mapped memory of maps. Where the execution context can map into the client by itself the reply
// is an address there; a host that serves other processes over a socket gets a descriptor to send instead.
#include "core/core_int.h"

static ebpf_result_t make_view(struct execution *x, const struct map_memory *memory,
                               struct proto_map_memory_reply *reply)
{
    void *address = NULL;
    if (x->core->options.memory_by_fd) {
        x->call->memory_fd = plat_shared_fd(memory->shared, memory->writable);
        return x->call->memory_fd >= 0 ? EBPF_SUCCESS : EBPF_OUT_OF_SPACE;
    }
    TRY(plat_shared_map(memory->shared, memory->writable, &address));
    reply->address = (uintptr_t)address;
    return EBPF_SUCCESS;
}

ebpf_result_t handle_MAP_MEMORY(struct execution *x)
{
    struct proto_map_memory_request request;
    struct proto_map_memory_reply *reply = core_make_reply(x, 0, NULL);
    struct map *map = core_map(x, 0);
    struct map_memory memory;
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    core_get_fixed(x, &request);
    if (request.writable > 1) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(map_user_open_memory(map, request.writable != 0, &memory));
    reply->size = memory.size;
    ebpf_result_t result = make_view(x, &memory, reply);
    if (result != EBPF_SUCCESS) {
        map_user_undo_memory(map, &memory);
    }
    return result;
}
