// SPDX-License-Identifier: MIT
// lib_request: builds request messages, sends them through the process's transport and checks what comes
// back. The peer's bytes are validated here once; the rest of the library may rely on the fixed structures.
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lib_int.h"
#include "lib/transport.h"

static ebpf_result_t message_size(const struct lib_request *request, const struct proto_op_row *row,
                                  size_t *size)
{
    size_t total = sizeof(struct proto_header) + row->request_size;
    for (size_t i = 0; i < ARRAY_SIZE(request->tail); i++) {
        if (!add_size(total, request->tail[i].size, &total)) {
            return EBPF_ARITHMETIC_OVERFLOW;
        }
    }
    *size = total;
    return total <= PROTO_MAX_SIZE ? EBPF_SUCCESS : EBPF_ARITHMETIC_OVERFLOW;
}

static void append(uint8_t **end, const void *bytes, size_t size)
{
    if (size != 0) {
        memcpy(*end, bytes, size);
        *end += size;
    }
}

static ebpf_result_t build(const struct lib_request *request, uint8_t **message, size_t *size)
{
    const struct proto_op_row *row = proto_op_row((uint16_t)request->op);
    struct proto_header header = {
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = (uint16_t)request->op};
    uint8_t *bytes, *end;
    size_t total = 0;
    TRY(message_size(request, row, &total));
    bytes = end = lib_alloc(total);
    if (bytes == NULL) {
        return EBPF_NO_MEMORY;
    }
    header.size = (uint32_t)total;
    header.objects = request->fd_count;
    append(&end, &header, sizeof(header));
    append(&end, request->fixed, row->request_size);
    for (size_t i = 0; i < ARRAY_SIZE(request->tail); i++) {
        append(&end, request->tail[i].bytes, request->tail[i].size);
    }
    *message = bytes;
    *size = total;
    return EBPF_SUCCESS;
}

// A reply that says "new object" without bringing one, or brings one unasked, is no valid reply.
static ebpf_result_t check_reply(enum proto_op op, struct lib_reply *reply, size_t size)
{
    if (proto_reply_check((uint16_t)op, reply->bytes, size, &reply->header, &reply->fixed, &reply->tail,
                          &reply->tail_size) != EBPF_SUCCESS) {
        return EBPF_RPC_EXCEPTION;
    }
    return (reply->header.objects == 1) == (reply->fd >= 0) ? EBPF_SUCCESS : EBPF_RPC_EXCEPTION;
}

static atomic_bool lost; // and said so

// "Not found" would be taken for the object's absence, so that nobody answers is said aloud, once until
// somebody does, and becomes an I/O error.
static ebpf_result_t report_lost(ebpf_result_t result)
{
    if (!atomic_exchange(&lost, true)) {
        lib_warn("no execution context can be reached: %s (%s)\n", ebpf_result_text(result),
                 transport_advice(result));
    }
    return result == EBPF_OBJECT_NOT_FOUND ? EBPF_RPC_EXCEPTION : result;
}

static ebpf_result_t get_transport(struct transport **out)
{
    ebpf_result_t result = transport_get(out);
    return result == EBPF_SUCCESS ? result : report_lost(result);
}

static ebpf_result_t send(struct transport *t, const struct lib_request *request, const uint8_t *message,
                          size_t size, struct lib_reply *reply, size_t *reply_size)
{
    ebpf_result_t result = t->ops->call(t, message, size, request->fds, request->fd_count, &reply->bytes,
                                        reply_size, &reply->fd);
    if (result == EBPF_SUCCESS) {
        atomic_store(&lost, false);
    } else if (result == EBPF_OPERATION_NOT_SUPPORTED && !atomic_exchange(&lost, true)) {
        lib_warn("the execution context does not understand this library: they are of different versions\n");
    }
    return result == EBPF_OBJECT_NOT_FOUND ? report_lost(result) : result; // it has gone since
}

ebpf_result_t lib_exchange(const struct lib_request *request, struct lib_reply *reply)
{
    struct lib_reply r = {.fd = -1};
    struct transport *transport = NULL;
    uint8_t *message = NULL;
    size_t size = 0, reply_size = 0;
    TRY(get_transport(&transport));
    TRY(build(request, &message, &size));
    ebpf_result_t result = send(transport, request, message, size, &r, &reply_size);
    lib_free(message);
    if (result != EBPF_SUCCESS) {
        return result;
    }
    result = check_reply(request->op, &r, reply_size);
    if (result != EBPF_SUCCESS) {
        lib_close_fd(r.fd);
        lib_reply_free(&r);
        return result;
    }
    *reply = r;
    return EBPF_SUCCESS;
}

ebpf_result_t lib_call(const struct lib_request *request, struct lib_reply *reply)
{
    struct lib_reply r;
    TRY(lib_exchange(request, &r));
    if (r.header.result != EBPF_SUCCESS) {
        ebpf_result_t result = (ebpf_result_t)r.header.result;
        lib_reply_free(&r);
        return result;
    }
    *reply = r;
    return EBPF_SUCCESS;
}

// Transports make replies with malloc.
void lib_reply_free(struct lib_reply *reply)
{
    free(reply->bytes);
    reply->bytes = NULL;
}

ebpf_result_t lib_call_simple(enum proto_op op, const void *fixed, const int *fds, unsigned fd_count,
                              void *out, size_t out_size)
{
    struct lib_request request = {.op = op, .fixed = fixed, .fds = fds, .fd_count = fd_count};
    struct lib_reply reply;
    TRY(lib_call(&request, &reply));
    if (out_size != 0) {
        memcpy(out, reply.fixed, out_size);
    }
    lib_reply_free(&reply);
    return EBPF_SUCCESS;
}

ebpf_result_t lib_call_new(enum proto_op op, const void *fixed, const int *fds, unsigned fd_count, int *fd)
{
    struct lib_request request = {.op = op, .fixed = fixed, .fds = fds, .fd_count = fd_count};
    struct lib_reply reply;
    TRY(lib_call(&request, &reply));
    *fd = reply.fd;
    lib_reply_free(&reply);
    return EBPF_SUCCESS;
}

ebpf_result_t lib_object_info(int fd, struct proto_object_info_reply *info)
{
    struct proto_empty fixed = {0};
    return lib_call_simple(PROTO_OBJECT_INFO, &fixed, &fd, 1, info, sizeof(*info));
}

ebpf_result_t lib_dup_fd(int fd, int *out)
{
    struct transport *transport = NULL;
    TRY(get_transport(&transport));
    return transport->ops->dup_fd(transport, fd, out);
}

ebpf_result_t lib_map_memory(int fd, bool writable, void **address, size_t *size)
{
    struct transport *transport = NULL;
    TRY(get_transport(&transport));
    return transport->ops->map_memory(transport, fd, writable, address, size);
}

void lib_close_fd(int fd)
{
    struct transport *transport = NULL;
    if (fd >= 0 && transport_get(&transport) == EBPF_SUCCESS) {
        transport->ops->close_fd(transport, fd);
    }
}
