// SPDX-License-Identifier: MIT
// service_worker: one verifying process as its parent sees it, and the gate before several of them. A worker
// is trusted with nothing: whatever it does, the parent waits no longer than it wants to, and then ends it.
// One implementation per platform: service_worker_linux.c, service_worker_windows.c.
#pragma once

#include "base/base.h"

struct worker;
struct worker_gate;

struct worker_options {
    const char *path;    // of the program, UTF-8
    uint32_t timeout_ms; // for one request
    // Signalled: give up. A descriptor that becomes readable (Linux), a handle of an event (Windows).
    intptr_t stop;
    bool unconfined; // Linux: without its sandbox. Windows confines as far as the system can.
};

struct worker_reply {
    uint8_t *bytes; // malloc'ed
    size_t size;
};

#define WORKER_HOW_SIZE 120

// Whether workers can confine themselves on this system; says on stderr why not.
// EBPF_OPERATION_NOT_SUPPORTED, or what keeps the program from starting.
ebpf_result_t worker_check(const struct worker_options *options) MUST_CHECK;
// EBPF_FILE_NOT_FOUND: there is no such program. EBPF_OUT_OF_SPACE, EBPF_NO_MEMORY. `options` outlives it.
ebpf_result_t worker_start(const struct worker_options *options, struct worker **out) MUST_CHECK;
// Ends it at once, waits for its end and frees. `how` (NULL allowed) is what became of it, as the end of a
// sentence: "crashed (signal 11)".
void worker_end(struct worker *w, char how[WORKER_HOW_SIZE]);
// Whether it is there and quiet; one that died or talks out of turn while idle is no reason to fail a load.
bool worker_is_idle(struct worker *w);
// Sends a message and waits for one. EBPF_TIMEOUT, EBPF_CANCELED (stop), EBPF_RPC_EXCEPTION (it died),
// EBPF_NO_MEMORY, others: what came is no message. After a failure it can only be ended.
ebpf_result_t worker_ask(struct worker *w, const void *request, size_t size,
                         struct worker_reply *out) MUST_CHECK;

// Lets `places` threads in at a time.
ebpf_result_t worker_gate_create(unsigned places, struct worker_gate **out) MUST_CHECK;
void worker_gate_destroy(struct worker_gate *gate);
// Waits for a place; EBPF_CANCELED when options->stop is signalled.
ebpf_result_t worker_gate_enter(struct worker_gate *gate, const struct worker_options *options) MUST_CHECK;
void worker_gate_leave(struct worker_gate *gate);
