// SPDX-License-Identifier: MIT
// Every operation through core_execute, with a verdict made up: what it does, and what it refuses.
#include "core/core_fixture.h"

// Runs `body` on a fresh core and checks that it leaves nothing behind.
#define WITH_CORE(name)                                                                                      \
    static void name##_body(struct bench *b);                                                                \
    static void name(void)                                                                                   \
    {                                                                                                        \
        struct bench b;                                                                                      \
        uint64_t live = plat_sim_live_count();                                                               \
        REQUIRE_OK(bench_init(&b));                                                                          \
        name##_body(&b);                                                                                     \
        bench_fini(&b);                                                                                      \
        CHECK_EQ(plat_sim_live_count(), live);                                                               \
    }                                                                                                        \
    static void name##_body(struct bench *b)

WITH_CORE(version)
{
    struct proto_version_request fixed = {PROTO_WIRE_VERSION};
    struct proto_version_reply reply;
    REQUIRE_OK(bench_call(b, PROTO_VERSION, &fixed, NULL, 0, NULL, 0));
    memcpy(&reply, b->fixed, sizeof(reply));
    CHECK_EQ(reply.version, PROTO_WIRE_VERSION);
    CHECK_EQ(reply.cpu_count, plat_cpu_count());
    CHECK_EQ(reply.platform, DIALECT_LINUX);
}

WITH_CORE(refused_requests_get_a_reply)
{
    struct proto_version_request fixed = {1};
    bench_build(b, PROTO_VERSION, &fixed, NULL, 0, 0);
    b->message[0] ^= 1;
    CHECK_EQ(bench_execute(b, NULL, 0, NULL), EBPF_INVALID_ARGUMENT);
    CHECK(b->fixed == NULL);
    bench_build(b, PROTO_VERSION, &fixed, NULL, 0, 0);
    b->message_size -= 1;
    CHECK_EQ(bench_execute(b, NULL, 0, NULL), EBPF_INVALID_ARGUMENT);
    b->message_size = 5;
    struct core_call call = {.request = b->message, .request_size = 5, .arena = &b->arena};
    struct proto_header header;
    REQUIRE_OK(core_execute(b->core, &call));
    memcpy(&header, call.reply, sizeof(header));
    CHECK_EQ(header.result, EBPF_INVALID_ARGUMENT);
    CHECK_EQ(call.reply_size, sizeof(header));
}

// --- maps ----------------------------------------------------------------------------------------

static ebpf_result_t update(struct bench *b, struct object *map, uint32_t key, const void *value, size_t size,
                            uint64_t flags)
{
    struct proto_map_update_request fixed = {.flags = flags, .key_size = sizeof(key)};
    uint8_t tail[64];
    memcpy(tail, &key, sizeof(key));
    memcpy(tail + sizeof(key), value, size);
    return bench_call(b, PROTO_MAP_UPDATE, &fixed, tail, sizeof(key) + size, &map, 1);
}

static ebpf_result_t lookup(struct bench *b, struct object *map, uint32_t key, bool delete_too)
{
    struct proto_map_lookup_request fixed = {.delete_too = delete_too};
    return bench_call(b, PROTO_MAP_LOOKUP, &fixed, &key, sizeof(key), &map, 1);
}

static ebpf_result_t next_key(struct bench *b, struct object *map, const uint32_t *key)
{
    struct proto_map_next_key_request fixed = {0};
    return bench_call(b, PROTO_MAP_NEXT_KEY, &fixed, key, key != NULL ? sizeof(*key) : 0, &map, 1);
}

WITH_CORE(map_elements)
{
    struct object *map = NULL;
    uint64_t value = 0x1122334455667788;
    struct proto_map_delete_request gone = {0};
    uint32_t key = 5;
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_HASH, 8, &map));
    CHECK_EQ(lookup(b, map, key, false), EBPF_KEY_NOT_FOUND);
    CHECK(b->fixed == NULL);
    CHECK_OK(update(b, map, key, &value, 8, UPDATE_NOEXIST));
    CHECK_EQ(update(b, map, key, &value, 8, UPDATE_NOEXIST), EBPF_KEY_ALREADY_EXISTS);
    CHECK_OK(lookup(b, map, key, false));
    CHECK(b->tail_size == 8 && memcmp(b->tail, &value, 8) == 0);
    CHECK_OK(next_key(b, map, NULL));
    CHECK(b->tail_size == 4 && memcmp(b->tail, &key, 4) == 0);
    CHECK_EQ(next_key(b, map, &key), EBPF_NO_MORE_KEYS);
    CHECK_OK(lookup(b, map, key, true));
    CHECK_EQ(lookup(b, map, key, true), EBPF_KEY_NOT_FOUND);
    CHECK_OK(update(b, map, key, &value, 8, UPDATE_ANY));
    CHECK_OK(bench_call(b, PROTO_MAP_DELETE, &gone, &key, sizeof(key), &map, 1));
    CHECK_EQ(bench_call(b, PROTO_MAP_DELETE, &gone, &key, sizeof(key), &map, 1), EBPF_KEY_NOT_FOUND);
    object_release(map);
}

WITH_CORE(map_sizes_are_the_maps)
{
    struct object *map = NULL;
    uint8_t bytes[16] = {0};
    struct proto_map_lookup_request find = {0};
    struct proto_map_delete_request gone = {0};
    struct proto_map_next_key_request next = {0};
    struct proto_map_update_request set = {.key_size = 8};
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_HASH, 8, &map));
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        ebpf_result_t expected = size == 4 ? EBPF_KEY_NOT_FOUND : EBPF_INVALID_ARGUMENT;
        CHECK_EQ(bench_call(b, PROTO_MAP_LOOKUP, &find, bytes, size, &map, 1), expected);
        CHECK_EQ(bench_call(b, PROTO_MAP_DELETE, &gone, bytes, size, &map, 1), expected);
        expected = size == 0 || size == 4 ? EBPF_NO_MORE_KEYS : EBPF_INVALID_ARGUMENT;
        CHECK_EQ(bench_call(b, PROTO_MAP_NEXT_KEY, &next, bytes, size, &map, 1), expected);
        CHECK_EQ(bench_call(b, PROTO_MAP_UPDATE, &set, bytes, size, &map, 1), EBPF_INVALID_ARGUMENT);
    }
    set.key_size = 4;
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        CHECK_EQ(bench_call(b, PROTO_MAP_UPDATE, &set, bytes, size, &map, 1),
                 size == 12 ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT);
    }
    find.delete_too = 2;
    CHECK_EQ(bench_call(b, PROTO_MAP_LOOKUP, &find, bytes, 4, &map, 1), EBPF_INVALID_ARGUMENT);
    object_release(map);
}

WITH_CORE(per_cpu_values_are_whole)
{
    struct object *map = NULL;
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_PERCPU_ARRAY, 5, &map));
    CHECK_OK(lookup(b, map, 0, false));
    CHECK_EQ(b->tail_size, 8 * plat_cpu_count());
    object_release(map);
}

WITH_CORE(frozen_maps_refuse_writes)
{
    struct object *map = NULL;
    uint64_t value = 1;
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_ARRAY, 8, &map));
    CHECK_OK(bench_call_simple(b, PROTO_MAP_FREEZE, map));
    CHECK_EQ(update(b, map, 0, &value, 8, UPDATE_ANY), EBPF_ACCESS_DENIED);
    CHECK_OK(lookup(b, map, 0, false));
    CHECK_EQ(bench_call_simple(b, PROTO_MAP_FREEZE, map), EBPF_ACCESS_DENIED);
    object_release(map);
}

WITH_CORE(bad_maps_are_refused)
{
    struct object *map = NULL;
    CHECK(bench_create_map(b, MAP_TYPE_NONE, 8, &map) != EBPF_SUCCESS);
    CHECK(bench_create_map(b, 12345, 8, &map) != EBPF_SUCCESS);
    CHECK(bench_create_map(b, MAP_TYPE_ARRAY, 0, &map) != EBPF_SUCCESS);
    CHECK(bench_create_map(b, MAP_TYPE_ARRAY, UINT32_MAX, &map) != EBPF_SUCCESS);
    CHECK_EQ(object_count(core_runtime(b->core), OBJECT_MAP), 0);
}

// --- programs ------------------------------------------------------------------------------------

static void check_load_texts(struct bench *b, const char *text, const char *json)
{
    struct proto_prog_load_reply reply;
    REQUIRE(b->fixed != NULL);
    memcpy(&reply, b->fixed, sizeof(reply));
    CHECK_EQ(reply.text_size + reply.json_size, b->tail_size);
    CHECK_STR((const char *)b->tail, text);
    CHECK_STR((const char *)b->tail + reply.text_size, json);
}

WITH_CORE(programs_load_with_a_verdict)
{
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict verdict = bench_accept();
    struct proto_prog_load_reply reply;
    verdict.text = "looked at\n";
    REQUIRE_OK(bench_load(b, &p, NULL, 0, &verdict));
    check_load_texts(b, "looked at\n", "[]");
    memcpy(&reply, b->fixed, sizeof(reply));
    CHECK_EQ(reply.object.kind, PROTO_KIND_PROGRAM);
    CHECK_EQ(reply.object.id, object_id(b->object));
    CHECK_EQ(reply.states, 3);
    object_release(b->object);
}

WITH_CORE(programs_do_not_load_without_one)
{
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict verdict = bench_accept();
    CHECK_EQ(bench_load(b, &p, NULL, 0, NULL), EBPF_VERIFICATION_FAILED);
    check_load_texts(b, "nothing has verified this program\n", "[]");
    verdict.result = EBPF_VERIFICATION_FAILED;
    verdict.text = "a.c:1: no\n";
    verdict.json = "[{\"rule\":\"x\"}]";
    CHECK_EQ(bench_load(b, &p, NULL, 0, &verdict), EBPF_VERIFICATION_FAILED);
    check_load_texts(b, "a.c:1: no\n", "[{\"rule\":\"x\"}]");
    verdict.result = EBPF_RPC_EXCEPTION;
    CHECK_EQ(bench_load(b, &p, NULL, 0, &verdict), EBPF_RPC_EXCEPTION);
    check_load_texts(b, "a.c:1: no\n", "[{\"rule\":\"x\"}]");
    CHECK_EQ(object_count(core_runtime(b->core), OBJECT_PROGRAM), 0);
}

// A verdict does not help what cannot be run here.
static void check_not_loadable(struct bench *b, const struct program *p, const char *why)
{
    struct core_verdict verdict = bench_accept();
    CHECK_EQ(bench_load(b, p, NULL, 0, &verdict), EBPF_OPERATION_NOT_SUPPORTED);
    check_load_texts(b, why, "[]");
    CHECK_EQ(object_count(core_runtime(b->core), OBJECT_PROGRAM), 0);
}

WITH_CORE(what_can_only_be_verified_does_not_load)
{
    struct program p = bench_program(PROG_TYPE_KPROBE);
    p.attach_type = ATTACH_TYPE_KPROBE;
    struct insn insns[] = {{.id = INSN_CALL, .imm = HELPER_JIFFIES64}, {.id = INSN_EXIT}};
    struct func func = {.start = 0, .end = 2, .name = "main"};
    check_not_loadable(b, &p, "programs of this type can be verified here, but not loaded: kprobe\n");
    p = bench_program(PROG_TYPE_XDP);
    p.insns = insns;
    p.insn_count = 2;
    p.funcs = &func;
    p.func_count = 1;
    check_not_loadable(
        b, &p, "programs that call this helper can be verified here, but not loaded: bpf_jiffies64\n");
    insns[0] = (struct insn){.id = INSN_CALL_BTF, .imm = KFUNC_RCU_READ_LOCK};
    check_not_loadable(b, &p,
                       "functions of the kernel can be verified, but not called here: bpf_rcu_read_lock\n");
}

WITH_CORE(maps_that_can_only_be_verified_are_refused)
{
    struct object *map = NULL;
    for (uint32_t type = MAP_TYPE_RUN_COUNT; type < MAP_TYPE_COUNT; type++) {
        CHECK_EQ(bench_create_map(b, type, 8, &map), EBPF_OPERATION_NOT_SUPPORTED);
    }
    CHECK_EQ(object_count(core_runtime(b->core), OBJECT_MAP), 0);
}

// A service that lies: its evidence is for another program, or the program is none.
WITH_CORE(a_lying_service_is_not_believed)
{
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict verdict = bench_accept();
    uint32_t evidence[] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, 3, 0};
    struct insn off_the_end[] = {{.id = INSN_JA, .off = 5}, {.id = INSN_EXIT}};
    verdict.evidence.bytes = (const uint8_t *)evidence;
    CHECK_EQ(bench_load(b, &p, NULL, 0, &verdict), EBPF_PROGRAM_LOAD_FAILED);
    verdict.evidence = (struct evidence){NULL, 0};
    CHECK_EQ(bench_load(b, &p, NULL, 0, &verdict), EBPF_PROGRAM_LOAD_FAILED);
    verdict = bench_accept();
    p.insns = off_the_end;
    CHECK_EQ(bench_load(b, &p, NULL, 0, &verdict), EBPF_PROGRAM_LOAD_FAILED);
    CHECK(b->fixed != NULL && b->tail_size > 4);
    CHECK_EQ(object_count(core_runtime(b->core), OBJECT_PROGRAM), 0);
}

WITH_CORE(maps_must_be_the_declared_ones)
{
    struct map_def def = {MAP_TYPE_ARRAY, MAP_TYPE_ARRAY, 4, 8, 4, 0, "other name"};
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict verdict = bench_accept();
    struct object *map = NULL, *hash = NULL, *twice[2];
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_ARRAY, 8, &map));
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_HASH, 8, &hash));
    p.maps = &def;
    p.map_count = 1;
    CHECK_EQ(bench_load(b, &p, NULL, 0, &verdict), EBPF_INVALID_ARGUMENT);
    twice[0] = twice[1] = map;
    CHECK_EQ(bench_load(b, &p, twice, 2, &verdict), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(bench_load(b, &p, &hash, 1, &verdict), EBPF_INVALID_ARGUMENT);
    def.value_size = 16;
    CHECK_EQ(bench_load(b, &p, &map, 1, &verdict), EBPF_INVALID_ARGUMENT);
    def.value_size = 8;
    def.flags = MAP_FLAG_RDONLY_PROG;
    CHECK_EQ(bench_load(b, &p, &map, 1, &verdict), EBPF_INVALID_ARGUMENT);
    def.flags = 0;
    REQUIRE_OK(bench_load(b, &p, &map, 1, &verdict)); // the name does not matter
    object_release(b->object);
    object_release(map);
    object_release(hash);
}

// What the verifier took as constant is what the map holds, and nobody can change it any more.
WITH_CORE(constants_are_what_the_map_holds)
{
    static const uint8_t value[8] = {1, 2, 3, 4, 5, 6, 7, 8}, other[8] = {1, 2, 3, 4, 5, 6, 7, 9};
    struct proto_map_create_request fixed = {.def = {MAP_TYPE_ARRAY, 2, 4, 8, 1, MAP_FLAG_RDONLY_PROG, "c"}};
    struct map_facts facts = {.contents = value};
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict verdict = bench_accept();
    REQUIRE_OK(bench_call(b, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0));
    struct object *map = b->object;
    REQUIRE_OK(update(b, map, 0, value, sizeof(value), 0));
    p.maps = &fixed.def;
    p.map_facts = &facts;
    p.map_count = 1;
    CHECK_EQ(bench_load(b, &p, &map, 1, &verdict), EBPF_INVALID_ARGUMENT); // not frozen
    CHECK_OK(bench_call_simple(b, PROTO_MAP_FREEZE, map));
    facts.contents = other;
    CHECK_EQ(bench_load(b, &p, &map, 1, &verdict), EBPF_INVALID_ARGUMENT);
    facts.contents = value;
    REQUIRE_OK(bench_load(b, &p, &map, 1, &verdict));
    object_release(b->object);
    object_release(map);
}

WITH_CORE(constants_are_not_what_programs_may_write)
{
    static const uint8_t value[8];
    struct proto_map_create_request fixed = {.def = {MAP_TYPE_ARRAY, 2, 4, 8, 1, 0, "w"}};
    struct map_facts facts = {.contents = value};
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict verdict = bench_accept();
    REQUIRE_OK(bench_call(b, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0));
    struct object *map = b->object;
    CHECK_OK(bench_call_simple(b, PROTO_MAP_FREEZE, map));
    p.maps = &fixed.def;
    p.map_facts = &facts;
    p.map_count = 1;
    CHECK_EQ(bench_load(b, &p, &map, 1, &verdict), EBPF_PROGRAM_LOAD_FAILED);
    object_release(map);
}

static ebpf_result_t test_run(struct bench *b, struct object *prog, uint32_t data_in, uint32_t data_out)
{
    static const uint8_t data[256] = {1, 2, 3};
    struct proto_prog_test_run_request fixed = {
        .repeat = 2, .data_in_size = data_in, .data_out_capacity = data_out};
    return bench_call(b, PROTO_PROG_TEST_RUN, &fixed, data, data_in, &prog, 1);
}

WITH_CORE(test_runs)
{
    struct object *prog = NULL;
    struct proto_prog_test_run_reply reply;
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_RAW_MEMORY, &prog));
    REQUIRE_OK(test_run(b, prog, 64, 100));
    memcpy(&reply, b->fixed, sizeof(reply));
    CHECK_EQ(reply.retval, 42);
    CHECK_EQ(reply.data_out_size, 64);
    CHECK(b->tail_size == 64 && b->tail[1] == 2);
    CHECK_EQ(test_run(b, prog, 64, 10), EBPF_INSUFFICIENT_BUFFER);
    REQUIRE(b->fixed != NULL);
    memcpy(&reply, b->fixed, sizeof(reply));
    CHECK_EQ(reply.data_out_size, 64);
    CHECK(b->tail_size == 10 && b->tail[2] == 3);
    object_release(prog);
}

WITH_CORE(bad_test_runs_are_refused)
{
    struct object *prog = NULL;
    struct proto_prog_test_run_request fixed = {.data_in_size = 4, .ctx_in_size = UINT32_MAX};
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_RAW_MEMORY, &prog));
    CHECK_EQ(bench_call(b, PROTO_PROG_TEST_RUN, &fixed, "abc", 3, &prog, 1), EBPF_INVALID_ARGUMENT);
    fixed = (struct proto_prog_test_run_request){.data_in_size = 5};
    CHECK_EQ(bench_call(b, PROTO_PROG_TEST_RUN, &fixed, "abc", 3, &prog, 1), EBPF_INVALID_ARGUMENT);
    fixed =
        (struct proto_prog_test_run_request){.data_out_capacity = UINT32_MAX, .ctx_out_capacity = UINT32_MAX};
    CHECK_EQ(bench_call(b, PROTO_PROG_TEST_RUN, &fixed, NULL, 0, &prog, 1), EBPF_INVALID_ARGUMENT);
    object_release(prog);
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_XDP, &prog)); // its provider makes no contexts
    CHECK_EQ(test_run(b, prog, 64, 64), EBPF_OPERATION_NOT_SUPPORTED);
    object_release(prog);
}

// A program is stored by its handle and read back as its id.
WITH_CORE(prog_arrays_hold_programs)
{
    struct object *objects[2] = {NULL, NULL};
    struct proto_map_create_request make = {
        .def = {.type = MAP_TYPE_PROG_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 2, .name = "p"}};
    struct proto_map_set_program_request set = {.flags = UPDATE_ANY};
    uint32_t key = 1;
    REQUIRE_OK(bench_call(b, PROTO_MAP_CREATE, &make, NULL, 0, NULL, 0));
    objects[0] = b->object;
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_XDP, &objects[1]));
    CHECK_OK(bench_call(b, PROTO_MAP_SET_PROGRAM, &set, &key, sizeof(key), objects, 2));
    CHECK_EQ(bench_call(b, PROTO_MAP_SET_PROGRAM, &set, &key, 3, objects, 2), EBPF_INVALID_ARGUMENT);
    CHECK_OK(lookup(b, objects[0], 1, false));
    uint32_t id = object_id(objects[1]);
    REQUIRE(b->tail_size == sizeof(id));
    CHECK_EQ(memcmp(b->tail, &id, sizeof(id)), 0);
    key = 2;
    CHECK_EQ(bench_call(b, PROTO_MAP_SET_PROGRAM, &set, &key, sizeof(key), objects, 2), EBPF_OUT_OF_SPACE);
    object_release(objects[0]);
    object_release(objects[1]);
}

static uint64_t dump(struct bench *b, struct object *prog, uint32_t what, uint32_t offset, uint32_t size)
{
    struct proto_prog_dump_request request = {.what = what, .offset = offset, .size = size};
    CHECK_OK(bench_call(b, PROTO_PROG_DUMP, &request, NULL, 0, &prog, 1));
    const struct proto_prog_dump_reply *reply = b->fixed;
    return reply->total;
}

WITH_CORE(programs_are_dumped)
{
    struct object *prog = NULL;
    struct program p;
    uint8_t first = 0;
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_XDP, &prog));
    uint64_t total = dump(b, prog, PROTO_DUMP_PROGRAM, 0, UINT32_MAX);
    REQUIRE(total != 0 && b->tail_size == total);
    CHECK_OK(proto_program_decode(b->tail, b->tail_size, &b->arena, &p));
    CHECK_EQ(p.type, PROG_TYPE_XDP);
    total = dump(b, prog, PROTO_DUMP_CODE, 0, UINT32_MAX);
    REQUIRE(total != 0 && b->tail_size == total);
    first = b->tail[4];
    CHECK_EQ(dump(b, prog, PROTO_DUMP_CODE, 4, 1), total); // a piece
    REQUIRE(b->tail_size == 1);
    CHECK_EQ(b->tail[0], first);
    CHECK_EQ(dump(b, prog, PROTO_DUMP_CODE, UINT32_MAX, 1), total);
    CHECK_EQ(b->tail_size, 0);
    struct proto_prog_dump_request wrong = {.what = 2};
    CHECK_EQ(bench_call(b, PROTO_PROG_DUMP, &wrong, NULL, 0, &prog, 1), EBPF_INVALID_ARGUMENT);
    object_release(prog);
}

WITH_CORE(maps_are_bound)
{
    struct object *pair[2] = {NULL, NULL};
    struct proto_empty fixed = {0};
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_RAW_MEMORY, &pair[0]));
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_ARRAY, 8, &pair[1]));
    CHECK_OK(bench_call(b, PROTO_PROG_BIND_MAP, &fixed, NULL, 0, pair, 2));
    object_release(pair[1]);
    CHECK_EQ(object_count(core_runtime(b->core), OBJECT_MAP), 1);
    object_release(pair[0]);
}

// --- links ---------------------------------------------------------------------------------------

static ebpf_result_t attach(struct bench *b, struct object *prog, uint32_t attach_type, uint32_t ifindex)
{
    struct proto_link_create_request fixed = {.attach_type = attach_type, .ifindex = ifindex};
    return bench_call(b, PROTO_LINK_CREATE, &fixed, NULL, 0, &prog, 1);
}

static uint32_t linked_prog(struct bench *b, struct object *link)
{
    struct proto_object_info_reply info = {0};
    if (bench_call_simple(b, PROTO_OBJECT_INFO, link) == EBPF_SUCCESS) {
        memcpy(&info, b->fixed, sizeof(info));
    }
    return info.prog_id;
}

WITH_CORE(links)
{
    struct object *first = NULL, *second = NULL, *link;
    struct proto_empty fixed = {0};
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_XDP, &first));
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_XDP, &second));
    REQUIRE_OK(attach(b, first, ATTACH_TYPE_XDP, TEST_IFINDEX));
    link = b->object;
    CHECK_EQ(linked_prog(b, link), object_id(first));
    CHECK_EQ(attach(b, second, ATTACH_TYPE_XDP, TEST_IFINDEX), EBPF_INVALID_STATE);
    CHECK_OK(bench_call(b, PROTO_LINK_UPDATE, &fixed, NULL, 0, (struct object *[]){link, second}, 2));
    CHECK_EQ(linked_prog(b, link), object_id(second));
    CHECK_EQ(bench_call(b, PROTO_LINK_REPLACE, &fixed, NULL, 0, (struct object *[]){link, first, first}, 3),
             EBPF_INVALID_STATE);
    CHECK_OK(bench_call(b, PROTO_LINK_REPLACE, &fixed, NULL, 0, (struct object *[]){link, first, second}, 3));
    CHECK_EQ(linked_prog(b, link), object_id(first));
    CHECK_OK(bench_call_simple(b, PROTO_LINK_DETACH, link));
    CHECK_OK(bench_call_simple(b, PROTO_LINK_DETACH, link));
    object_release(link);
    object_release(first);
    object_release(second);
}

WITH_CORE(bad_links_are_refused)
{
    struct object *prog = NULL;
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_RAW_MEMORY, &prog));
    CHECK_EQ(attach(b, prog, ATTACH_TYPE_NONE, 1), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(attach(b, prog, 4096, 1), EBPF_INVALID_ARGUMENT);
    CHECK(attach(b, prog, ATTACH_TYPE_XDP, TEST_IFINDEX) != EBPF_SUCCESS); // another type
    CHECK_EQ(attach(b, prog, ATTACH_TYPE_RAW_MEMORY, 1), EBPF_EXTENSION_FAILED_TO_LOAD);
    object_release(prog);
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_XDP, &prog));
    CHECK_EQ(attach(b, prog, ATTACH_TYPE_XDP, TEST_IFINDEX + 1),
             EBPF_OBJECT_NOT_FOUND); // the hook's own word
    object_release(prog);
    CHECK_EQ(object_count(core_runtime(b->core), OBJECT_LINK), 0);
}

WITH_CORE(hooks_are_listed)
{
    struct proto_hook_next_request fixed = {ATTACH_TYPE_XDP, 0};
    struct proto_hook_next_reply reply;
    struct object *prog = NULL, *link;
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_XDP, &prog));
    REQUIRE_OK(attach(b, prog, ATTACH_TYPE_XDP, TEST_IFINDEX));
    link = b->object;
    bench_link_id = object_id(link);
    REQUIRE_OK(bench_call(b, PROTO_HOOK_NEXT, &fixed, NULL, 0, NULL, 0));
    memcpy(&reply, b->fixed, sizeof(reply));
    CHECK_EQ(reply.ifindex, TEST_IFINDEX);
    CHECK_EQ(reply.prog_id, object_id(prog));
    fixed.after_ifindex = reply.ifindex;
    CHECK_EQ(bench_call(b, PROTO_HOOK_NEXT, &fixed, NULL, 0, NULL, 0), EBPF_NO_MORE_KEYS);
    bench_link_id = 0;
    object_release(link);
    object_release(prog);
}

// --- pins and ids --------------------------------------------------------------------------------

WITH_CORE(pins)
{
    struct object *map = NULL;
    struct proto_pin_next_reply next;
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_ARRAY, 8, &map));
    uint32_t id = object_id(map);
    CHECK_OK(bench_call_path(b, PROTO_OBJECT_PIN, "/sys/fs/bpf//m", map));
    CHECK_EQ(bench_call_path(b, PROTO_OBJECT_PIN, "m", map), EBPF_OBJECT_ALREADY_EXISTS);
    CHECK_OK(bench_call_path(b, PROTO_OBJECT_PIN, "/sys/fs/bpf/n", map));
    object_release(map);
    REQUIRE_OK(bench_call_path(b, PROTO_OBJECT_GET, "m", NULL));
    CHECK_EQ(object_id(b->object), id);
    object_release(b->object);
    REQUIRE_OK(bench_call_path(b, PROTO_PIN_NEXT, "", NULL));
    memcpy(&next, b->fixed, sizeof(next));
    CHECK_STR(next.path, "/sys/fs/bpf/m");
    CHECK(next.kind == PROTO_KIND_MAP && next.id == id);
    REQUIRE_OK(bench_call_path(b, PROTO_PIN_NEXT, next.path, NULL));
    memcpy(&next, b->fixed, sizeof(next));
    CHECK_STR(next.path, "/sys/fs/bpf/n");
    CHECK_EQ(bench_call_path(b, PROTO_PIN_NEXT, next.path, NULL), EBPF_NO_MORE_KEYS);
    CHECK_OK(bench_call_path(b, PROTO_OBJECT_UNPIN, "./m", NULL));
    CHECK_EQ(bench_call_path(b, PROTO_OBJECT_UNPIN, "m", NULL), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(bench_call_path(b, PROTO_OBJECT_GET, "m", NULL), EBPF_OBJECT_NOT_FOUND);
} // the pin of n goes with the core

WITH_CORE(bad_pins_are_refused)
{
    struct object *map = NULL;
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_ARRAY, 8, &map));
    CHECK_EQ(bench_call_path(b, PROTO_OBJECT_PIN, "", map), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(bench_call_path(b, PROTO_OBJECT_PIN, "../../x", map), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(bench_call_path(b, PROTO_OBJECT_GET, "/", NULL), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(bench_call_path(b, PROTO_OBJECT_UNPIN, "a\nb", NULL), EBPF_INVALID_ARGUMENT);
    object_release(map);
}

static ebpf_result_t next_id(struct bench *b, uint32_t kind, uint32_t from, uint32_t *id)
{
    struct proto_next_id_request fixed = {kind, from};
    TRY(bench_call(b, PROTO_NEXT_ID, &fixed, NULL, 0, NULL, 0));
    memcpy(id, b->fixed, sizeof(*id));
    return EBPF_SUCCESS;
}

WITH_CORE(ids)
{
    struct object *map = NULL;
    uint32_t id = 0;
    struct proto_open_id_request fixed = {PROTO_KIND_MAP, 0};
    CHECK_EQ(next_id(b, PROTO_KIND_MAP, 0, &id), EBPF_NO_MORE_KEYS);
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_ARRAY, 8, &map));
    CHECK_OK(next_id(b, PROTO_KIND_MAP, 0, &id));
    CHECK_EQ(id, object_id(map));
    CHECK_EQ(next_id(b, PROTO_KIND_MAP, id, &id), EBPF_NO_MORE_KEYS);
    CHECK_EQ(next_id(b, PROTO_KIND_PROGRAM, 0, &id), EBPF_NO_MORE_KEYS);
    CHECK_EQ(next_id(b, 0, 0, &id), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(next_id(b, 4, 0, &id), EBPF_INVALID_ARGUMENT);
    fixed.id = id;
    REQUIRE_OK(bench_call(b, PROTO_OPEN_ID, &fixed, NULL, 0, NULL, 0));
    CHECK(b->object == map);
    object_release(b->object);
    fixed.kind = PROTO_KIND_PROGRAM;
    CHECK_EQ(bench_call(b, PROTO_OPEN_ID, &fixed, NULL, 0, NULL, 0), EBPF_OBJECT_NOT_FOUND);
    fixed.kind = UINT32_MAX;
    CHECK_EQ(bench_call(b, PROTO_OPEN_ID, &fixed, NULL, 0, NULL, 0), EBPF_INVALID_ARGUMENT);
    object_release(map);
}

WITH_CORE(information)
{
    struct object *map = NULL, *prog = NULL;
    struct proto_object_info_reply info;
    REQUIRE_OK(bench_create_map(b, MAP_TYPE_HASH, 5, &map));
    REQUIRE_OK(bench_call_path(b, PROTO_OBJECT_PIN, "a", map));
    REQUIRE_OK(bench_call_path(b, PROTO_OBJECT_PIN, "b", map));
    REQUIRE_OK(bench_call_simple(b, PROTO_OBJECT_INFO, map));
    memcpy(&info, b->fixed, sizeof(info));
    CHECK(info.kind == PROTO_KIND_MAP && info.id == object_id(map) && info.type == MAP_TYPE_HASH);
    CHECK(info.key_size == 4 && info.value_size == 5 && info.max_entries == 4 && info.user_value_size == 5);
    CHECK_STR(info.name, "m");
    CHECK_EQ(info.pin_count, 2);
    REQUIRE_OK(bench_load_answer(b, PROG_TYPE_XDP, &prog));
    REQUIRE_OK(bench_call_simple(b, PROTO_OBJECT_INFO, prog));
    memcpy(&info, b->fixed, sizeof(info));
    CHECK(info.kind == PROTO_KIND_PROGRAM && info.type == PROG_TYPE_XDP && info.insn_count == 2);
    CHECK_STR(info.name, "answer");
    CHECK_EQ(info.pin_count, 0);
    object_release(prog);
    object_release(map);
}

TEST_SUITE(core)
{
    RUN(version);
    RUN(refused_requests_get_a_reply);
    RUN(map_elements);
    RUN(map_sizes_are_the_maps);
    RUN(per_cpu_values_are_whole);
    RUN(frozen_maps_refuse_writes);
    RUN(bad_maps_are_refused);
    RUN(programs_load_with_a_verdict);
    RUN(what_can_only_be_verified_does_not_load);
    RUN(maps_that_can_only_be_verified_are_refused);
    RUN(programs_do_not_load_without_one);
    RUN(a_lying_service_is_not_believed);
    RUN(maps_must_be_the_declared_ones);
    RUN(constants_are_what_the_map_holds);
    RUN(constants_are_not_what_programs_may_write);
    RUN(test_runs);
    RUN(bad_test_runs_are_refused);
    RUN(prog_arrays_hold_programs);
    RUN(programs_are_dumped);
    RUN(maps_are_bound);
    RUN(links);
    RUN(bad_links_are_refused);
    RUN(hooks_are_listed);
    RUN(pins);
    RUN(bad_pins_are_refused);
    RUN(ids);
    RUN(information);
}
