// SPDX-License-Identifier: MIT
// transport_memory: MAP_MEMORY requests, for transports whose `call` does the rest.
#pragma once

#include "lib/transport.h"

// What a MAP_MEMORY request has brought. An object never comes with such a reply, so a descriptor that does
// is the memory's.
struct transport_memory {
    uint64_t address;
    size_t size;
    int fd; // the caller's to close, or -1
};
// EBPF_RPC_EXCEPTION: the reply is none.
ebpf_result_t transport_request_memory(struct transport *t, int fd, bool writable,
                                       struct transport_memory *out) MUST_CHECK;
