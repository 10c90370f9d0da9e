// SPDX-License-Identifier: MIT
// Tests of MAP_MEMORY through core_execute: who may, what comes back, and that a failure changes nothing.
#include "core/core_fixture.h"

static struct object *create(struct bench *b)
{
    struct proto_map_create_request fixed = {.def = {.type = MAP_TYPE_ARRAY,
                                                     .key_size = 4,
                                                     .value_size = 12,
                                                     .max_entries = 3,
                                                     .flags = MAP_FLAG_MMAPABLE,
                                                     .name = "m"}};
    return bench_call(b, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0) == EBPF_SUCCESS ? b->object : NULL;
}

static ebpf_result_t ask(struct bench *b, struct object *map, uint32_t writable,
                         struct proto_map_memory_reply *out)
{
    struct proto_map_memory_request fixed = {.writable = writable};
    TRY(bench_call(b, PROTO_MAP_MEMORY, &fixed, NULL, 0, &map, 1));
    memcpy(out, b->fixed, sizeof(*out));
    return EBPF_SUCCESS;
}

static void unmap(const struct proto_map_memory_reply *r)
{
    plat_shared_unmap((void *)(uintptr_t)r->address, (size_t)r->size);
}

static void addresses_come_back(void)
{
    struct bench b;
    struct proto_map_memory_reply r = {0};
    REQUIRE_OK(bench_init(&b));
    struct object *map = create(&b);
    REQUIRE(map != NULL);
    CHECK_EQ(ask(&b, map, 2, &r), EBPF_INVALID_ARGUMENT);
    REQUIRE_OK(ask(&b, map, 1, &r));
    CHECK(r.address != 0 && r.size == 4096);
    *(uint8_t *)(uintptr_t)r.address = 9;
    unmap(&r);
    REQUIRE_OK(ask(&b, map, 0, &r));
    object_release(map);
    bench_fini(&b);
    CHECK_EQ(*(const uint8_t *)(uintptr_t)r.address, 9); // longer than the map, and the core
    unmap(&r);
}

// A right that was granted in vain is given back: the map can still be frozen.
static void a_failure_changes_nothing(void)
{
    struct bench b;
    struct proto_map_memory_reply r;
    REQUIRE_OK(bench_init(&b));
    struct object *map = create(&b);
    REQUIRE(map != NULL);
    plat_sim_fail_alloc(2); // the first is the reply
    CHECK_EQ(ask(&b, map, 1, &r), EBPF_NO_MEMORY);
    CHECK(!plat_sim_fail_pending());
    plat_sim_fail_alloc(0);
    CHECK_OK(bench_call_simple(&b, PROTO_MAP_FREEZE, map));
    CHECK_EQ(ask(&b, map, 1, &r), EBPF_ACCESS_DENIED);
    REQUIRE_OK(ask(&b, map, 0, &r));
    unmap(&r);
    object_release(map);
    map = create(&b);
    REQUIRE(map != NULL);
    REQUIRE_OK(ask(&b, map, 1, &r));
    unmap(&r);
    CHECK_EQ(bench_call_simple(&b, PROTO_MAP_FREEZE, map), EBPF_INVALID_STATE);
    object_release(map);
    bench_fini(&b);
}

TEST_SUITE(core_memory)
{
    RUN(addresses_come_back);
    RUN(a_failure_changes_nothing);
}
