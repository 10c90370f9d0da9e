// SPDX-License-Identifier: MIT
// service_process: the verification service as a few child processes, so that loads do not queue behind one
// slow program. They are trusted with nothing: one gets a request and must answer within the time limit, or
// it is killed and started anew for the next request.
#pragma once

#include "base/base.h"
#include "core/core.h"
#include "hosts/service_worker.h"

#define SERVICE_MAX_WORKERS 4

struct service_process;

struct service_process_options {
    struct worker_options worker;
    const char *host;  // what ends when `stop` is signalled, for its texts: "daemon"
    unsigned workers;  // 0: as many as CPUs, but at least 2; SERVICE_MAX_WORKERS at most
    unsigned prestart; // so many start at once, the others with the first request that needs them
};

// Starts the service. EBPF_FILE_NOT_FOUND: there is no such program. EBPF_OPERATION_NOT_SUPPORTED: it cannot
// be confined here.
ebpf_result_t service_process_create(const struct service_process_options *options,
                                     struct service_process **out) MUST_CHECK;
void service_process_destroy(struct service_process *s); // kills and reaps; nobody may be waiting for it
// Has the service judge a PROG_LOAD request. Always gives a verdict; that of a worker that died is
// EBPF_RPC_EXCEPTION, of one that was too slow EBPF_TIMEOUT, each with a text. Memory comes from `arena`,
// except when it is exhausted. Thread-safe; waits while all workers are busy.
void service_process_judge(struct service_process *s, const void *request, size_t size, struct arena *arena,
                           struct core_verdict *out);
