// SPDX-License-Identifier: MIT
// core_fixture: what the core's tests share: a core with a hook for XDP, requests from parts, small programs.
#pragma once

#include "core/core.h"
#include "tests/test.h"
#include "tests/tiny_native.h"
#include "tests/tiny_program.h"

#define MESSAGE_ROOM 4096u
#define TEST_IFINDEX 7u

struct bench {
    struct core *core;
    struct mem_source source; // of the arena
    bool source_failed;       // stays so for this arena, which would otherwise try again with a smaller chunk
    struct arena arena;
    uint8_t message[MESSAGE_ROOM];
    size_t message_size;
    // out: the last reply
    struct proto_header header;
    const void *fixed;
    const uint8_t *tail;
    size_t tail_size;
    struct object *object;
    // Images of modules, and SHA-256 of tests.
    unsigned loaded, unloaded;
    bool hasher_fails;
};

// Paths of the two modules of tiny_module.h, "/tiny0" and "/tiny1"; other files are none.
static inline ebpf_result_t bench_load_image(void *user, const char *path,
                                             const struct ebpf_native_module **table, void **image,
                                             char why[MODULE_WHY_SIZE])
{
    struct bench *b = user;
    if (!str_equal(path, "/tiny0") && !str_equal(path, "/tiny1")) {
        str_format(why, MODULE_WHY_SIZE, "%s is no native module", path);
        return EBPF_INVALID_OBJECT;
    }
    struct tiny_module *m = &tiny[path[5] - '0'];
    b->loaded++;
    *table = &m->table;
    *image = m;
    return EBPF_SUCCESS;
}

static inline void bench_unload_image(void *user, void *image)
{
    struct bench *b = user;
    CHECK(image == &tiny[0] || image == &tiny[1]);
    b->unloaded++;
}

static inline ebpf_result_t bench_attach(void *context, struct link *link, const struct attach_params *params,
                                         void **hook_context)
{
    UNUSED(context);
    UNUSED(link);
    if (params->ifindex != TEST_IFINDEX) {
        return EBPF_OBJECT_NOT_FOUND;
    }
    *hook_context = context;
    return EBPF_SUCCESS;
}

static inline void bench_detach(void *context, void *hook_context)
{
    UNUSED(context);
    UNUSED(hook_context);
}

static const struct hook_provider bench_provider = {.name = "test",
                                                    .attach_type = ATTACH_TYPE_XDP,
                                                    .max_links = 1,
                                                    .attach = bench_attach,
                                                    .detach = bench_detach};

static inline ebpf_result_t bench_hook_next(void *user, const struct proto_hook_next_request *request,
                                            struct proto_hook_next_reply *reply)
{
    if (request->attach_type != ATTACH_TYPE_XDP || request->after_ifindex >= TEST_IFINDEX) {
        return EBPF_NO_MORE_KEYS;
    }
    reply->ifindex = TEST_IFINDEX;
    reply->link_id = *(const uint32_t *)user;
    return EBPF_SUCCESS;
}

static uint32_t bench_link_id; // what bench_hook_next says

static inline void *bench_alloc(void *user, size_t size)
{
    struct bench *b = user;
    void *memory = b->source_failed ? NULL : plat_alloc(size, POOL_TAG_TEST);
    b->source_failed = memory == NULL;
    return memory;
}

static inline void bench_free(void *user, void *memory)
{
    UNUSED(user);
    plat_free(memory);
}

static inline void bench_reset_arena(struct bench *b)
{
    if (b->arena.source != NULL) {
        arena_fini(&b->arena);
    }
    b->source = (struct mem_source){bench_alloc, bench_free, b};
    b->source_failed = false;
    arena_init(&b->arena, &b->source, 0);
}

static inline ebpf_result_t bench_init(struct bench *b)
{
    struct core_options options = {.runtime = {.spec = spec_builtin()},
                                   .platform = DIALECT_LINUX,
                                   .modules = {bench_load_image, bench_unload_image, b},
                                   .hasher = {tiny_hash, &b->hasher_fails},
                                   .hook_next = bench_hook_next,
                                   .hook_user = &bench_link_id};
    ebpf_result_t result;
    memset(b, 0, sizeof(*b));
    TRY(plat_init());
    TRY_OR(result, core_create(&options, &b->core), undo_plat);
    TRY_OR(result, provider_register(core_runtime(b->core), &bench_provider), undo_core);
    bench_reset_arena(b);
    return EBPF_SUCCESS;

undo_core:
    core_destroy(b->core);
undo_plat:
    plat_fini();
    return result;
}

static inline void bench_fini(struct bench *b)
{
    arena_fini(&b->arena);
    provider_unregister(core_runtime(b->core), &bench_provider);
    core_destroy(b->core);
    plat_fini();
}

// --- requests ------------------------------------------------------------------------------------

static inline void bench_build(struct bench *b, uint16_t op, const void *fixed, const void *tail,
                               size_t tail_size, unsigned objects)
{
    const struct proto_op_row *row = proto_op_row(op);
    struct proto_header header = {
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = op, .cookie = 99, .objects = objects};
    b->message_size = sizeof(header) + row->request_size + tail_size;
    if (b->message_size > MESSAGE_ROOM) {
        test_fail(__FILE__, __LINE__, "message too large");
        b->message_size = 0;
        return;
    }
    header.size = (uint32_t)b->message_size;
    memcpy(b->message, &header, sizeof(header));
    memcpy(b->message + sizeof(header), fixed, row->request_size);
    if (tail_size != 0) {
        memcpy(b->message + sizeof(header) + row->request_size, tail, tail_size);
    }
}

// Executes b->message. The result is the reply's, or that of core_execute when it could make none.
static inline ebpf_result_t bench_execute(struct bench *b, struct object *const *objects, unsigned count,
                                          const struct core_verdict *verdict)
{
    struct proto_header request;
    struct core_call call = {.request = b->message,
                             .request_size = b->message_size,
                             .objects = objects,
                             .object_count = count,
                             .verdict = verdict};
    bench_reset_arena(b);
    call.arena = &b->arena;
    b->object = NULL;
    memcpy(&request, b->message, sizeof(request));
    TRY(core_execute(b->core, &call));
    b->object = call.new_object;
    CHECK_OK(proto_reply_check(request.op, call.reply, call.reply_size, &b->header, &b->fixed, &b->tail,
                               &b->tail_size));
    CHECK_EQ(b->header.cookie, 99);
    CHECK_EQ(b->header.objects, b->object != NULL);
    return (ebpf_result_t)b->header.result;
}

static inline ebpf_result_t bench_call(struct bench *b, uint16_t op, const void *fixed, const void *tail,
                                       size_t tail_size, struct object *const *objects, unsigned count)
{
    bench_build(b, op, fixed, tail, tail_size, count);
    return bench_execute(b, objects, count, NULL);
}

// One object, no tail, a fixed structure of zeros.
static inline ebpf_result_t bench_call_simple(struct bench *b, uint16_t op, struct object *o)
{
    static const uint8_t zeros[PROTO_PATH_SIZE];
    return bench_call(b, op, zeros, NULL, 0, &o, o != NULL);
}

static inline ebpf_result_t bench_call_path(struct bench *b, uint16_t op, const char *path, struct object *o)
{
    struct proto_path_request fixed = {{0}};
    str_copy(fixed.path, sizeof(fixed.path), path);
    return bench_call(b, op, &fixed, NULL, 0, &o, o != NULL);
}

static inline ebpf_result_t bench_create_map(struct bench *b, uint32_t type, uint32_t value_size,
                                             struct object **out)
{
    struct proto_map_create_request fixed = {.def = {.type = type,
                                                     .number = type,
                                                     .key_size = 4,
                                                     .value_size = value_size,
                                                     .max_entries = 4,
                                                     .name = "m"}};
    TRY(bench_call(b, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0));
    *out = b->object;
    return EBPF_SUCCESS;
}

// --- programs ------------------------------------------------------------------------------------

static const struct insn bench_insns[] = {{.id = INSN_MOV64_IMM, .imm = 42}, {.id = INSN_EXIT}};

static inline struct program bench_program(uint32_t type)
{
    struct program p = tiny_program(bench_insns, "answer");
    p.type = type;
    p.attach_type = type == PROG_TYPE_XDP ? ATTACH_TYPE_XDP : ATTACH_TYPE_RAW_MEMORY;
    return p;
}

// What a service that accepts says: evidence without marks.
static inline struct core_verdict bench_accept(void)
{
    static const uint32_t evidence[] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, ARRAY_SIZE(bench_insns), 0};
    return (struct core_verdict){.result = EBPF_SUCCESS,
                                 .evidence = {(const uint8_t *)evidence, sizeof(evidence)},
                                 .text = "",
                                 .json = "[]",
                                 .states = 3};
}

static inline ebpf_result_t bench_load(struct bench *b, const struct program *p, struct object *const *maps,
                                       unsigned count, const struct core_verdict *verdict)
{
    static const struct proto_prog_load_request fixed;
    uint8_t bytes[1024];
    size_t size = proto_program_encode(p, bytes, sizeof(bytes));
    bench_build(b, PROTO_PROG_LOAD, &fixed, bytes, size, count);
    return bench_execute(b, maps, count, verdict);
}

static inline ebpf_result_t bench_load_answer(struct bench *b, uint32_t type, struct object **out)
{
    struct program p = bench_program(type);
    struct core_verdict verdict = bench_accept();
    TRY(bench_load(b, &p, NULL, 0, &verdict));
    *out = b->object;
    return EBPF_SUCCESS;
}

// --- native modules ------------------------------------------------------------------------------

// Makes both modules of tiny_module.h such as bpftool would make them.
static inline ebpf_result_t bench_make_modules(struct bench *b)
{
    const struct proto_hasher hasher = {tiny_hash, NULL};
    bench_reset_arena(b);
    return tiny_make_modules(&hasher, &b->arena);
}

// MODULE_LOAD of `path`, which is sent with its NUL.
static inline ebpf_result_t bench_load_module(struct bench *b, const char *path, struct object **out)
{
    static const struct proto_module_load_request fixed;
    TRY(bench_call(b, PROTO_MODULE_LOAD, &fixed, path, str_len(path) + 1, NULL, 0));
    *out = b->object;
    return EBPF_SUCCESS;
}

// PROG_LOAD of program `index` of a module, which is the last of the objects, accepted as the module says it.
static inline ebpf_result_t bench_load_native(struct bench *b, unsigned index, struct object *const *objects,
                                              unsigned count, struct object **out)
{
    const struct tiny_native *n = &tiny_natives[index];
    const struct proto_prog_load_request fixed = {.native = index + 1};
    struct core_verdict verdict = bench_accept();
    verdict.evidence = n->evidence;
    bench_build(b, PROTO_PROG_LOAD, &fixed, n->canonical, n->canonical_size, count);
    TRY(bench_execute(b, objects, count, &verdict));
    *out = b->object;
    return EBPF_SUCCESS;
}

static inline void bench_release(struct object *o)
{
    if (o != NULL) {
        object_release(o);
    }
}
