// SPDX-License-Identifier: MIT
// Native modules: how they come and go, and that a program of one gets in only when everything fits.
#include "core/core_channel_fixture.h"
#include "spec/contexts.h"

static struct bench b;

static bool open(void)
{
    if (bench_init(&b) != EBPF_SUCCESS) {
        return false;
    }
    CHECK_OK(bench_make_modules(&b));
    return true;
}

// Nothing may be left.
static void close(void)
{
    for (unsigned kind = OBJECT_MAP; kind < OBJECT_KIND_COUNT; kind++) {
        CHECK_EQ(object_count(core_runtime(b.core), (enum object_kind)kind), 0);
    }
    CHECK_EQ(b.loaded, b.unloaded);
    bench_fini(&b);
}

static struct object *load_module(const char *path)
{
    struct object *o = NULL;
    CHECK_OK(bench_load_module(&b, path, &o));
    return o;
}

static struct object *make_map(uint32_t type)
{
    struct object *o = NULL;
    CHECK_OK(bench_create_map(&b, type, type == MAP_TYPE_ARRAY ? 8 : 4, &o));
    return o;
}

static const char *sentence(void)
{
    return b.tail_size != 0 ? (const char *)b.tail : "";
}

// Runs a program by a link.
static uint64_t run(struct object *prog)
{
    struct proto_link_create_request attach = {.attach_type = ATTACH_TYPE_XDP, .ifindex = TEST_IFINDEX};
    struct xdp_context context = {.ingress_ifindex = 7};
    uint64_t r0 = 0xdead;
    CHECK_OK(bench_call(&b, PROTO_LINK_CREATE, &attach, NULL, 0, &prog, 1));
    struct object *link = b.object;
    if (link != NULL) {
        CHECK_OK(link_invoke(link_from_object(link), &context, &r0));
        object_release(link);
    }
    return r0;
}

// --- modules -------------------------------------------------------------------------------------

static void modules_come_and_go(void)
{
    struct proto_module_load_reply reply;
    REQUIRE(open());
    struct object *one = load_module("/tiny0");
    REQUIRE(one != NULL);
    memcpy(&reply, b.fixed, sizeof(reply));
    CHECK_EQ(reply.object.kind, PROTO_KIND_MODULE);
    CHECK_EQ(reply.object.id, object_id(one));
    CHECK_EQ(reply.text_size, 1);
    CHECK_STR(sentence(), "");
    CHECK_EQ(object_kind(one), OBJECT_MODULE);
    struct object *two = load_module("/tiny1");
    CHECK(one != two);
    object_release(one);
    CHECK_EQ(b.unloaded, 1);
    object_release(two);
    CHECK_EQ(b.unloaded, 2);
    close();
}

static void refuse_path(const char *path, size_t size)
{
    static const struct proto_module_load_request fixed;
    CHECK_EQ(bench_call(&b, PROTO_MODULE_LOAD, &fixed, path, size, NULL, 0), EBPF_INVALID_ARGUMENT);
    CHECK_STR(sentence(), "a native module is loaded by its absolute path");
}

static void paths_are_checked(void)
{
    struct object *none = NULL;
    REQUIRE(open());
    refuse_path("", 0);
    refuse_path("", 1);
    refuse_path("tiny0", 6);
    refuse_path("./tiny0", 8);
    refuse_path("C:\\tiny0", 9);
    refuse_path("/tiny0", 6);    // without NUL
    refuse_path("/tiny0\0x", 9); // two texts
    refuse_path("/tiny0\0", 8);
    CHECK_EQ(b.loaded, 0);
    CHECK_EQ(bench_load_module(&b, "/etc/passwd", &none), EBPF_INVALID_OBJECT);
    CHECK_STR(sentence(), "/etc/passwd is no native module");
    close();
}

// Loads a module into a core with these options, that of the bench otherwise.
static void load_with(struct core_options options, const char *path, ebpf_result_t expected, const char *text)
{
    struct object *o = NULL;
    REQUIRE(open());
    struct core *usual = b.core;
    options.runtime.spec = spec_builtin();
    CHECK_OK(core_create(&options, &b.core));
    CHECK_EQ(bench_load_module(&b, path, &o), expected);
    CHECK_STR(sentence(), text);
    CHECK_EQ(o != NULL, expected == EBPF_SUCCESS);
    bench_release(o);
    core_destroy(b.core);
    b.core = usual;
    close();
}

static void hosts_decide(void)
{
    const struct core_module_loader loader = {bench_load_image, bench_unload_image, &b};
    const struct proto_hasher hasher = {tiny_hash, NULL};
    load_with((struct core_options){.hasher = hasher}, "/tiny0", EBPF_OPERATION_NOT_SUPPORTED, "");
    load_with((struct core_options){.modules = loader}, "/tiny0", EBPF_OPERATION_NOT_SUPPORTED,
              "this execution context cannot check native programs: no SHA-256");
    load_with((struct core_options){.modules = loader, .hasher = hasher, .platform = DIALECT_WINDOWS},
              "/tiny0", EBPF_INVALID_ARGUMENT, "a native module is loaded by its absolute path");
    load_with((struct core_options){.modules = loader, .hasher = hasher, .platform = DIALECT_WINDOWS},
              "C:\\tiny0", EBPF_INVALID_OBJECT, "C:\\tiny0 is no native module");
    load_with((struct core_options){.modules = loader, .hasher = hasher, .platform = DIALECT_WINDOWS},
              "\\\\?\\C:\\tiny0", EBPF_INVALID_OBJECT, "\\\\?\\C:\\tiny0 is no native module");
    load_with((struct core_options){.modules = loader, .hasher = hasher, .integrity = {.hvci = true}},
              "/tiny0", EBPF_SUCCESS, "");
#if defined(EBPF_INTERPRETER)
    load_with((struct core_options){.modules = loader, .hasher = hasher, .execution = CORE_INTERPRETER},
              "/tiny0", EBPF_OPERATION_NOT_SUPPORTED,
              "the interpreter is set to run all programs, and runs no native ones");
#endif
}

static void other_versions_are_refused(void)
{
    struct object *none = NULL;
    REQUIRE(open());
    tiny[0].table.version = 2;
    CHECK_EQ(bench_load_module(&b, "/tiny0", &none), EBPF_INVALID_OBJECT);
    CHECK_STR(sentence(), "the native module is of version 2; this execution context takes version 1");
    CHECK(none == NULL);
    CHECK_EQ(b.unloaded, 1);
    close();
}

static void programs_are_described(void)
{
    struct proto_module_program_request ask = {.index = TINY_COUNT};
    struct proto_module_program_reply reply;
    uint32_t row;
    REQUIRE(open());
    struct object *module = load_module("/tiny0");
    CHECK_OK(bench_call(&b, PROTO_MODULE_PROGRAM, &ask, NULL, 0, &module, 1));
    memcpy(&reply, b.fixed, sizeof(reply));
    CHECK_STR(reply.name, "count");
    CHECK_EQ(reply.map_count, 1);
    CHECK_EQ(reply.canonical_size, tiny_natives[TINY_COUNT].canonical_size);
    REQUIRE(b.tail_size == reply.canonical_size + 4);
    CHECK(memcmp(b.tail, tiny_natives[TINY_COUNT].canonical, reply.canonical_size) == 0);
    memcpy(&row, b.tail + reply.canonical_size, 4);
    CHECK_EQ(row, TINY_MAP_VALUES);
    ask.index = TINY_PROGRAMS;
    CHECK_EQ(bench_call(&b, PROTO_MODULE_PROGRAM, &ask, NULL, 0, &module, 1), EBPF_NO_MORE_KEYS);
    ask.index = UINT32_MAX;
    CHECK_EQ(bench_call(&b, PROTO_MODULE_PROGRAM, &ask, NULL, 0, &module, 1), EBPF_NO_MORE_KEYS);
    ask.index = 0;
    module_revoke(module_from_object(module));
    CHECK_EQ(bench_call(&b, PROTO_MODULE_PROGRAM, &ask, NULL, 0, &module, 1), EBPF_INVALID_STATE);
    object_release(module);
    close();
}

static void modules_are_opened_by_id(void)
{
    struct proto_module_open_request id = {{5, 6}}, other = {{5}};
    struct module_source source = {.table = &tiny[0].table, .id = {5, 6}};
    char why[MODULE_WHY_SIZE];
    struct module *m = NULL;
    REQUIRE(open());
    CHECK_OK(core_module_register(b.core, &source, why, &m));
    module_keep_registered(m);
    CHECK_OK(bench_call(&b, PROTO_MODULE_OPEN, &id, NULL, 0, NULL, 0));
    struct object *o = b.object;
    CHECK(o == module_object(m));
    CHECK_EQ(bench_call(&b, PROTO_MODULE_OPEN, &other, NULL, 0, NULL, 0), EBPF_OBJECT_NOT_FOUND);
    bench_release(o);
    CHECK_EQ(object_count(core_runtime(b.core), OBJECT_MODULE), 1);
    module_revoke(m);
    CHECK_EQ(bench_call(&b, PROTO_MODULE_OPEN, &id, NULL, 0, NULL, 0), EBPF_OBJECT_NOT_FOUND);
    close();
}

// --- programs ------------------------------------------------------------------------------------

static void native_programs_run(void)
{
    struct proto_object_info_reply info;
    struct proto_prog_dump_request dump = {.what = PROTO_DUMP_CODE, .size = 100};
    struct object *prog = NULL;
    REQUIRE(open());
    struct object *objects[] = {make_map(MAP_TYPE_ARRAY), load_module("/tiny0")};
    CHECK_OK(bench_load_native(&b, TINY_COUNT, objects, 2, &prog));
    REQUIRE(prog != NULL);
    CHECK_EQ(run(prog), 1);
    CHECK_EQ(run(prog), 2);
    CHECK_OK(bench_call_simple(&b, PROTO_OBJECT_INFO, prog));
    memcpy(&info, b.fixed, sizeof(info));
    CHECK_STR(info.module, "tiny");
    CHECK_EQ(info.module_id, object_id(objects[1]));
    CHECK_EQ(info.revoked, 0);
    CHECK_STR(info.name, "count");
    CHECK_EQ(info.map_count, 1);
    CHECK_OK(bench_call(&b, PROTO_PROG_DUMP, &dump, NULL, 0, &prog, 1)); // its code is the image's
    CHECK_EQ(b.tail_size, 0);
    dump = (struct proto_prog_dump_request){.what = PROTO_DUMP_PROGRAM, .size = 1000};
    CHECK_OK(bench_call(&b, PROTO_PROG_DUMP, &dump, NULL, 0, &prog, 1));
    CHECK_EQ(b.tail_size, tiny_natives[TINY_COUNT].canonical_size);
    object_release(objects[1]); // the program holds its module
    CHECK_EQ(b.unloaded, 0);
    CHECK_EQ(run(prog), 3);
    object_release(prog);
    CHECK_EQ(b.unloaded, 1);
    object_release(objects[0]);
    close();
}

// Programs that stay when their image goes say so.
static void revoked_programs_are_shown(void)
{
    struct proto_object_info_reply info;
    struct object *prog = NULL;
    REQUIRE(open());
    struct object *module = load_module("/tiny0");
    CHECK_OK(bench_load_native(&b, TINY_ANSWER, &module, 1, &prog));
    module_revoke(module_from_object(module));
    CHECK_OK(bench_call_simple(&b, PROTO_OBJECT_INFO, prog));
    memcpy(&info, b.fixed, sizeof(info));
    CHECK_STR(info.module, "tiny");
    CHECK_EQ(info.revoked, 1);
    bench_release(prog);
    object_release(module);
    close();
}

// What is only pinned goes with the core, and its image with it.
static void pins_hold_programs_of_modules(void)
{
    struct object *prog = NULL;
    REQUIRE(open());
    struct object *module = load_module("/tiny0");
    CHECK_OK(bench_load_native(&b, TINY_ANSWER, &module, 1, &prog));
    CHECK_OK(bench_call_path(&b, PROTO_OBJECT_PIN, "p", prog));
    CHECK_EQ(bench_call_path(&b, PROTO_OBJECT_PIN, "m", module), EBPF_INVALID_OBJECT);
    bench_release(prog);
    object_release(module);
    CHECK_EQ(object_count(core_runtime(b.core), OBJECT_MODULE), 1);
    CHECK_EQ(b.unloaded, 0);
    bench_fini(&b);
    CHECK_EQ(b.unloaded, 1);
}

// --- refusals ------------------------------------------------------------------------------------

// A load of TINY_COUNT that something is wrong with.
struct attempt {
    struct object *objects[3];
    unsigned count;
    struct proto_prog_load_request fixed;
    struct core_verdict verdict;
    bool no_verdict;
    const void *tail;
    size_t tail_size;
};

static const uint32_t other_evidence[] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, ARRAY_SIZE(tiny_answer), 0};

#define SPOIL(name, ...)                                                                                     \
    static void name(struct attempt *a)                                                                      \
    {                                                                                                        \
        UNUSED(a);                                                                                           \
        __VA_ARGS__;                                                                                         \
    }
SPOIL(wrong_digest, tiny[0].programs[TINY_COUNT].digest[31] ^= 1)
SPOIL(digest_of_another, memcpy(tiny[0].programs[TINY_COUNT].digest, tiny[0].programs[TINY_JUMP].digest, 32))
SPOIL(evidence_of_another, tiny[0].programs[TINY_COUNT].evidence = (const uint8_t *)other_evidence)
SPOIL(short_evidence, tiny[0].programs[TINY_COUNT].evidence_size -= 4)
SPOIL(other_verdict, a->verdict.evidence.bytes = (const uint8_t *)other_evidence)
SPOIL(missing_helper, tiny[0].helpers[TINY_LOOKUP].name = "bpf_of_tomorrow")
SPOIL(rejected,
      a->verdict = (struct core_verdict){.result = EBPF_VERIFICATION_FAILED, .text = "0: no", .json = "[]"})
SPOIL(unverified, a->no_verdict = true)
SPOIL(revoked, module_revoke(module_from_object(a->objects[1])))
SPOIL(no_such_program, a->fixed.native = TINY_PROGRAMS + 1)
SPOIL(last_program, a->fixed.native = UINT32_MAX)
SPOIL(another_program, a->fixed.native = TINY_JUMP + 1)
SPOIL(another_tail, a->tail = tiny_natives[TINY_JUMP].canonical;
      a->tail_size = tiny_natives[TINY_JUMP].canonical_size)
SPOIL(cut_tail, a->tail_size--)
static uint8_t altered[512];
SPOIL(altered_tail, memcpy(altered, a->tail, a->tail_size); altered[a->tail_size - 1] ^= 1; a->tail = altered)
SPOIL(no_module, a->objects[1] = a->objects[0])
SPOIL(no_objects, a->count = 0)
SPOIL(no_map, a->objects[0] = a->objects[1]; a->count = 1)
SPOIL(module_for_map, a->objects[0] = a->objects[1])
SPOIL(module_first, struct object *map = a->objects[0]; a->objects[0] = a->objects[1]; a->objects[1] = map)
SPOIL(two_maps, a->objects[2] = a->objects[1]; a->objects[1] = a->objects[0]; a->count = 3)
SPOIL(not_native, a->fixed.native = 0)
SPOIL(only_a_module, a->fixed.native = 0; a->objects[0] = a->objects[1]; a->count = 1)
SPOIL(hash_fails, b.hasher_fails = true)
SPOIL(other_stride, tiny[0].maps[TINY_MAP_VALUES].stride = 16)
SPOIL(other_size, tiny[0].maps[TINY_MAP_VALUES].max_entries = 400)

static const struct refusal {
    void (*spoil)(struct attempt *a);
    ebpf_result_t result;
    const char *sentence;
} refusals[] = {
    {wrong_digest, EBPF_PROGRAM_LOAD_FAILED,
     "the native module's digest is wrong: it was changed, or made for another version\n"},
    {digest_of_another, EBPF_PROGRAM_LOAD_FAILED,
     "the native module's digest is wrong: it was changed, or made for another version\n"},
    {evidence_of_another, EBPF_PROGRAM_LOAD_FAILED,
     "the native module's evidence is not that of its program\n"},
    {short_evidence, EBPF_PROGRAM_LOAD_FAILED, "the native module's evidence is not that of its program\n"},
    {other_verdict, EBPF_PROGRAM_LOAD_FAILED, "the native module's evidence is not that of its program\n"},
    {missing_helper, EBPF_PROGRAM_LOAD_FAILED,
     "the native module calls the helper bpf_of_tomorrow, which this execution context does not have\n"},
    {rejected, EBPF_VERIFICATION_FAILED, "0: no"},
    {unverified, EBPF_VERIFICATION_FAILED, "nothing has verified this program\n"},
    {revoked, EBPF_INVALID_STATE, "the native module is revoked: its image goes\n"},
    {no_such_program, EBPF_INVALID_ARGUMENT, "the native module has no such program\n"},
    {last_program, EBPF_INVALID_ARGUMENT, "the native module has no such program\n"},
    {another_program, EBPF_PROGRAM_LOAD_FAILED, "the native module's program is another one\n"},
    {another_tail, EBPF_PROGRAM_LOAD_FAILED, "the native module's program is another one\n"},
    {altered_tail, EBPF_PROGRAM_LOAD_FAILED, "the native module's program is another one\n"},
    {cut_tail, EBPF_PROGRAM_LOAD_FAILED, "the native module's program is another one\n"},
    {no_module, EBPF_INVALID_ARGUMENT, "the request names no native module\n"},
    {no_objects, EBPF_INVALID_ARGUMENT, "the request names no native module\n"},
    {module_first, EBPF_INVALID_ARGUMENT, "the request names no native module\n"},
    {no_map, EBPF_INVALID_ARGUMENT, "the request does not name a map for each of the program's\n"},
    {two_maps, EBPF_INVALID_ARGUMENT, "the request does not name a map for each of the program's\n"},
    {not_native, EBPF_INVALID_ARGUMENT, "the request does not name a map for each of the program's\n"},
    {module_for_map, EBPF_INVALID_ARGUMENT,
     "the request names something else than a map for one of the program's\n"},
    {only_a_module, EBPF_INVALID_ARGUMENT,
     "the request names something else than a map for one of the program's\n"},
    {hash_fails, EBPF_FAILED, "SHA-256 cannot be made\n"},
    {other_stride, EBPF_PROGRAM_LOAD_FAILED,
     "the map values has its values at other distances than the native module takes them to be\n"},
    {other_size, EBPF_PROGRAM_LOAD_FAILED, "the map values is not as the native module defines it\n"},
};

static ebpf_result_t load_attempt(const struct attempt *a)
{
    bench_build(&b, PROTO_PROG_LOAD, &a->fixed, a->tail, a->tail_size, a->count);
    return bench_execute(&b, a->objects, a->count, a->no_verdict ? NULL : &a->verdict);
}

static void refuse(const struct refusal *r)
{
    const struct tiny_native *n = &tiny_natives[TINY_COUNT];
    REQUIRE(open());
    struct object *map = make_map(MAP_TYPE_ARRAY), *module = load_module("/tiny0");
    struct attempt a = {.objects = {map, module},
                        .count = 2,
                        .fixed = {.native = TINY_COUNT + 1},
                        .verdict = bench_accept(),
                        .tail = n->canonical,
                        .tail_size = n->canonical_size};
    a.verdict.evidence = n->evidence;
    r->spoil(&a);
    CHECK_EQ(load_attempt(&a), r->result);
    CHECK_STR(sentence(), r->sentence);
    CHECK(b.object == NULL);
    CHECK_EQ(object_count(core_runtime(b.core), OBJECT_PROGRAM), 0);
    module_revoke(module_from_object(module)); // nobody is left in it: this would wait for ever
    object_release(map);
    object_release(module);
    close();
}

static void whatever_does_not_fit_is_refused(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        refuse(&refusals[i]);
    }
}

static void maps_are_bound_once(void)
{
    struct object *prog = NULL, *none = NULL;
    REQUIRE(open());
    struct object *objects[] = {make_map(MAP_TYPE_ARRAY), load_module("/tiny0")};
    struct object *others[] = {make_map(MAP_TYPE_ARRAY), objects[1]};
    CHECK_OK(bench_load_native(&b, TINY_COUNT, objects, 2, &prog));
    CHECK_EQ(bench_load_native(&b, TINY_COUNT, others, 2, &none), EBPF_INVALID_STATE);
    CHECK_STR(sentence(), "the native module's map values is bound to another map\n");
    bench_release(prog);
    CHECK_OK(bench_load_native(&b, TINY_COUNT, others, 2, &prog));
    bench_release(prog);
    object_release(objects[0]);
    object_release(others[0]);
    object_release(objects[1]);
    close();
}

static void native_mode_takes_nothing_else(void)
{
    const struct core_options options = {.runtime = {.spec = spec_builtin()},
                                         .modules = {bench_load_image, bench_unload_image, &b},
                                         .hasher = {tiny_hash, NULL},
                                         .execution = CORE_NATIVE,
                                         .integrity = {.hvci = true}};
    struct object *prog = NULL, *none = NULL;
    REQUIRE(open());
    struct core *usual = b.core;
    CHECK_OK(core_create(&options, &b.core));
    struct object *module = load_module("/tiny0");
    CHECK_OK(bench_load_native(&b, TINY_ANSWER, &module, 1, &prog));
    CHECK_EQ(bench_load_answer(&b, PROG_TYPE_XDP, &none), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_STR(sentence(), "only programs of native modules are run here, and this one is of none\n");
    bench_release(prog);
    bench_release(module);
    core_destroy(b.core);
    b.core = usual;
    close();
}

// --- channels ------------------------------------------------------------------------------------

static struct desk desk;

// A verdict for TINY_COUNT by the token of the channel.
static ebpf_result_t judge(const struct proto_token *token, struct channel *service, unsigned objects)
{
    const struct tiny_native *n = &tiny_natives[TINY_COUNT];
    const struct proto_prog_load_request fixed = {.native = TINY_COUNT + 1};
    bench_build(&desk.b, PROTO_PROG_LOAD, &fixed, n->canonical, n->canonical_size, objects);
    struct proto_verdict_parts parts = {.head = {.token = *token,
                                                 .evidence_size = (uint32_t)n->evidence.size,
                                                 .text_size = 1,
                                                 .json_size = 3,
                                                 .request_size = (uint32_t)desk.b.message_size},
                                        .evidence = n->evidence.bytes,
                                        .text = "",
                                        .json = "[]",
                                        .request = desk.b.message};
    desk.verdict_size = proto_verdict_encode(&parts, desk.verdict, sizeof(desk.verdict));
    return desk_judge(&desk, service, MESSAGE_ROOM);
}

// Lends what two channels hold in this order, and asks for a program.
static ebpf_result_t load_by_channels(struct channel *first, struct channel *second, struct channel *to,
                                      struct channel *service)
{
    struct proto_token token;
    TRY(desk_offer(&desk, to, &token));
    TRY(desk_lend(&desk, first, &token));
    TRY(desk_lend(&desk, second, &token));
    return judge(&token, service, 2);
}

static void open_module(struct channel *c)
{
    const struct proto_module_open_request id = {{5, 6}};
    const struct proto_module_program_request ask = {.index = TINY_COUNT};
    CHECK_OK(desk_call(&desk, c, PROTO_MODULE_OPEN, &id, 0));
    CHECK_OK(desk_call(&desk, c, PROTO_MODULE_PROGRAM, &ask, 1));
    CHECK_EQ(desk_call(&desk, c, PROTO_MODULE_OPEN, &id, 0), EBPF_INVALID_STATE);
}

// As a driver's client does it: open by id, lend maps and then the module.
static void channels_lend_modules(void)
{
    struct module_source source = {.table = &tiny[0].table, .id = {5, 6}};
    struct proto_witness witness = {0};
    struct proto_holder_next_reply holder;
    struct channel *c[4] = {NULL};
    char why[MODULE_WHY_SIZE];
    struct module *m = NULL;
    REQUIRE_OK(desk_init(&desk));
    CHECK_OK(bench_make_modules(&desk.b));
    CHECK_OK(core_module_register(desk.b.core, &source, why, &m));
    module_keep_registered(m);
    for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
        REQUIRE_OK(desk_open(&desk, &c[i]));
    }
    open_module(c[0]);
    CHECK_OK(desk_make_map(&desk, c[1]));
    CHECK_EQ(load_by_channels(c[0], c[1], c[2], c[3]), EBPF_INVALID_ARGUMENT);
    CHECK_OK(load_by_channels(c[1], c[0], c[2], c[3]));
    channels_witness(desk.all, &witness);
    CHECK_EQ(witness.objects[OBJECT_MODULE], 1);
    CHECK_EQ(witness.objects[OBJECT_PROGRAM], 1);
    CHECK_OK(channels_next_holder(desk.all, 0, &holder));
    CHECK(holder.maps == 1 && holder.programs == 1 && holder.others == 2);
    for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
        channel_close(c[i]);
    }
    module_revoke(m);
    CHECK_EQ(desk_count(&desk, OBJECT_MODULE), 0);
    desk_fini(&desk);
}

TEST_SUITE(core_module)
{
    RUN(modules_come_and_go);
    RUN(paths_are_checked);
    RUN(hosts_decide);
    RUN(other_versions_are_refused);
    RUN(programs_are_described);
    RUN(modules_are_opened_by_id);
    RUN(native_programs_run);
    RUN(revoked_programs_are_shown);
    RUN(pins_hold_programs_of_modules);
    RUN(whatever_does_not_fit_is_refused);
    RUN(maps_are_bound_once);
    RUN(native_mode_takes_nothing_else);
    RUN(channels_lend_modules);
}
