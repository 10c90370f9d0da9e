// SPDX-License-Identifier: MIT
// test_run: runs a program on data of the client's, outside its hook. The type's provider makes the context;
// raw programs get the data itself.
#include "runtime/runtime_int.h"

#define HEADROOM       256u     // Linux: XDP_PACKET_HEADROOM
#define DATA_ROOM      3520u    // at least so much for data and growth, as a Linux page has
#define RUNS_PER_EPOCH 64u      // long tests must not stop reclamation
#define EPOCH_NS       500000u  // nor keep a processor at DISPATCH for longer than a run takes
#define ASK_EVERY_NS   5000000u // whether somebody still waits for the result

// A buffer with the client's data at HEADROOM.
struct bench {
    struct prog *prog;
    uint8_t *buffer;
    size_t capacity; // of the whole buffer
    uint64_t r1, r2;
    void *context;
    struct run_data packet;
};

static ebpf_result_t create_buffer(struct bench *b, const struct test_run *t)
{
    size_t room = t->data_in_size > DATA_ROOM ? t->data_in_size : DATA_ROOM;
    if (!add_size(room, HEADROOM, &b->capacity)) {
        return EBPF_INVALID_ARGUMENT;
    }
    b->buffer = plat_alloc(b->capacity, POOL_TAG_OBJECT);
    if (b->buffer == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (t->data_in_size > 0) {
        memcpy(b->buffer + HEADROOM, t->data_in, t->data_in_size);
    }
    return EBPF_SUCCESS;
}

// --- running -------------------------------------------------------------------------------------

static ebpf_result_t run_some(struct bench *b, uint32_t count, uint64_t *retval)
{
    struct runtime *rt = b->prog->object.rt;
    ebpf_result_t result = EBPF_SUCCESS;
    epoch_enter(rt);
    for (uint32_t i = 0; i < count && result == EBPF_SUCCESS; i++) {
        struct run run = {.context = b->context, .packet = b->packet, .r1 = b->r1, .r2 = b->r2};
        result = prog_run(b->prog, &run, retval);
    }
    epoch_exit(rt);
    return result;
}

uint32_t test_run_next_count(uint32_t count, uint64_t took_ns)
{
    if (took_ns > EPOCH_NS) {
        return count > 1 ? count / 2 : 1;
    }
    return min_u32(count * 2, RUNS_PER_EPOCH);
}

// Asks rarely enough that it does not show in the duration.
static bool is_cancelled(const struct test_run *t, uint64_t now, uint64_t *asked)
{
    if (t->is_cancelled == NULL || now - *asked < ASK_EVERY_NS) {
        return false;
    }
    *asked = now;
    return t->is_cancelled(t->cancel_user);
}

static ebpf_result_t run_all(struct bench *b, struct test_run *t)
{
    uint32_t repeat = t->repeat != 0 ? t->repeat : 1;
    uint64_t start = plat_time_ns(), now = start, asked = start, spent;
    for (uint32_t left = repeat, count = 1; left > 0;) {
        uint64_t before = now;
        count = min_u32(left, count);
        TRY(run_some(b, count, &t->retval));
        now = plat_time_ns();
        left -= count;
        count = test_run_next_count(count, now - before);
        if (left > 0 && is_cancelled(t, now, &asked)) {
            return EBPF_CANCELED;
        }
    }
    spent = now - start;
    t->duration = spent / repeat;
    __atomic_fetch_add(&b->prog->run_time_ns, spent, __ATOMIC_RELAXED);
    return EBPF_SUCCESS;
}

// --- results -------------------------------------------------------------------------------------

// Copies what fits. The size that the data has goes out in any case.
static ebpf_result_t give_data(struct test_run *t, const uint8_t *data, size_t size)
{
    size_t room = t->data_out_size;
    t->data_out_size = size;
    if (t->data_out == NULL) {
        return EBPF_SUCCESS;
    }
    if (size > 0) {
        memcpy(t->data_out, data, size < room ? size : room);
    }
    return size > room ? EBPF_INSUFFICIENT_BUFFER : EBPF_SUCCESS;
}

// --- the two kinds of programs -------------------------------------------------------------------

static ebpf_result_t run_raw(struct bench *b, struct test_run *t)
{
    uint8_t *data = b->buffer + HEADROOM;
    b->r1 = (uintptr_t)data;
    b->r2 = t->data_in_size;
    b->context = data;
    b->packet = (struct run_data){data, data + t->data_in_size, data};
    TRY(run_all(b, t));
    t->ctx_out_size = 0;
    return give_data(t, data, t->data_in_size);
}

static ebpf_result_t run_with(struct bench *b, struct test_run *t, const struct hook_provider *provider)
{
    const uint8_t *data = NULL;
    size_t size = 0, no_context = 0;
    if (provider->context_create == NULL || provider->context_destroy == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    TRY(provider->context_create(provider->provider_context, b->buffer, HEADROOM, t->data_in_size,
                                 b->capacity, t->ctx_in, t->ctx_in_size, &b->context));
    b->r1 = (uintptr_t)b->context;
    ebpf_result_t result = run_all(b, t);
    provider->context_destroy(provider->provider_context, b->context, &data, &size, t->ctx_out,
                              t->ctx_out != NULL ? &t->ctx_out_size : &no_context);
    return result == EBPF_SUCCESS ? give_data(t, data, size) : result;
}

static ebpf_result_t run_in_context(struct bench *b, struct test_run *t)
{
    struct runtime *rt = b->prog->object.rt;
    uint32_t type = b->prog->attach_type;
    if (type == ATTACH_TYPE_NONE || rt->spec->attach_types[type].prog_type != b->prog->type) {
        type = spec_default_attach_type(rt->spec, b->prog->type);
    }
    const struct hook_provider *provider = provider_acquire(rt, type);
    if (provider == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    ebpf_result_t result = run_with(b, t, provider);
    provider_release(rt, type);
    return result;
}

ebpf_result_t prog_test_run(struct prog *g, struct test_run *t)
{
    struct bench b = {.prog = g};
    TRY(create_buffer(&b, t));
    ebpf_result_t result = g->type == PROG_TYPE_RAW_MEMORY ? run_raw(&b, t) : run_in_context(&b, t);
    plat_free(b.buffer);
    return result;
}
