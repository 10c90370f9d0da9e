// SPDX-License-Identifier: MIT
// service_worker on Windows: a child process with one end of a pipe, confined from before its first
// instruction (service_confine.h). Invariant: the job ends the process when its last handle, ours, is closed,
// however this process ends.
#include <stdlib.h>
#include <windows.h>

#include "hosts/service_confine.h"
#include "hosts/service_pipe.h"
#include "hosts/service_worker.h"
#include "plat/plat.h"

#define END_WAIT_MS 5000 // for a process that was terminated; longer than any takes

struct worker {
    const struct worker_options *options;
    struct confined_process process;
    HANDLE pipe;
};

struct worker_gate {
    HANDLE places; // semaphore, counts free places
};

ebpf_result_t worker_check(const struct worker_options *options)
{
    UNUSED(options); // each protection is asked for, and what the system does not have is not missed
    return EBPF_SUCCESS;
}

static ebpf_result_t from_error(DWORD error)
{
    switch (error) {
    case ERROR_SUCCESS: return EBPF_SUCCESS;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_BAD_EXE_FORMAT:
    case ERROR_ACCESS_DENIED: return EBPF_FILE_NOT_FOUND;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT: return EBPF_NO_MEMORY;
    default: return EBPF_OUT_OF_SPACE;
    }
}

ebpf_result_t worker_start(const struct worker_options *options, struct worker **out)
{
    ebpf_result_t result;
    HANDLE theirs = NULL;
    struct worker *w = plat_alloc(sizeof(*w), POOL_TAG_CORE);
    if (w == NULL) {
        return EBPF_NO_MEMORY;
    }
    w->options = options;
    TRY_OR(result, pipe_create(&w->pipe, &theirs), undo_worker);
    result = from_error(confine_start(options->path, theirs, &w->process));
    CloseHandle(theirs); // ours would keep the pipe whole when the worker has died
    if (result != EBPF_SUCCESS) {
        goto undo_pipe;
    }
    *out = w;
    return EBPF_SUCCESS;

undo_pipe:
    CloseHandle(w->pipe);
undo_worker:
    plat_free(w);
    return result;
}

// --- ending --------------------------------------------------------------------------------------

// Statuses with the two high bits are NTSTATUS errors: unhandled exceptions.
static void describe_death(DWORD status, char how[WORKER_HOW_SIZE])
{
    if (status >= 0xC0000000u) {
        str_format(how, WORKER_HOW_SIZE, "crashed (exception 0x%08x)", (unsigned)status);
    } else if (status == CONFINED_KILLED) {
        str_copy(how, WORKER_HOW_SIZE, "was killed");
    } else {
        str_format(how, WORKER_HOW_SIZE, "ended (status %u)", (unsigned)status);
    }
}

void worker_end(struct worker *w, char how[WORKER_HOW_SIZE])
{
    DWORD status = CONFINED_KILLED;
    CloseHandle(w->pipe);
    TerminateProcess(w->process.process, CONFINED_KILLED); // keeps the status of one that has ended
    if (WaitForSingleObject(w->process.process, END_WAIT_MS) == WAIT_OBJECT_0) {
        GetExitCodeProcess(w->process.process, &status);
    }
    if (how != NULL) {
        describe_death(status, how);
    }
    confine_close(&w->process);
    plat_free(w);
}

// --- asking --------------------------------------------------------------------------------------

static struct pipe pipe_of(const struct worker *w)
{
    return (struct pipe){w->pipe, (HANDLE)w->options->stop, w->options->timeout_ms};
}

bool worker_is_idle(struct worker *w)
{
    struct pipe p = pipe_of(w);
    return WaitForSingleObject(w->process.process, 0) == WAIT_TIMEOUT && pipe_is_quiet(&p);
}

static bool is_stopped(const struct worker_options *options)
{
    return WaitForSingleObject((HANDLE)options->stop, 0) == WAIT_OBJECT_0;
}

// A worker that dies closes its pipe before it has ended; its exit status is worth a moment.
static void await_end(const struct worker *w)
{
    WaitForSingleObject(w->process.process, 1000);
}

ebpf_result_t worker_ask(struct worker *w, const void *request, size_t size, struct worker_reply *out)
{
    struct pipe p = pipe_of(w);
    ebpf_result_t result = pipe_send(&p, request, size);
    if (result == EBPF_SUCCESS) {
        result = pipe_receive(&p, &out->bytes, &out->size);
    }
    if (result == EBPF_CANCELED && !is_stopped(w->options)) {
        result = EBPF_RPC_EXCEPTION; // its end of the pipe is an end within our exchange
    }
    if (result == EBPF_RPC_EXCEPTION) {
        await_end(w);
    }
    return result;
}

// --- gate ----------------------------------------------------------------------------------------

ebpf_result_t worker_gate_create(unsigned places, struct worker_gate **out)
{
    struct worker_gate *gate = plat_alloc(sizeof(*gate), POOL_TAG_CORE);
    if (gate == NULL) {
        return EBPF_NO_MEMORY;
    }
    gate->places = CreateSemaphoreW(NULL, (LONG)places, (LONG)places, NULL);
    if (gate->places == NULL) {
        plat_free(gate);
        return EBPF_OUT_OF_SPACE;
    }
    *out = gate;
    return EBPF_SUCCESS;
}

void worker_gate_destroy(struct worker_gate *gate)
{
    CloseHandle(gate->places);
    plat_free(gate);
}

ebpf_result_t worker_gate_enter(struct worker_gate *gate, const struct worker_options *options)
{
    HANDLE handles[2] = {(HANDLE)options->stop, gate->places}; // the first one signalled counts
    return WaitForMultipleObjects(2, handles, FALSE, INFINITE) == WAIT_OBJECT_0 + 1 ? EBPF_SUCCESS
                                                                                    : EBPF_CANCELED;
}

void worker_gate_leave(struct worker_gate *gate)
{
    ReleaseSemaphore(gate->places, 1, NULL);
}
