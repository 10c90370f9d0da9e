// SPDX-License-Identifier: MIT
// provider: the one door through which hooks (built in and third-party) meet the runtime. A provider offers
// one attach type; the runtime calls `attach` when a link is made, the hook invokes programs through the
// link.
#pragma once

#include "base/base.h"
#include "spec/spec.h"

struct link;
struct runtime;

// Parameters of an attachment, as the client gave them; layout defined by the attach type.
struct attach_params {
    uint32_t ifindex; // xdp: interface
    uint32_t flags;   // attach-type specific
};

struct hook_provider {
    const char *name;     // for people
    uint32_t attach_type; // enum attach_type
    uint32_t max_links;   // links per attachment point; 1 = exclusive, 0 = no limit
    // Called at PASSIVE with no lock of the runtime held. `attach` makes `link` reachable for the hook and
    // sets *hook_context; after `detach` returns the hook starts no new invocation of `link` (running ones
    // are waited for by the epoch). `replace` needs no call: a link's program is swapped atomically.
    ebpf_result_t (*attach)(void *provider_context, struct link *link, const struct attach_params *params,
                            void **hook_context);
    void (*detach)(void *provider_context, void *hook_context);
    // Makes a native context for a test run on `buffer` of `capacity` bytes, of which `size` bytes from
    // `headroom` on are the data, and from `ctx_in` (may be NULL). NULL when test runs are not supported.
    ebpf_result_t (*context_create)(void *provider_context, uint8_t *buffer, size_t headroom, size_t size,
                                    size_t capacity, const void *ctx_in, size_t ctx_in_size, void **context);
    // Gives back the data range (inside the buffer) and the context as the client sees it: *ctx_out_size is
    // the room at `ctx_out` (which may be NULL: room 0), and becomes the number of bytes written.
    void (*context_destroy)(void *provider_context, void *context, const uint8_t **data, size_t *size,
                            void *ctx_out, size_t *ctx_out_size);
    void *provider_context;
};

// One provider per attach type. EBPF_OBJECT_ALREADY_EXISTS when taken. The structure must outlive the
// registration.
ebpf_result_t provider_register(struct runtime *rt, const struct hook_provider *provider) MUST_CHECK;
// Detaches all links of the provider, waits for running invocations.
void provider_unregister(struct runtime *rt, const struct hook_provider *provider);

// Runs the program of `link` on `context` (a structure of contexts.h). Returns r0 in *result.
// EBPF_INVALID_STATE when the link is detached, EBPF_INVALID_ARGUMENT when its data are longer than
// RUN_MAX_DATA. IRQL <= DISPATCH. Never blocks on PASSIVE work.
ebpf_result_t link_invoke(struct link *link, void *context, uint64_t *result) MUST_CHECK;
// Enters the epoch and a CPU slot once for several invocations ("many frames a wake-up").
void link_batch_begin(struct runtime *rt);
ebpf_result_t link_batch_invoke(struct link *link, void *context, uint64_t *result) MUST_CHECK;
void link_batch_end(struct runtime *rt);

// Dialect of the link's program: verdict numbers depend on it. Constant: link_update takes programs of the
// same dialect only. Valid while the link is attached, or in a batch.
enum dialect link_dialect(const struct link *link);
uint32_t link_id(const struct link *link);
