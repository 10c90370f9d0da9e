// SPDX-License-Identifier: MIT
// Kinds of objects against every operation, and the n-th allocation failed for every n through a life of all
// operations: each failure is EBPF_NO_MEMORY, and nothing is left behind.
#include "core/core_fixture.h"

// --- kinds ---------------------------------------------------------------------------------------

static void every_operation_checks_kinds(void)
{
    static const uint8_t zeros[PROTO_PATH_SIZE];
    struct bench b;
    struct object *o[OBJECT_KIND_COUNT] = {NULL};
    REQUIRE_OK(bench_init(&b));
    CHECK_OK(bench_create_map(&b, MAP_TYPE_ARRAY, 8, &o[OBJECT_MAP]));
    CHECK_OK(bench_load_answer(&b, PROG_TYPE_XDP, &o[OBJECT_PROGRAM]));
    struct proto_link_create_request attach = {.attach_type = ATTACH_TYPE_XDP, .ifindex = TEST_IFINDEX};
    CHECK_OK(bench_call(&b, PROTO_LINK_CREATE, &attach, NULL, 0, &o[OBJECT_PROGRAM], 1));
    o[OBJECT_LINK] = b.object;
    CHECK_OK(bench_make_modules(&b));
    CHECK_OK(bench_load_module(&b, "/tiny0", &o[OBJECT_MODULE]));
    for (uint16_t op = 0; op < 64; op++) {
        const struct proto_op_row *row = proto_op_row(op);
        for (unsigned kind = OBJECT_MAP; row != NULL && kind < OBJECT_KIND_COUNT; kind++) {
            struct object *same[3] = {o[kind], o[kind], o[kind]};
            unsigned count = row->objects < 0 ? 3 : (unsigned)row->objects;
            bool permitted = true;
            for (unsigned i = 0; i < count; i++) {
                permitted = permitted && (row->kinds[i] >> kind & 1) != 0;
            }
            if (!permitted) {
                CHECK_EQ(bench_call(&b, op, zeros, NULL, 0, same, count), EBPF_INVALID_OBJECT);
            }
        }
    }
    bench_release(o[OBJECT_MODULE]);
    bench_release(o[OBJECT_LINK]);
    bench_release(o[OBJECT_PROGRAM]);
    bench_release(o[OBJECT_MAP]);
    bench_fini(&b);
}

// --- a life of all operations --------------------------------------------------------------------

struct life {
    struct bench b;
    struct object *map, *prog, *link, *got;
};

static ebpf_result_t use_map(struct life *l)
{
    struct proto_map_update_request set = {.key_size = 4};
    struct proto_map_lookup_request find = {0};
    struct proto_map_next_key_request next = {0};
    struct proto_map_delete_request gone = {0};
    static const uint8_t bytes[12] = {1};
    TRY(bench_create_map(&l->b, MAP_TYPE_HASH, 8, &l->map));
    TRY(bench_call(&l->b, PROTO_MAP_UPDATE, &set, bytes, 12, &l->map, 1));
    TRY(bench_call(&l->b, PROTO_MAP_LOOKUP, &find, bytes, 4, &l->map, 1));
    TRY(bench_call(&l->b, PROTO_MAP_NEXT_KEY, &next, NULL, 0, &l->map, 1));
    TRY(bench_call(&l->b, PROTO_MAP_DELETE, &gone, bytes, 4, &l->map, 1));
    return bench_call_simple(&l->b, PROTO_MAP_FREEZE, l->map);
}

static ebpf_result_t use_batches(struct life *l, struct object *map)
{
    struct proto_map_batch_request change = {.count = 2};
    struct proto_map_lookup_batch_request find = {.count = 5};
    static const uint8_t elements[24] = {1, 0, 0, 0, 2};
    TRY(bench_call(&l->b, PROTO_MAP_UPDATE_BATCH, &change, elements, 24, &map, 1));
    TRY(bench_call(&l->b, PROTO_MAP_LOOKUP_BATCH, &find, NULL, 0, &map, 1));
    CHECK_EQ(l->b.tail_size, 24);
    TRY(bench_call(&l->b, PROTO_MAP_DELETE_BATCH, &change, elements, 8, &map, 1));
    find.delete_too = 1;
    return bench_call(&l->b, PROTO_MAP_LOOKUP_BATCH, &find, NULL, 0, &map, 1);
}

static ebpf_result_t use_memory(struct life *l, struct object *map)
{
    struct proto_map_memory_request ask = {.writable = 1};
    struct proto_map_memory_reply reply;
    TRY(bench_call(&l->b, PROTO_MAP_MEMORY, &ask, NULL, 0, &map, 1));
    memcpy(&reply, l->b.fixed, sizeof(reply));
    *(uint8_t *)(uintptr_t)reply.address = 1;
    plat_shared_unmap((void *)(uintptr_t)reply.address, (size_t)reply.size);
    return EBPF_SUCCESS;
}

static ebpf_result_t use_elements(struct life *l)
{
    struct object *hash = NULL, *array = NULL;
    struct proto_map_create_request fixed = {.def = {.type = MAP_TYPE_ARRAY,
                                                     .key_size = 4,
                                                     .value_size = 8,
                                                     .max_entries = 4,
                                                     .flags = MAP_FLAG_MMAPABLE,
                                                     .name = "m"}};
    TRY(bench_create_map(&l->b, MAP_TYPE_HASH, 8, &hash));
    ebpf_result_t result = use_batches(l, hash);
    if (result == EBPF_SUCCESS) {
        result = bench_call(&l->b, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0);
        array = l->b.object;
    }
    result = result == EBPF_SUCCESS ? use_memory(l, array) : result;
    bench_release(array);
    object_release(hash);
    return result;
}

static ebpf_result_t use_prog(struct life *l)
{
    struct proto_prog_test_run_request run = {.data_in_size = 8, .data_out_capacity = 8};
    struct proto_empty empty = {0};
    struct object *raw = NULL;
    ebpf_result_t result;
    TRY(bench_load_answer(&l->b, PROG_TYPE_XDP, &l->prog));
    TRY(bench_call(&l->b, PROTO_PROG_BIND_MAP, &empty, NULL, 0, (struct object *[]){l->prog, l->map}, 2));
    TRY(bench_load_answer(&l->b, PROG_TYPE_RAW_MEMORY, &raw));
    result = bench_call(&l->b, PROTO_PROG_TEST_RUN, &run, "12345678", 8, &raw, 1);
    object_release(raw);
    return result;
}

static ebpf_result_t use_link(struct life *l)
{
    struct proto_link_create_request attach = {.attach_type = ATTACH_TYPE_XDP, .ifindex = TEST_IFINDEX};
    struct proto_empty empty = {0};
    TRY(bench_call(&l->b, PROTO_LINK_CREATE, &attach, NULL, 0, &l->prog, 1));
    l->link = l->b.object;
    TRY(bench_call(&l->b, PROTO_LINK_UPDATE, &empty, NULL, 0, (struct object *[]){l->link, l->prog}, 2));
    return bench_call_simple(&l->b, PROTO_LINK_DETACH, l->link);
}

static ebpf_result_t use_names(struct life *l)
{
    struct proto_next_id_request next = {PROTO_KIND_MAP, 0};
    TRY(bench_call_path(&l->b, PROTO_OBJECT_PIN, "p", l->prog));
    TRY(bench_call_path(&l->b, PROTO_OBJECT_GET, "p", NULL));
    l->got = l->b.object;
    TRY(bench_call_path(&l->b, PROTO_PIN_NEXT, "", NULL));
    TRY(bench_call(&l->b, PROTO_NEXT_ID, &next, NULL, 0, NULL, 0));
    TRY(bench_call_simple(&l->b, PROTO_OBJECT_INFO, l->map));
    TRY(bench_call_simple(&l->b, PROTO_OBJECT_INFO, l->prog));
    TRY(bench_call_simple(&l->b, PROTO_OBJECT_INFO, l->link));
    return bench_call_path(&l->b, PROTO_OBJECT_UNPIN, "p", NULL);
}

static ebpf_result_t use_programs_of(struct life *l, struct object *module)
{
    struct proto_module_program_request ask = {.index = TINY_COUNT};
    struct object *objects[] = {NULL, module}, *prog = NULL;
    TRY(bench_call(&l->b, PROTO_MODULE_PROGRAM, &ask, NULL, 0, &module, 1));
    TRY(bench_create_map(&l->b, MAP_TYPE_ARRAY, 8, &objects[0]));
    ebpf_result_t result = bench_load_native(&l->b, TINY_COUNT, objects, 2, &prog);
    if (result == EBPF_SUCCESS) {
        result = bench_call_simple(&l->b, PROTO_OBJECT_INFO, prog);
    }
    bench_release(prog);
    object_release(objects[0]);
    return result;
}

static ebpf_result_t use_modules(struct life *l)
{
    struct object *module = NULL, *none = NULL;
    TRY(bench_make_modules(&l->b));
    TRY(bench_load_module(&l->b, "/tiny0", &module));
    ebpf_result_t result = use_programs_of(l, module);
    object_release(module);
    TRY(result);
    tiny[1].table.version++;
    result = bench_load_module(&l->b, "/tiny1", &none);
    CHECK(none == NULL);
    CHECK(result == EBPF_INVALID_OBJECT || result == EBPF_NO_MEMORY);
    return result == EBPF_INVALID_OBJECT ? EBPF_SUCCESS : result;
}

static ebpf_result_t live_once(void)
{
    static struct life l;
    memset(&l, 0, sizeof(l));
    TRY(bench_init(&l.b));
    ebpf_result_t result = use_map(&l);
    result = result == EBPF_SUCCESS ? use_elements(&l) : result;
    result = result == EBPF_SUCCESS ? use_prog(&l) : result;
    result = result == EBPF_SUCCESS ? use_link(&l) : result;
    result = result == EBPF_SUCCESS ? use_names(&l) : result;
    result = result == EBPF_SUCCESS ? use_modules(&l) : result;
    CHECK_EQ(l.b.loaded, l.b.unloaded);
    bench_release(l.got);
    bench_release(l.link);
    bench_release(l.prog);
    bench_release(l.map);
    bench_fini(&l.b);
    return result;
}

static void every_allocation_may_fail(void)
{
    uint64_t live = plat_sim_live_count(), count = plat_sim_alloc_count(), failures = 0;
    REQUIRE_OK(live_once());
    count = plat_sim_alloc_count() - count;
    CHECK(count > 20);
    for (uint64_t nth = 1; nth <= count; nth++) {
        plat_sim_fail_alloc(nth);
        ebpf_result_t result = live_once();
        plat_sim_fail_alloc(0);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
        CHECK_EQ(plat_sim_live_count(), live);
        failures += result == EBPF_NO_MEMORY;
    }
    CHECK_EQ(failures, count);
}

TEST_SUITE(core_fault)
{
    RUN(every_operation_checks_kinds);
    RUN(every_allocation_may_fail);
}
