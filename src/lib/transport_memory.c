// SPDX-License-Identifier: MIT
// transport_memory: asks for a map's memory and takes the reply apart.
#include "lib/transport_memory.h"

#include <stdlib.h>

#include "plat/plat.h"

struct memory_message {
    struct proto_header header;
    struct proto_map_memory_request fixed;
};

static ebpf_result_t read_reply(const void *bytes, size_t size, struct transport_memory *out)
{
    struct proto_header header;
    struct proto_map_memory_reply reply;
    const void *fixed;
    const uint8_t *tail;
    size_t tail_size;
    if (proto_reply_check(PROTO_MAP_MEMORY, bytes, size, &header, &fixed, &tail, &tail_size) !=
        EBPF_SUCCESS) {
        return EBPF_RPC_EXCEPTION;
    }
    if (header.result != EBPF_SUCCESS) {
        return (ebpf_result_t)header.result;
    }
    memcpy(&reply, fixed, sizeof(reply));
    if (reply.size == 0 || reply.size > SIZE_MAX || reply.address > UINTPTR_MAX) {
        return EBPF_RPC_EXCEPTION;
    }
    out->address = reply.address;
    out->size = (size_t)reply.size;
    return EBPF_SUCCESS;
}

// Who closes a descriptor that came with no use: the transport, because only it knows what it is.
ebpf_result_t transport_request_memory(struct transport *t, int fd, bool writable,
                                       struct transport_memory *out)
{
    struct memory_message message = {.header = {.magic = PROTO_MAGIC,
                                                .version = PROTO_WIRE_VERSION,
                                                .op = PROTO_MAP_MEMORY,
                                                .size = sizeof(message),
                                                .objects = 1},
                                     .fixed = {.writable = writable}};
    struct transport_memory memory = {.fd = -1};
    void *reply = NULL;
    size_t reply_size = 0;
    TRY(t->ops->call(t, &message, sizeof(message), &fd, 1, &reply, &reply_size, &memory.fd));
    ebpf_result_t result = read_reply(reply, reply_size, &memory);
    free(reply);
    if (result != EBPF_SUCCESS && memory.fd >= 0) {
        t->ops->close_fd(t, memory.fd);
    }
    if (result == EBPF_SUCCESS) {
        *out = memory;
    }
    return result;
}

ebpf_result_t transport_map_by_address(struct transport *t, int fd, bool writable, void **address,
                                       size_t *size)
{
    struct transport_memory memory;
    TRY(transport_request_memory(t, fd, writable, &memory));
    if (memory.fd >= 0) {
        t->ops->close_fd(t, memory.fd);
    }
    if (memory.fd >= 0 || memory.address == 0) {
        return EBPF_RPC_EXCEPTION;
    }
    *address = (void *)(uintptr_t)memory.address;
    *size = memory.size;
    return EBPF_SUCCESS;
}
