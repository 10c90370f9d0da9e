// SPDX-License-Identifier: MIT
// inproc: the whole product in one process, for tests with sanitizers, for applications that embed it, and
// for tools that need no daemon. Verification runs in the caller's thread.
#include "hosts/inproc.h"

#include <stdlib.h>

#include "core/core.h"
#include "hooks/hooks.h"
#include "hosts/code_watch.h"
#include "hosts/digest.h"
#include "hosts/handles.h"
#include "hosts/module_image.h"
#include "plat/plat.h"
#include "service/service.h"
#include "verifier/verifier.h"

struct inproc {
    struct transport base;
    struct core *core;
    struct hooks *hooks; // NULL until they are made
    struct handles *handles;
};

#if defined(_WIN32)
#define PLATFORM DIALECT_WINDOWS
#else
#define PLATFORM DIALECT_LINUX
#endif

// --- one call ------------------------------------------------------------------------------------

struct inproc_call {
    struct core_call core;
    struct core_verdict verdict;
    struct object *objects[PROTO_MAX_OBJECTS];
    unsigned object_count;
    struct arena reply_arena, verify_arena;
};

static void verify(struct inproc_call *c, const void *request, size_t size)
{
    struct service_verdict v;
    uint64_t start = plat_time_ns();
    service_verify(spec_builtin(), request, size, &c->verify_arena, &v);
    c->verdict = (struct core_verdict){.result = v.result,
                                       .evidence = {v.evidence, v.evidence_size},
                                       .text = v.text,
                                       .json = v.json,
                                       .states = v.states,
                                       .peak_kb = v.peak_kb,
                                       .time_us = (plat_time_ns() - start) / 1000};
    c->core.verdict = &c->verdict;
}

static ebpf_result_t find_objects(struct inproc *t, struct inproc_call *c, const int *fds, unsigned fd_count)
{
    if (fd_count > PROTO_MAX_OBJECTS) {
        return EBPF_INVALID_ARGUMENT;
    }
    for (unsigned i = 0; i < fd_count; i++) {
        TRY(handles_find(t->handles, fds[i], &c->objects[i]));
        c->object_count++;
    }
    return EBPF_SUCCESS;
}

static void release_objects(struct inproc_call *c)
{
    while (c->object_count != 0) {
        object_release(c->objects[--c->object_count]);
    }
}

static ebpf_result_t copy_reply(struct inproc *t, const struct core_call *core, void **reply, int *new_fd)
{
    int fd = -1;
    void *copy = malloc(core->reply_size);
    if (copy == NULL) {
        if (core->new_object != NULL) {
            object_release(core->new_object);
        }
        return EBPF_NO_MEMORY;
    }
    if (core->new_object != NULL) {
        ebpf_result_t result = handles_open(t->handles, core->new_object, &fd);
        if (result != EBPF_SUCCESS) {
            free(copy);
            return result;
        }
    }
    *reply = memcpy(copy, core->reply, core->reply_size);
    *new_fd = fd;
    return EBPF_SUCCESS;
}

static uint16_t op_of(const void *request, size_t size)
{
    struct proto_header header = {0};
    if (size >= sizeof(header)) {
        memcpy(&header, request, sizeof(header));
    }
    return header.op;
}

// A view that nobody will hear of.
static void unmap_memory(const struct core_call *core)
{
    struct proto_map_memory_reply memory;
    if (core->reply_size == sizeof(struct proto_header) + sizeof(memory)) {
        memcpy(&memory, (const uint8_t *)core->reply + sizeof(struct proto_header), sizeof(memory));
        plat_shared_unmap((void *)(uintptr_t)memory.address, (size_t)memory.size);
    }
}

static ebpf_result_t execute(struct inproc *t, struct inproc_call *c, void **reply, size_t *reply_size,
                             int *new_fd)
{
    const void *request = c->core.request;
    size_t size = c->core.request_size;
    const struct proto_op_row *row = proto_op_row(op_of(request, size));
    if (row != NULL && (row->new_object || row->objects == 0)) {
        handles_sweep(t->handles); // what was closed is gone before anything is made or listed
    }
    if (row != NULL && row->number == PROTO_PROG_LOAD) {
        verify(c, request, size);
    }
    TRY(core_execute(t->core, &c->core));
    ebpf_result_t result = copy_reply(t, &c->core, reply, new_fd);
    if (result != EBPF_SUCCESS && row != NULL && row->number == PROTO_MAP_MEMORY) {
        unmap_memory(&c->core);
    }
    TRY(result);
    *reply_size = c->core.reply_size;
    return EBPF_SUCCESS;
}

static ebpf_result_t call_inproc(struct transport *base, const void *request, size_t size, const int *fds,
                                 unsigned fd_count, void **reply, size_t *reply_size, int *new_fd)
{
    struct inproc *t = (struct inproc *)base;
    struct inproc_call c;
    memset(&c, 0, sizeof(c));
    arena_init(&c.reply_arena, plat_mem_source(), 0);
    arena_init(&c.verify_arena, plat_mem_source(), VERIFY_MEMORY_LIMIT);
    ebpf_result_t result = find_objects(t, &c, fds, fd_count);
    if (result == EBPF_SUCCESS) {
        c.core.request = request;
        c.core.request_size = size;
        c.core.objects = c.objects;
        c.core.object_count = c.object_count;
        c.core.arena = &c.reply_arena;
        result = execute(t, &c, reply, reply_size, new_fd);
    }
    release_objects(&c);
    arena_fini(&c.verify_arena);
    arena_fini(&c.reply_arena);
    return result;
}

// --- the transport -------------------------------------------------------------------------------

static ebpf_result_t dup_inproc(struct transport *base, int fd, int *out)
{
    return handles_dup(((struct inproc *)base)->handles, fd, out);
}

static void close_inproc(struct transport *base, int fd)
{
    handles_close(((struct inproc *)base)->handles, fd);
}

static void destroy_inproc(struct transport *base)
{
    struct inproc *t = (struct inproc *)base;
    handles_destroy(t->handles);
    hooks_destroy(t->hooks);
    core_destroy(t->core);
    plat_fini();
    free(t);
}

static ebpf_result_t hook_next(void *user, const struct proto_hook_next_request *request,
                               struct proto_hook_next_reply *reply)
{
    return hooks_next(((struct inproc *)user)->hooks, request, reply);
}

ebpf_result_t inproc_open(struct transport **out)
{
    static const struct transport_ops ops = {.name = "inproc",
                                             .call = call_inproc,
                                             .dup_fd = dup_inproc,
                                             .close_fd = close_inproc,
                                             .map_memory = transport_map_by_address,
                                             .close = destroy_inproc};
    ebpf_result_t result;
    struct inproc *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return EBPF_NO_MEMORY;
    }
    struct core_options options = {
        .runtime = {.spec = spec_builtin(), .watch_code = code_watch_from_environment()},
        .hasher = {.sha256 = digest_sha256},
        .platform = PLATFORM,
        .hook_next = hook_next,
        .hook_user = t};
    module_image_loader(&options.modules);
    t->base.ops = &ops;
    TRY_OR(result, plat_init(), undo_transport);
    TRY_OR(result, core_create(&options, &t->core), undo_plat);
    TRY_OR(result, hooks_create(core_runtime(t->core), &t->hooks), undo_core);
    TRY_OR(result, handles_create(&t->handles), undo_hooks);
    *out = &t->base;
    return EBPF_SUCCESS;

undo_hooks:
    hooks_destroy(t->hooks);
undo_core:
    core_destroy(t->core);
undo_plat:
    plat_fini();
undo_transport:
    free(t);
    return result;
}

void inproc_install(void)
{
    transport_open_inproc = inproc_open;
}
