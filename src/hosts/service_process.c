// SPDX-License-Identifier: MIT
// service_process: asks, kills and replaces workers. Invariants: a slot is used by the thread that marked it
// busy under the lock, and by nobody else; its worker exists exactly while `worker` is not NULL; as many
// threads hold slots as the gate has let in.
#include "hosts/service_process.h"

#include <stdlib.h>

#include "plat/plat.h"
#include "service/service.h"

struct slot {
    struct worker *worker;
    uint32_t cookie;
    bool busy; // under the lock
};

struct service_process {
    struct service_process_options options;
    struct plat_mutex lock;
    struct worker_gate *gate;
    unsigned count;
    struct slot slots[SERVICE_MAX_WORKERS];
};

// --- starting and ending -------------------------------------------------------------------------

static void end_worker(struct slot *slot, char how[WORKER_HOW_SIZE])
{
    if (slot->worker != NULL) {
        worker_end(slot->worker, how);
        slot->worker = NULL;
    }
}

static ebpf_result_t ensure_running(struct service_process *s, struct slot *slot)
{
    if (slot->worker != NULL && worker_is_idle(slot->worker)) {
        return EBPF_SUCCESS;
    }
    end_worker(slot, NULL);
    return worker_start(&s->options.worker, &slot->worker);
}

// A second one also where there is one CPU: a quick load then shares it with a slow one.
static unsigned choose_count(unsigned wanted)
{
    uint32_t cpus = plat_cpu_count();
    unsigned count = wanted != 0 ? wanted : cpus > 2 ? cpus : 2;
    return count < SERVICE_MAX_WORKERS ? count : SERVICE_MAX_WORKERS;
}

static ebpf_result_t start_first(struct service_process *s)
{
    TRY(worker_check(&s->options.worker));
    for (unsigned i = 0; i < s->count && i < s->options.prestart; i++) {
        TRY(worker_start(&s->options.worker, &s->slots[i].worker));
    }
    return EBPF_SUCCESS;
}

static void end_all(struct service_process *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        end_worker(&s->slots[i], NULL);
    }
}

ebpf_result_t service_process_create(const struct service_process_options *options,
                                     struct service_process **out)
{
    ebpf_result_t result;
    struct service_process *s = plat_alloc(sizeof(*s), POOL_TAG_CORE);
    if (s == NULL) {
        return EBPF_NO_MEMORY;
    }
    s->options = *options;
    s->count = choose_count(options->workers);
    TRY_OR(result, worker_gate_create(s->count, &s->gate), undo_service);
    TRY_OR(result, start_first(s), undo_workers);
    plat_mutex_init(&s->lock);
    *out = s;
    return EBPF_SUCCESS;

undo_workers:
    end_all(s);
    worker_gate_destroy(s->gate);
undo_service:
    plat_free(s);
    return result;
}

void service_process_destroy(struct service_process *s)
{
    end_all(s);
    plat_mutex_fini(&s->lock);
    worker_gate_destroy(s->gate);
    plat_free(s);
}

// --- slots ---------------------------------------------------------------------------------------

// The gate guarantees a free one. The lowest, so that a quiet system keeps one worker warm.
static struct slot *take_slot(struct service_process *s)
{
    struct slot *slot = s->slots;
    plat_mutex_acquire(&s->lock);
    while (slot->busy) {
        slot++;
    }
    slot->busy = true;
    plat_mutex_release(&s->lock);
    return slot;
}

static void leave_slot(struct service_process *s, struct slot *slot)
{
    plat_mutex_acquire(&s->lock);
    slot->busy = false;
    plat_mutex_release(&s->lock);
    worker_gate_leave(s->gate);
}

// --- asking --------------------------------------------------------------------------------------

static ebpf_result_t take_reply(const struct worker_reply *reply, uint32_t cookie, struct arena *arena,
                                struct core_verdict *out)
{
    struct proto_header header;
    struct service_verdict v;
    void *copy = arena_copy(arena, reply->bytes, reply->size);
    if (copy == NULL) {
        return EBPF_NO_MEMORY;
    }
    memcpy(&header, copy, sizeof(header));
    if (header.cookie != cookie || service_decode(copy, reply->size, &v) != EBPF_SUCCESS) {
        return EBPF_INVALID_ARGUMENT;
    }
    *out = (struct core_verdict){.result = v.result,
                                 .evidence = {v.evidence, v.evidence_size},
                                 .text = v.text,
                                 .json = v.json,
                                 .states = v.states,
                                 .peak_kb = v.peak_kb,
                                 .time_us = v.time_us};
    return EBPF_SUCCESS;
}

// Asks the slot's worker and gives its verdict.
static ebpf_result_t judge(struct slot *slot, uint8_t *request, size_t size, struct arena *arena,
                           struct core_verdict *out)
{
    struct proto_header header;
    struct worker_reply reply;
    memcpy(&header, request, sizeof(header));
    header.objects = 0; // references stay here
    header.cookie = ++slot->cookie;
    memcpy(request, &header, sizeof(header));
    TRY(worker_ask(slot->worker, request, size, &reply));
    ebpf_result_t result = take_reply(&reply, header.cookie, arena, out);
    free(reply.bytes);
    return result;
}

// --- when it fails -------------------------------------------------------------------------------

static void say(struct arena *arena, ebpf_result_t result, const char *text, struct core_verdict *out)
{
    char *copy = arena_strdup(arena, text);
    *out = (struct core_verdict){.result = result, .text = copy != NULL ? copy : "", .json = "[]"};
}

static void say_ending(const struct service_process *s, struct arena *arena, struct core_verdict *out)
{
    char text[64];
    str_format(text, sizeof(text), "the %s is ending\n", s->options.host);
    say(arena, EBPF_CANCELED, text, out);
}

// Why the exchange with a worker failed that then ended as `how` says.
static void describe_failure(ebpf_result_t result, const char *how, uint32_t timeout_ms, char *text,
                             size_t size)
{
    switch (result) {
    case EBPF_TIMEOUT: str_format(text, size, "the verification took longer than %u ms", timeout_ms); break;
    case EBPF_NO_MEMORY: str_copy(text, size, "no memory for the verdict"); break;
    case EBPF_RPC_EXCEPTION:
        str_format(text, size, "the verification service %s while it judged this program", how);
        break;
    default: str_copy(text, size, "the verification service did not answer as it should"); break;
    }
}

static bool is_known_failure(ebpf_result_t result)
{
    return result == EBPF_TIMEOUT || result == EBPF_NO_MEMORY || result == EBPF_RPC_EXCEPTION;
}

static void give_up(struct service_process *s, struct slot *slot, ebpf_result_t result, struct arena *arena,
                    struct core_verdict *out)
{
    char how[WORKER_HOW_SIZE], text[300];
    end_worker(slot, how);
    if (result == EBPF_CANCELED) {
        say_ending(s, arena, out);
        return;
    }
    describe_failure(result, how, s->options.worker.timeout_ms, text, sizeof(text));
    size_t used = str_len(text);
    str_copy(text + used, sizeof(text) - used, "; the next load starts it again\n");
    say(arena, is_known_failure(result) ? result : EBPF_RPC_EXCEPTION, text, out);
}

static void refuse_start(const struct service_process *s, ebpf_result_t result, struct arena *arena,
                         struct core_verdict *out)
{
    char text[400];
    str_format(text, sizeof(text), "the verification service %s cannot be started: %s\n",
               s->options.worker.path, result_row(result)->sentence);
    say(arena, EBPF_RPC_EXCEPTION, text, out);
}

static void judge_in_slot(struct service_process *s, struct slot *slot, uint8_t *request, size_t size,
                          struct arena *arena, struct core_verdict *out)
{
    ebpf_result_t result = ensure_running(s, slot);
    if (result != EBPF_SUCCESS) {
        refuse_start(s, result, arena, out);
        return;
    }
    result = judge(slot, request, size, arena, out);
    if (result != EBPF_SUCCESS) {
        give_up(s, slot, result, arena, out);
    }
}

void service_process_judge(struct service_process *s, const void *request, size_t size, struct arena *arena,
                           struct core_verdict *out)
{
    uint8_t *copy = arena_copy(arena, request, size);
    if (copy == NULL) {
        say(arena, EBPF_NO_MEMORY, "", out);
        return;
    }
    if (worker_gate_enter(s->gate, &s->options.worker) != EBPF_SUCCESS) {
        say_ending(s, arena, out);
        return;
    }
    struct slot *slot = take_slot(s);
    judge_in_slot(s, slot, copy, size, arena, out);
    leave_slot(s, slot);
}
