// SPDX-License-Identifier: MIT
// Tests of batches through core_execute: sizes, room, partial results, and callers that went away.
#include "core/core_fixture.h"

#define WITH_MAP(name, type)                                                                                 \
    static void name##_body(struct bench *b, struct object *map);                                            \
    static void name(void)                                                                                   \
    {                                                                                                        \
        static struct bench b;                                                                               \
        struct object *map = NULL;                                                                           \
        uint64_t live = plat_sim_live_count();                                                               \
        REQUIRE_OK(bench_init(&b));                                                                          \
        REQUIRE_OK(bench_create_map(&b, type, 8, &map));                                                     \
        name##_body(&b, map);                                                                                \
        object_release(map);                                                                                 \
        bench_fini(&b);                                                                                      \
        CHECK_EQ(plat_sim_live_count(), live);                                                               \
    }                                                                                                        \
    static void name##_body(struct bench *b, struct object *map)

struct elements {
    uint32_t keys[4];
    uint64_t values[4];
};

static ebpf_result_t change(struct bench *b, uint16_t op, struct object *map, uint32_t count,
                            const struct elements *e, uint64_t flags)
{
    struct proto_map_batch_request fixed = {.flags = flags, .count = count};
    uint8_t tail[sizeof(*e)];
    size_t keys = count * sizeof(e->keys[0]), values = op == PROTO_MAP_UPDATE_BATCH ? count * 8u : 0;
    memcpy(tail, e->keys, keys);
    memcpy(tail + keys, e->values, values);
    return bench_call(b, op, &fixed, tail, keys + values, &map, 1);
}

static ebpf_result_t look_up(struct bench *b, struct object *map, uint32_t count, uint32_t position,
                             bool take)
{
    struct proto_map_lookup_batch_request fixed = {.count = count, .delete_too = take, .position = position};
    return bench_call(b, PROTO_MAP_LOOKUP_BATCH, &fixed, NULL, 0, &map, 1);
}

static struct proto_map_batch_reply reply_of(const struct bench *b)
{
    struct proto_map_batch_reply r = {.done = 999};
    if (b->fixed != NULL) {
        memcpy(&r, b->fixed, sizeof(r));
    }
    return r;
}

static const struct elements four = {{1, 2, 3, 4}, {10, 20, 30, 40}};

WITH_MAP(elements_go_and_come, MAP_TYPE_HASH)
{
    uint64_t sum = 0;
    REQUIRE_OK(change(b, PROTO_MAP_UPDATE_BATCH, map, 3, &four, UPDATE_ANY));
    CHECK_EQ(reply_of(b).done, 3);
    REQUIRE_OK(look_up(b, map, 100, 0, false));
    CHECK_EQ(reply_of(b).done, 3);
    CHECK_EQ(reply_of(b).end, 1);
    REQUIRE(b->tail_size == 3 * 12);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t key;
        uint64_t value;
        memcpy(&key, b->tail + i * 4, 4);
        memcpy(&value, b->tail + 12 + i * 8, 8); // values follow the keys that came
        CHECK_EQ(value, key * 10u);
        sum += value;
    }
    CHECK_EQ(sum, 60);
    CHECK_OK(change(b, PROTO_MAP_DELETE_BATCH, map, 2, &four, 0));
    CHECK_OK(look_up(b, map, 4, 0, true));
    CHECK_EQ(reply_of(b).done, 1);
    CHECK_OK(look_up(b, map, 4, 0, true));
    CHECK_EQ(reply_of(b).done, 0);
    CHECK_EQ(b->tail_size, 0);
}

WITH_MAP(arrays_go_by_index, MAP_TYPE_ARRAY)
{
    struct elements e = {{0, 1, 2, 3}, {5, 6, 7, 8}};
    uint32_t key = 9;
    CHECK_OK(change(b, PROTO_MAP_UPDATE_BATCH, map, 4, &e, UPDATE_ANY));
    CHECK_OK(look_up(b, map, 3, 0, false));
    CHECK_EQ(reply_of(b).done, 3);
    CHECK_EQ(reply_of(b).end, 0);
    CHECK_EQ(reply_of(b).position, 3);
    CHECK_OK(look_up(b, map, UINT32_MAX, 3, false));
    CHECK_EQ(reply_of(b).done, 1);
    CHECK_EQ(reply_of(b).end, 1);
    memcpy(&key, b->tail, 4);
    CHECK(key == 3 && b->tail[4] == 8);
    CHECK_EQ(look_up(b, map, 1, 0, true), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(change(b, PROTO_MAP_DELETE_BATCH, map, 1, &e, 0), EBPF_OPERATION_NOT_SUPPORTED);
}

WITH_MAP(sizes_must_fit, MAP_TYPE_HASH)
{
    static const uint8_t zeros[64];
    struct proto_map_batch_request fixed = {.count = 3};
    for (size_t size = 0; size <= sizeof(zeros); size++) {
        CHECK_EQ(bench_call(b, PROTO_MAP_UPDATE_BATCH, &fixed, zeros, size, &map, 1),
                 size == 36 ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT);
    }
    CHECK_OK(change(b, PROTO_MAP_DELETE_BATCH, map, 1, &(struct elements){0}, 0));
    for (size_t size = 0; size <= sizeof(zeros); size++) {
        CHECK_EQ(bench_call(b, PROTO_MAP_DELETE_BATCH, &fixed, zeros, size, &map, 1),
                 size == 12 ? EBPF_KEY_NOT_FOUND : EBPF_INVALID_ARGUMENT);
    }
    fixed.count = 0;
    CHECK_EQ(bench_call(b, PROTO_MAP_UPDATE_BATCH, &fixed, NULL, 0, &map, 1), EBPF_INVALID_ARGUMENT);
    fixed.count = 0x40000000; // times the sizes: a multiple of 2^32
    CHECK_EQ(bench_call(b, PROTO_MAP_UPDATE_BATCH, &fixed, NULL, 0, &map, 1), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(look_up(b, map, 0, 0, false), EBPF_INVALID_ARGUMENT);
    struct proto_map_lookup_batch_request odd = {.count = 1, .delete_too = 2};
    CHECK_EQ(bench_call(b, PROTO_MAP_LOOKUP_BATCH, &odd, NULL, 0, &map, 1), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(change(b, PROTO_MAP_DELETE_BATCH, map, 1, &four, 1), EBPF_INVALID_ARGUMENT);
}

WITH_MAP(failures_say_how_far_they_came, MAP_TYPE_HASH)
{
    struct elements e = {{1, 2, 1, 4}, {0}};
    CHECK_EQ(change(b, PROTO_MAP_UPDATE_BATCH, map, 4, &e, UPDATE_NOEXIST), EBPF_KEY_ALREADY_EXISTS);
    CHECK_EQ(reply_of(b).done, 2);
    CHECK_EQ(change(b, PROTO_MAP_UPDATE_BATCH, map, 4, &e, 77), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(reply_of(b).done, 0);
    CHECK_EQ(change(b, PROTO_MAP_DELETE_BATCH, map, 3, &e, 0), EBPF_KEY_NOT_FOUND);
    CHECK_EQ(reply_of(b).done, 2);
    CHECK_OK(bench_call_simple(b, PROTO_MAP_FREEZE, map));
    CHECK_EQ(change(b, PROTO_MAP_UPDATE_BATCH, map, 1, &e, 0), EBPF_ACCESS_DENIED);
    CHECK(b->fixed == NULL); // refused as a whole
    CHECK_EQ(look_up(b, map, 1, 0, true), EBPF_ACCESS_DENIED);
}

// Some bucket has two of a hundred elements; a room of one is refused there, and nothing is lost.
WITH_MAP(a_bucket_without_room_is_told, MAP_TYPE_HASH)
{
    struct proto_map_create_request fixed = {
        .def = {.type = MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 100, .name = "m"}};
    unsigned taken = 0, refused = 0;
    REQUIRE_OK(bench_call(b, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0));
    struct object *large = b->object;
    for (uint32_t i = 0; i < 100; i += 4) {
        const uint32_t mixed = 0x9e3779b9; // numbers in a row would be spread too well
        struct elements e = {
            {i * i * mixed, (i + 1) * (i + 1) * mixed, (i + 2) * (i + 2) * mixed, (i + 3) * (i + 3) * mixed},
            {0}};
        CHECK_OK(change(b, PROTO_MAP_UPDATE_BATCH, large, 4, &e, 0));
    }
    for (uint32_t position = 0, end = 0; end == 0 && taken < 100; end = reply_of(b).end) {
        uint32_t room = 1;
        ebpf_result_t result = look_up(b, large, room, position, true);
        while (result == EBPF_INSUFFICIENT_BUFFER && room < 20) {
            REQUIRE(b->fixed != NULL && reply_of(b).done == 0);
            refused++;
            result = look_up(b, large, ++room, position, true);
        }
        REQUIRE(result == EBPF_SUCCESS);
        taken += reply_of(b).done;
        position = reply_of(b).position;
    }
    CHECK_EQ(taken, 100);
    CHECK(refused > 0);
    object_release(large);
    UNUSED(map);
}

// --- who is served -------------------------------------------------------------------------------

static bool gave_up(void *user)
{
    unsigned *left = user;
    return *left == 0 || --*left == 0;
}

static ebpf_result_t execute(struct bench *b, struct object *map, size_t capacity, unsigned *patience,
                             struct core_call *call)
{
    struct proto_header header;
    *call = (struct core_call){.request = b->message,
                               .request_size = b->message_size,
                               .objects = &map,
                               .object_count = 1,
                               .reply_capacity = capacity,
                               .is_abandoned = patience != NULL ? gave_up : NULL,
                               .user = patience};
    bench_reset_arena(b);
    call->arena = &b->arena;
    TRY(core_execute(b->core, call));
    memcpy(&header, call->reply, sizeof(header));
    return (ebpf_result_t)header.result;
}

WITH_MAP(replies_have_the_room_that_there_is, MAP_TYPE_HASH)
{
    struct proto_map_lookup_batch_request fixed = {.count = 3, .delete_too = 1};
    struct core_call call;
    size_t needed = sizeof(struct proto_header) + sizeof(struct proto_map_batch_reply) + 3 * 12;
    CHECK_OK(change(b, PROTO_MAP_UPDATE_BATCH, map, 3, &four, 0));
    bench_build(b, PROTO_MAP_LOOKUP_BATCH, &fixed, NULL, 0, 1);
    CHECK_EQ(execute(b, map, needed - 1, NULL, &call), EBPF_INSUFFICIENT_BUFFER);
    CHECK_EQ(call.reply_size, sizeof(struct proto_header));
    CHECK_OK(execute(b, map, needed, NULL, &call)); // nothing had been taken
    CHECK(call.reply_size == needed);
}

WITH_MAP(nobody_waits, MAP_TYPE_HASH)
{
    struct proto_map_lookup_batch_request fixed = {.count = 3, .delete_too = 1};
    struct core_call call;
    unsigned patience = 1;
    CHECK_OK(change(b, PROTO_MAP_UPDATE_BATCH, map, 3, &four, 0));
    bench_build(b, PROTO_MAP_LOOKUP_BATCH, &fixed, NULL, 0, 1);
    CHECK_EQ(execute(b, map, 0, &patience, &call), EBPF_CANCELED);
    bench_build(b, PROTO_MAP_DELETE_BATCH, &(struct proto_map_batch_request){.count = 1}, &four, 4, 1);
    CHECK_EQ(execute(b, map, 0, &patience, &call), EBPF_CANCELED);
    CHECK_OK(look_up(b, map, 4, 0, false));
    CHECK_EQ(reply_of(b).done, 3);
}

TEST_SUITE(core_batch)
{
    RUN(elements_go_and_come);
    RUN(arrays_go_by_index);
    RUN(sizes_must_fit);
    RUN(failures_say_how_far_they_came);
    RUN(a_bucket_without_room_is_told);
    RUN(replies_have_the_room_that_there_is);
    RUN(nobody_waits);
}
