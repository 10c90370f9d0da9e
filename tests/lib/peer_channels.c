// SPDX-License-Identifier: MIT
// peer_channels: what driver and service are together, in this process: the library's ioctl transport speaks
// to real channels of a real core, and a verdict is delivered as ebpfsvc delivers it. So the load protocol
// runs on every system, and under the sanitizers.
#include "tests/lib/peer.h"

#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "hooks/hooks.h"
#include "lib/lib_int.h"
#include "lib/transport_ioctl.h"
#include "plat/plat.h"
#include "service/service.h"
#include "tests/test.h"
#include "verifier/verifier.h"

#define FIRST_FD 5000
#define MAX_FDS  512
#define PID      7

// An open file of the device: several descriptors may share it.
struct file {
    struct channel *channel;
    unsigned references;
};

static struct core *core;
static struct hooks *hooks;
static struct channels *all;
static struct transport *transport;
static struct plat_mutex lock; // of the table and the counts
static struct file *files[MAX_FDS];

// --- the device ----------------------------------------------------------------------------------

static ebpf_result_t open_file(void *user, intptr_t *channel)
{
    UNUSED(user);
    struct file *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return EBPF_NO_MEMORY;
    }
    ebpf_result_t result = channel_open(all, CHANNEL_REQUEST, PID, &f->channel);
    if (result != EBPF_SUCCESS) {
        free(f);
        return result;
    }
    f->references = 1;
    *channel = (intptr_t)f;
    return EBPF_SUCCESS;
}

static void close_file(void *user, intptr_t channel)
{
    struct file *f = (struct file *)channel;
    UNUSED(user);
    plat_mutex_acquire(&lock);
    bool last = --f->references == 0;
    plat_mutex_release(&lock);
    if (last) {
        channel_close(f->channel);
        free(f);
    }
}

static ebpf_result_t run_control(struct channel *c, uint32_t function, const void *input, size_t input_size,
                                 void *output, size_t capacity, size_t *output_size)
{
    struct arena arena;
    arena_init(&arena, plat_mem_source(), 0);
    struct channel_call call = {.function = function,
                                .input = input,
                                .input_size = input_size,
                                .output_capacity = capacity,
                                .arena = &arena};
    ebpf_result_t result = channel_control(c, &call);
    if (result == EBPF_SUCCESS) {
        if (call.output_size != 0) {
            memcpy(output, call.output, call.output_size);
        }
        *output_size = call.output_size;
    }
    arena_fini(&arena);
    return result;
}

static ebpf_result_t control_file(void *user, intptr_t channel, uint32_t function, const void *input,
                                  size_t input_size, void *output, size_t capacity, size_t *output_size)
{
    UNUSED(user);
    return run_control(((struct file *)channel)->channel, function, input, input_size, output, capacity,
                       output_size);
}

// --- the service ---------------------------------------------------------------------------------

static uint8_t *encode_verdict(const struct proto_token *token, const struct service_verdict *v,
                               const void *request, size_t request_size, size_t *size)
{
    struct proto_verdict_parts parts = {.head = {.token = *token,
                                                 .result = v->result,
                                                 .evidence_size = (uint32_t)v->evidence_size,
                                                 .text_size = (uint32_t)strlen(v->text) + 1,
                                                 .json_size = (uint32_t)strlen(v->json) + 1,
                                                 .request_size = (uint32_t)request_size,
                                                 .states = v->states,
                                                 .peak_kb = v->peak_kb},
                                        .evidence = v->evidence,
                                        .text = v->text,
                                        .json = v->json,
                                        .request = request};
    *size = proto_verdict_encode(&parts, NULL, 0);
    uint8_t *bytes = malloc(*size);
    if (bytes != NULL) {
        proto_verdict_encode(&parts, bytes, *size);
    }
    return bytes;
}

// On a channel of the service's own. The reply carries the texts, so that much room is enough.
static ebpf_result_t deliver(const uint8_t *verdict, size_t size, void **reply, size_t *reply_size)
{
    struct channel *c = NULL;
    size_t capacity = size + 4096;
    TRY(channel_open(all, CHANNEL_VERDICT, PID, &c));
    void *bytes = malloc(capacity);
    ebpf_result_t result = EBPF_NO_MEMORY;
    if (bytes != NULL) {
        result = run_control(c, PROTO_CONTROL_VERDICT, verdict, size, bytes, capacity, reply_size);
    }
    if (result == EBPF_SUCCESS) {
        *reply = bytes;
    } else {
        free(bytes);
    }
    channel_close(c);
    return result;
}

static ebpf_result_t load_program(void *user, const struct proto_token *token, const void *request,
                                  size_t size, void **reply, size_t *reply_size)
{
    struct arena arena;
    struct service_verdict v;
    size_t verdict_size = 0;
    ebpf_result_t result = EBPF_NO_MEMORY;
    UNUSED(user);
    arena_init(&arena, plat_mem_source(), VERIFY_MEMORY_LIMIT);
    service_verify(spec_builtin(), request, size, &arena, &v);
    uint8_t *verdict = encode_verdict(token, &v, request, size, &verdict_size);
    if (verdict != NULL) {
        result = deliver(verdict, verdict_size, reply, reply_size);
    }
    free(verdict);
    arena_fini(&arena);
    return result;
}

// --- descriptors ---------------------------------------------------------------------------------

static struct file **slot_of(int fd)
{
    bool known = fd >= FIRST_FD && fd < FIRST_FD + MAX_FDS && files[fd - FIRST_FD] != NULL;
    return known ? &files[fd - FIRST_FD] : NULL;
}

static ebpf_result_t find_file(void *user, int fd, intptr_t *channel)
{
    UNUSED(user);
    plat_mutex_acquire(&lock);
    struct file **slot = slot_of(fd);
    *channel = slot != NULL ? (intptr_t)*slot : 0;
    plat_mutex_release(&lock);
    return slot != NULL ? EBPF_SUCCESS : EBPF_INVALID_FD;
}

// The lock is held.
static ebpf_result_t put(struct file *f, int *fd)
{
    for (int i = 0; i < MAX_FDS; i++) {
        if (files[i] == NULL) {
            files[i] = f;
            *fd = FIRST_FD + i;
            return EBPF_SUCCESS;
        }
    }
    return EBPF_OUT_OF_SPACE;
}

static ebpf_result_t publish_file(void *user, intptr_t channel, int *fd)
{
    UNUSED(user);
    plat_mutex_acquire(&lock);
    ebpf_result_t result = put((struct file *)channel, fd);
    plat_mutex_release(&lock);
    return result;
}

static ebpf_result_t dup_file(void *user, int fd, int *out)
{
    UNUSED(user);
    plat_mutex_acquire(&lock);
    struct file **slot = slot_of(fd);
    ebpf_result_t result = slot != NULL ? put(*slot, out) : EBPF_INVALID_FD;
    if (result == EBPF_SUCCESS) {
        (*slot)->references++;
    }
    plat_mutex_release(&lock);
    return result;
}

static void close_file_fd(void *user, int fd)
{
    plat_mutex_acquire(&lock);
    struct file **slot = slot_of(fd), *f = slot != NULL ? *slot : NULL;
    if (slot != NULL) {
        *slot = NULL;
    }
    plat_mutex_release(&lock);
    if (f != NULL) {
        close_file(user, (intptr_t)f);
    }
}

// --- bring-up and teardown -----------------------------------------------------------------------

static ebpf_result_t hook_next(void *user, const struct proto_hook_next_request *request,
                               struct proto_hook_next_reply *reply)
{
    UNUSED(user);
    return hooks_next(hooks, request, reply);
}

static ebpf_result_t open_channels(struct transport **out)
{
    static const struct channel_system system = {.open = open_file,
                                                 .close = close_file,
                                                 .control = control_file,
                                                 .load = load_program,
                                                 .find = find_file,
                                                 .publish = publish_file,
                                                 .dup_fd = dup_file,
                                                 .close_fd = close_file_fd,
                                                 .alloc = malloc};
    TRY(transport_open_channels(&system, &transport));
    *out = transport;
    return EBPF_SUCCESS;
}

bool peer_start(void)
{
    static char choice[] = "EBPF_TRANSPORT=inproc"; // the way for transports that a host brings
    struct core_options options = {
        .runtime = {.spec = spec_builtin()}, .platform = LIB_DIALECT, .hook_next = hook_next};
    transport_open_inproc = open_channels;
    plat_mutex_init(&lock);
    return plat_init() == EBPF_SUCCESS && core_create(&options, &core) == EBPF_SUCCESS &&
           hooks_create(core_runtime(core), &hooks) == EBPF_SUCCESS &&
           channels_create(core, &all) == EBPF_SUCCESS && putenv(choice) == 0;
}

bool peer_stop(void)
{
    struct proto_witness witness = {0};
    if (transport != NULL) {
        transport->ops->close(transport);
    }
    channels_witness(all, &witness);
    channels_destroy(all);
    hooks_destroy(hooks);
    core_destroy(core);
    plat_fini();
    return witness.channels == 0 && plat_sim_live_count() == 0;
}

static void fail_context(unsigned long n)
{
    plat_sim_fail_alloc(n);
}

static void context_allocations_fail(void)
{
    lib_e2e_loads_survive(fail_context);
}

void peer_cases(void)
{
    RUN(context_allocations_fail);
}
