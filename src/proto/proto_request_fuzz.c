// SPDX-License-Identifier: MIT
// Fuzzes the request and reply checks. Input: a kind for each of four objects, the operation of a reply, the
// message.
#include <stdlib.h>

#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const uint8_t *kinds, const uint8_t *bytes, size_t size)
{
    struct proto_request request;
    struct proto_header header;
    if (size < sizeof(header)) {
        if (proto_request_check(bytes, size, kinds, 0, &request) == EBPF_SUCCESS) {
            abort();
        }
        return;
    }
    memcpy(&header, bytes, sizeof(header));
    if (proto_request_check(bytes, size, kinds, header.objects % 5, &request) == EBPF_SUCCESS) {
        const uint8_t *fixed = request.fixed;
        if (fixed + request.row->request_size != request.tail ||
            request.tail + request.tail_size != bytes + size) {
            abort();
        }
    }
}

static void check_reply(uint8_t op, const uint8_t *bytes, size_t size)
{
    struct proto_header header;
    const void *fixed;
    const uint8_t *tail;
    size_t tail_size;
    if (proto_reply_check(op, bytes, size, &header, &fixed, &tail, &tail_size) == EBPF_SUCCESS) {
        if (tail + tail_size != bytes + size || (fixed == NULL && tail_size != 0)) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { KINDS = 4, PREFIX = KINDS + 1 };
    if (size >= PREFIX) {
        check_request(data, data + PREFIX, size - PREFIX);
        check_reply(data[KINDS], data + PREFIX, size - PREFIX);
    }
    return 0;
}
