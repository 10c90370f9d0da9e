// SPDX-License-Identifier: MIT
// context: contexts as a client of a test run sees them, to and from the runtime's own, by layout row.
// Private.
#pragma once

#include "base/base.h"
#include "spec/contexts.h"
#include "spec/spec.h"

// The buffer of a test run, as hook_provider.context_create gets it: `buffer` has `capacity` bytes; the data
// are `size` bytes after the first `headroom`.
struct context_buffer {
    uint8_t *buffer;
    size_t headroom, size, capacity;
};

// A context of a test run: the runtime's structure (contexts.h) first.
struct test_context {
    union {
        struct run_data data;
        struct xdp_context xdp;
        struct bind_context bind;
        struct sample_context sample;
    } native;
    uint32_t layout; // how the client sees it: enum context_layout; LAYOUT_NONE: it gave no context
};

// Makes a test context whose data are those of `in` and whose scalar fields are those of `ctx_in`, the
// client's structure of `layout` (size 0: it gave none; all zero). Addresses in it are ignored: only the data
// of the run can be meant. EBPF_INVALID_ARGUMENT: the data do not lie in their buffer, or ctx_in is not
// exactly one structure.
ebpf_result_t context_create(const struct context_buffer *in, uint32_t layout, const void *ctx_in,
                             size_t ctx_in_size, struct test_context **out) MUST_CHECK;
// Gives back the data and, when the client gave a context and it fits, the context as it sees it with
// addresses as 0. *ctx_out_size: in the capacity of ctx_out, out the bytes written. The context, a struct
// test_context *, is gone afterwards. This is hook_provider.context_destroy of every hook.
void context_destroy(void *provider_context, void *context, const uint8_t **data, size_t *size, void *ctx_out,
                     size_t *ctx_out_size);
