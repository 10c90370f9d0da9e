// SPDX-License-Identifier: MIT
// service_process: the verification service as a child process. It is trusted with nothing: it gets a request
// and must answer within the time limit, or it is killed and started anew for the next request. Linux.
#pragma once

#include "base/base.h"
#include "core/core.h"

struct service_process;

struct service_process_options {
    const char *path;    // of ebpfsvc
    uint32_t timeout_ms; // for one verification
    int stop_fd;         // readable: give up
};

// Starts the service. EBPF_FILE_NOT_FOUND: there is no such program.
ebpf_result_t service_process_create(const struct service_process_options *options,
                                     struct service_process **out) MUST_CHECK;
void service_process_destroy(struct service_process *s); // kills and reaps it
// Has the service judge a PROG_LOAD request. Always gives a verdict; that of a service that died is
// EBPF_RPC_EXCEPTION, of one that was too slow EBPF_TIMEOUT, each with a text. Memory comes from `arena`,
// except when it is exhausted. One request at a time; others wait.
void service_process_judge(struct service_process *s, const void *request, size_t size, struct arena *arena,
                           struct core_verdict *out);
