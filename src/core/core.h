// SPDX-License-Identifier: MIT
// core: the door of the execution context: executes requests of the proto table on the runtime. Kernel-safe.
#pragma once

#include "base/base.h"
#include "proto/proto.h"
#include "runtime/runtime.h"

struct core;

struct core_options {
    struct runtime_options runtime;
    uint32_t platform; // enum dialect that is the default here
    // Fills a HOOK_NEXT reply for a hook's attachment points; NULL: none. EBPF_NO_MORE_KEYS at the end.
    ebpf_result_t (*hook_next)(void *user, const struct proto_hook_next_request *request,
                               struct proto_hook_next_reply *reply);
    void *hook_user;
};

ebpf_result_t core_create(const struct core_options *options, struct core **out) MUST_CHECK;
void core_destroy(struct core *core); // drops all pins
struct runtime *core_runtime(struct core *core);

// What the service said about a PROG_LOAD request; NULL elsewhere. A PROG_LOAD without a verdict is refused.
struct core_verdict {
    ebpf_result_t result; // EBPF_SUCCESS or EBPF_VERIFICATION_FAILED
    struct evidence evidence;
    const char *text, *json; // findings; may be ""
    uint32_t states, peak_kb;
    uint64_t time_us;
};

struct core_call {
    const void *request; // whole message
    size_t request_size;
    struct object *const *objects;
    unsigned object_count;
    const struct core_verdict *verdict;
    struct arena *arena; // scratch and reply memory, reset by the caller
    // Whether nobody waits for the reply any more; long requests ask now and then. NULL: somebody always
    // does.
    bool (*is_abandoned)(void *user);
    void *user;
    // out
    void *reply; // whole message in `arena`
    size_t reply_size;
    struct object *new_object; // one reference for the caller, or NULL
};
// Executes one request. Fails only when not even an error reply could be made (no memory); every other
// failure is the result in the reply's header. IRQL = PASSIVE.
ebpf_result_t core_execute(struct core *core, struct core_call *call) MUST_CHECK;
