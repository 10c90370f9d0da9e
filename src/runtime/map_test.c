// SPDX-License-Identifier: MIT
// Tests of what maps promise: limits at creation, and Linux's answers for flags and absent or present keys.
#include "runtime/fixture.h"

static struct map_def good_def(uint32_t type)
{
    return (struct map_def){.type = type, .key_size = 4, .value_size = 8, .max_entries = 4, .name = "m"};
}

static void refuse(struct fixture *f, const struct map_def *def, ebpf_result_t expected)
{
    struct map *m = NULL;
    ebpf_result_t result = map_create(f->rt, def, &m);
    CHECK_EQ(result, expected);
    CHECK(m == NULL);
    if (m != NULL) {
        object_release(map_object(m));
    }
}

#define REFUSE(type, member, bad)                                                                            \
    do {                                                                                                     \
        struct map_def def_ = good_def(type);                                                                \
        def_.member = (bad);                                                                                 \
        refuse(&f, &def_, EBPF_INVALID_ARGUMENT);                                                            \
    } while (0)

static void create_refuses_bad_definitions(void)
{
    struct fixture f;
    struct map_def def = good_def(MAP_TYPE_ARRAY);
    REQUIRE(fixture_open(&f));
    for (uint32_t type = 1; type < MAP_TYPE_RUN_COUNT; type++) {
        REFUSE(type, key_size, 0);
        REFUSE(type, key_size, 513);
        REFUSE(type, value_size, 0);
        REFUSE(type, value_size, (1u << 22) + 1);
        REFUSE(type, max_entries, 0);
        REFUSE(type, flags, 1u << 30);
        REFUSE(type, flags, MAP_FLAG_RDONLY | MAP_FLAG_WRONLY);
        REFUSE(type, flags, MAP_FLAG_RDONLY_PROG | MAP_FLAG_WRONLY_PROG);
    }
    REFUSE(MAP_TYPE_HASH, type, MAP_TYPE_NONE);
    REFUSE(MAP_TYPE_HASH, type, MAP_TYPE_COUNT);
    for (uint32_t type = MAP_TYPE_RUN_COUNT; type < MAP_TYPE_COUNT; type++) { // can be verified only
        struct map_def verify_only = good_def(type);
        CHECK((spec_builtin()->map_types[type].flags & MAP_VERIFY_ONLY) != 0);
        refuse(&f, &verify_only, EBPF_OPERATION_NOT_SUPPORTED);
    }
    REFUSE(MAP_TYPE_HASH, type, UINT32_MAX);
    REFUSE(MAP_TYPE_ARRAY, key_size, 8);
    REFUSE(MAP_TYPE_PERCPU_ARRAY, key_size, 2);
    REFUSE(MAP_TYPE_ARRAY, flags, MAP_FLAG_NO_PREALLOC);
    REFUSE(MAP_TYPE_PROG_ARRAY, key_size, 8);
    REFUSE(MAP_TYPE_PROG_ARRAY, value_size, 8);
    REFUSE(MAP_TYPE_PROG_ARRAY, flags, MAP_FLAG_RDONLY_PROG);
    REFUSE(MAP_TYPE_HASH, flags, MAP_FLAG_MMAPABLE);
    REFUSE(MAP_TYPE_PERCPU_ARRAY, flags, MAP_FLAG_MMAPABLE);
    memset(def.name, 'x', sizeof(def.name));
    refuse(&f, &def, EBPF_INVALID_ARGUMENT);
    def = good_def(MAP_TYPE_ARRAY);
    def.value_size = 1u << 22;
    def.max_entries = UINT32_MAX;
    refuse(&f, &def, EBPF_NO_MEMORY);
    fixture_close(&f);
}

static void info_tells_the_definition(void)
{
    struct fixture f;
    struct map_def def = good_def(MAP_TYPE_HASH);
    struct map_info info;
    struct map *m;
    REQUIRE(fixture_open(&f));
    def.flags = MAP_FLAG_NO_PREALLOC;
    REQUIRE_OK(map_create(f.rt, &def, &m));
    map_info(m, &info);
    CHECK_EQ(info.id, object_id(map_object(m)));
    CHECK_EQ(memcmp(&info.def, &def, sizeof(def)), 0);
    CHECK_EQ(info.frozen, 0);
    CHECK(info.memory > 4 * 8);
    CHECK(map_from_object(map_object(m)) == m);
    CHECK(prog_from_object(map_object(m)) == NULL);
    CHECK(link_from_object(map_object(m)) == NULL);
    object_release(map_object(m));
    fixture_close(&f);
}

// --- flags and presence --------------------------------------------------------------------------

struct update_case {
    uint32_t type;
    uint32_t key; // 1 is present, 2 absent (arrays: present too), 9 out of an array's range
    uint64_t flags;
    ebpf_result_t user, program;
};

static const struct update_case update_cases[] = {
    {MAP_TYPE_HASH, 1, UPDATE_ANY, EBPF_SUCCESS, EBPF_SUCCESS},
    {MAP_TYPE_HASH, 1, UPDATE_NOEXIST, EBPF_KEY_ALREADY_EXISTS, EBPF_KEY_ALREADY_EXISTS},
    {MAP_TYPE_HASH, 1, UPDATE_EXIST, EBPF_SUCCESS, EBPF_SUCCESS},
    {MAP_TYPE_HASH, 2, UPDATE_ANY, EBPF_SUCCESS, EBPF_SUCCESS},
    {MAP_TYPE_HASH, 2, UPDATE_NOEXIST, EBPF_SUCCESS, EBPF_SUCCESS},
    {MAP_TYPE_HASH, 2, UPDATE_EXIST, EBPF_KEY_NOT_FOUND, EBPF_KEY_NOT_FOUND},
    {MAP_TYPE_HASH, 1, 3, EBPF_INVALID_ARGUMENT, EBPF_INVALID_ARGUMENT},
    {MAP_TYPE_HASH, 1, 1ull << 32, EBPF_INVALID_ARGUMENT, EBPF_INVALID_ARGUMENT},
    {MAP_TYPE_ARRAY, 1, UPDATE_ANY, EBPF_SUCCESS, EBPF_SUCCESS},
    {MAP_TYPE_ARRAY, 1, UPDATE_NOEXIST, EBPF_KEY_ALREADY_EXISTS, EBPF_KEY_ALREADY_EXISTS},
    {MAP_TYPE_ARRAY, 1, UPDATE_EXIST, EBPF_SUCCESS, EBPF_SUCCESS},
    {MAP_TYPE_ARRAY, 9, UPDATE_ANY, EBPF_OUT_OF_SPACE, EBPF_OUT_OF_SPACE},
    {MAP_TYPE_ARRAY, 9, UPDATE_NOEXIST, EBPF_OUT_OF_SPACE, EBPF_OUT_OF_SPACE},
    {MAP_TYPE_ARRAY, 1, 3, EBPF_INVALID_ARGUMENT, EBPF_INVALID_ARGUMENT},
    {MAP_TYPE_PERCPU_ARRAY, 1, UPDATE_ANY, EBPF_SUCCESS, EBPF_SUCCESS},
    {MAP_TYPE_PERCPU_ARRAY, 1, UPDATE_NOEXIST, EBPF_KEY_ALREADY_EXISTS, EBPF_KEY_ALREADY_EXISTS},
    {MAP_TYPE_PERCPU_ARRAY, 1, UPDATE_EXIST, EBPF_SUCCESS, EBPF_SUCCESS},
    {MAP_TYPE_PERCPU_ARRAY, 9, UPDATE_ANY, EBPF_OUT_OF_SPACE, EBPF_OUT_OF_SPACE},
    {MAP_TYPE_PERCPU_ARRAY, 1, 3, EBPF_INVALID_ARGUMENT, EBPF_INVALID_ARGUMENT},
};

static uint8_t values[64 * 1024]; // a per-CPU value on any machine

static void fill(const struct map *m, uint8_t byte)
{
    memset(values, byte, map_user_value_size(m));
}

static ebpf_result_t program_update(struct fixture *f, struct map *m, uint32_t key, uint64_t flags)
{
    uint64_t value = 0x7777777777777777u;
    epoch_enter(f->rt);
    ebpf_result_t result = map_update(m, &key, &value, flags);
    epoch_exit(f->rt);
    return result;
}

static void check_update_case(struct fixture *f, const struct update_case *c)
{
    for (int by_program = 0; by_program < 2; by_program++) {
        struct map *m = fixture_map(f, c->type, 4, 8, 4);
        uint32_t one = 1;
        REQUIRE(m != NULL);
        fill(m, 0x11);
        CHECK_OK(map_user_update(m, &one, values, UPDATE_ANY));
        fill(m, 0x22);
        if (by_program) {
            CHECK_EQ(program_update(f, m, c->key, c->flags), c->program);
        } else {
            CHECK_EQ(map_user_update(m, &c->key, values, c->flags), c->user);
        }
        if ((by_program ? c->program : c->user) != EBPF_SUCCESS) {
            CHECK_OK(map_user_lookup(m, &one, values)); // nothing changed
            CHECK_EQ(values[0], 0x11);
        } else if (!by_program) {
            memset(values, 0, sizeof(values));
            CHECK_OK(map_user_lookup(m, &c->key, values));
            CHECK_EQ(values[map_user_value_size(m) - 1], 0x22);
        }
        object_release(map_object(m));
    }
}

static void updates_follow_flags(void)
{
    struct fixture f;
    REQUIRE(fixture_open(&f));
    for (size_t i = 0; i < ARRAY_SIZE(update_cases); i++) {
        check_update_case(&f, &update_cases[i]);
    }
    fixture_close(&f);
}

static void lookups_and_deletes(void)
{
    struct fixture f;
    REQUIRE(fixture_open(&f));
    for (uint32_t type = MAP_TYPE_HASH; type <= MAP_TYPE_PERCPU_ARRAY; type++) {
        bool is_hash = type == MAP_TYPE_HASH;
        struct map *m = fixture_map(&f, type, 4, 8, 4);
        uint32_t one = 1, absent = 9;
        REQUIRE(m != NULL);
        CHECK_EQ(map_user_lookup(m, &one, values), is_hash ? EBPF_KEY_NOT_FOUND : EBPF_SUCCESS);
        fill(m, 3);
        CHECK_OK(map_user_update(m, &one, values, UPDATE_ANY));
        CHECK_EQ(map_user_lookup(m, &absent, values), EBPF_KEY_NOT_FOUND);
        CHECK_EQ(map_user_delete(m, &absent), is_hash ? EBPF_KEY_NOT_FOUND : EBPF_INVALID_ARGUMENT);
        CHECK_EQ(map_user_lookup_and_delete(m, &one, values),
                 is_hash ? EBPF_SUCCESS : EBPF_OPERATION_NOT_SUPPORTED);
        CHECK_EQ(values[7], 3);
        CHECK_EQ(map_user_delete(m, &one), is_hash ? EBPF_KEY_NOT_FOUND : EBPF_INVALID_ARGUMENT);
        object_release(map_object(m));
    }
    fixture_close(&f);
}

// Odd sizes: nothing beyond the value's bytes is read or written.
static void values_of_any_size(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 100};
    struct fixture f;
    REQUIRE(fixture_open(&f));
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (uint32_t type = MAP_TYPE_HASH; type <= MAP_TYPE_ARRAY; type++) {
            struct map *m = fixture_map(&f, type, 4, sizes[i], 2);
            uint8_t in[128], out[128];
            REQUIRE(m != NULL);
            memset(in, 0x5a, sizeof(in));
            for (uint32_t key = 0; key < 2; key++) {
                in[0] = (uint8_t)key;
                CHECK_OK(map_user_update(m, &key, in, UPDATE_ANY));
            }
            for (uint32_t key = 0; key < 2; key++) {
                memset(out, 0xee, sizeof(out));
                in[0] = (uint8_t)key;
                CHECK_OK(map_user_lookup(m, &key, out));
                CHECK_EQ(memcmp(in, out, sizes[i]), 0);
                CHECK_EQ(out[sizes[i]], 0xee);
            }
            object_release(map_object(m));
        }
    }
    fixture_close(&f);
}

// --- per CPU -------------------------------------------------------------------------------------

// Values of all CPUs together that have 4 GB would have the size 0 on the wire.
static void percpu_values_have_a_size_on_any_machine(void)
{
    struct fixture f;
    struct map_def def = good_def(MAP_TYPE_PERCPU_ARRAY);
    REQUIRE(fixture_open(&f));
    uint32_t cpus = f.rt->cpu_count;
    f.rt->cpu_count = 1024;
    def.value_size = 1u << 22;
    def.max_entries = 1;
    refuse(&f, &def, EBPF_NO_MEMORY);
    f.rt->cpu_count = cpus;
    fixture_close(&f);
}

static void percpu_values_are_apart(void)
{
    struct fixture f;
    uint32_t key = 2, cpus = plat_cpu_count(), slot;
    uint64_t mine = 0xabc;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_PERCPU_ARRAY, 4, 6, 3);
    REQUIRE(m != NULL);
    REQUIRE(cpus * 8 <= sizeof(values));
    CHECK_EQ(map_user_value_size(m), cpus * 8);
    for (uint32_t i = 0; i < cpus; i++) {
        memset(values + i * 8, (int)(i + 1), 8);
    }
    CHECK_OK(map_user_update(m, &key, values, UPDATE_ANY));
    epoch_enter(f.rt);
    slot = plat_cpu_current();
    CHECK_EQ(map_lookup(m, &key)[5], slot + 1);
    CHECK_OK(map_update(m, &key, &mine, UPDATE_EXIST));
    epoch_exit(f.rt);
    CHECK_OK(map_user_lookup(m, &key, values));
    for (uint32_t i = 0; i < cpus; i++) {
        CHECK_EQ(values[i * 8], i == slot ? 0xbc : i + 1);
        CHECK_EQ(values[i * 8 + 5], i == slot ? 0 : i + 1);
        CHECK_EQ(values[i * 8 + 6], 0); // padding
    }
    object_release(map_object(m));
    fixture_close(&f);
}

// --- iteration -----------------------------------------------------------------------------------

static unsigned walk(struct map *m, bool delete_each)
{
    uint32_t key, next, seen = 0;
    ebpf_result_t result = map_user_next_key(m, NULL, &key);
    unsigned count = 0;
    while (result == EBPF_SUCCESS && count < 1000) {
        count++;
        CHECK(key < 32);
        CHECK_EQ(seen >> key & 1, 0);
        seen |= 1u << key;
        if (delete_each) {
            CHECK_OK(map_user_delete(m, &key));
        }
        result = map_user_next_key(m, &key, &next);
        key = next;
    }
    CHECK_EQ(result, EBPF_NO_MORE_KEYS);
    return count;
}

static void next_key_visits_each_once(void)
{
    struct fixture f;
    uint32_t absent = 77, first, again;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, 8, 32);
    REQUIRE(m != NULL);
    CHECK_EQ(walk(m, false), 0);
    for (uint32_t key = 0; key < 32; key++) {
        CHECK_OK(map_user_update(m, &key, values, UPDATE_NOEXIST));
    }
    CHECK_EQ(walk(m, false), 32);
    CHECK_OK(map_user_next_key(m, NULL, &first));
    CHECK_OK(map_user_next_key(m, &absent, &again)); // as on Linux: starts over
    CHECK_EQ(again, first);
    CHECK_EQ(walk(m, true), 32); // the classic loop that empties a map
    CHECK_EQ(walk(m, false), 0);
    object_release(map_object(m));
    for (uint32_t type = MAP_TYPE_ARRAY; type <= MAP_TYPE_PERCPU_ARRAY; type++) {
        m = fixture_map(&f, type, 4, 8, 7);
        REQUIRE(m != NULL);
        CHECK_EQ(walk(m, false), 7);
        CHECK_OK(map_user_next_key(m, &absent, &again));
        CHECK_EQ(again, 0);
        object_release(map_object(m));
    }
    fixture_close(&f);
}

// --- access --------------------------------------------------------------------------------------

static void access_flags_bind_user_mode(void)
{
    struct fixture f;
    struct map_def def = good_def(MAP_TYPE_HASH);
    struct map *m;
    uint32_t key = 1;
    REQUIRE(fixture_open(&f));
    def.flags = MAP_FLAG_RDONLY;
    REQUIRE_OK(map_create(f.rt, &def, &m));
    CHECK_EQ(map_user_update(m, &key, values, 0), EBPF_ACCESS_DENIED);
    CHECK_EQ(map_user_delete(m, &key), EBPF_ACCESS_DENIED);
    CHECK_EQ(map_user_lookup_and_delete(m, &key, values), EBPF_ACCESS_DENIED);
    CHECK_OK(program_update(&f, m, key, 0));
    CHECK_OK(map_user_lookup(m, &key, values));
    object_release(map_object(m));
    def.flags = MAP_FLAG_WRONLY;
    REQUIRE_OK(map_create(f.rt, &def, &m));
    CHECK_OK(map_user_update(m, &key, values, 0));
    CHECK_EQ(map_user_lookup(m, &key, values), EBPF_ACCESS_DENIED);
    CHECK_EQ(map_user_next_key(m, NULL, &key), EBPF_ACCESS_DENIED);
    CHECK_EQ(map_user_lookup_and_delete(m, &key, values), EBPF_ACCESS_DENIED);
    object_release(map_object(m));
    def.flags = MAP_FLAG_RDONLY_PROG;
    REQUIRE_OK(map_create(f.rt, &def, &m));
    CHECK_EQ(program_update(&f, m, key, 0), EBPF_ACCESS_DENIED);
    CHECK_EQ(map_delete(m, &key), EBPF_ACCESS_DENIED);
    object_release(map_object(m));
    fixture_close(&f);
}

static void frozen_maps_take_no_user_writes(void)
{
    struct fixture f;
    struct map_info info;
    uint32_t key = 1;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, 8, 4);
    REQUIRE(m != NULL);
    CHECK_OK(map_user_update(m, &key, values, 0));
    CHECK_OK(map_freeze(m));
    CHECK_EQ(map_freeze(m), EBPF_ACCESS_DENIED);
    map_info(m, &info);
    CHECK_EQ(info.frozen, 1);
    CHECK_EQ(map_user_update(m, &key, values, 0), EBPF_ACCESS_DENIED);
    CHECK_EQ(map_user_delete(m, &key), EBPF_ACCESS_DENIED);
    CHECK_OK(map_user_lookup(m, &key, values));
    CHECK_OK(program_update(&f, m, 2, 0));
    object_release(map_object(m));
    fixture_close(&f);
}

// A write that began before the map was sealed may still come.
static void constant_is_what_nobody_writes(void)
{
    struct fixture f;
    uint32_t key = 0;
    struct map_def def = {MAP_TYPE_ARRAY, MAP_TYPE_ARRAY, 4, 8, 1, MAP_FLAG_RDONLY_PROG, "c"};
    struct map *m, *writable;
    REQUIRE(fixture_open(&f));
    REQUIRE_OK(map_create(f.rt, &def, &m));
    writable = fixture_map(&f, MAP_TYPE_ARRAY, 4, 8, 1);
    REQUIRE(writable != NULL);
    CHECK_OK(map_user_update(m, &key, values, 0));
    CHECK(!map_is_constant(m));
    CHECK_OK(map_freeze(m));
    CHECK_OK(map_freeze(writable));
    m->user_writers++; // between its look at the seal and the end of its write
    CHECK(!map_is_constant(m));
    m->user_writers--;
    CHECK(map_is_constant(m));
    CHECK(!map_is_constant(writable)); // programs write to it
    object_release(map_object(m));
    object_release(map_object(writable));
    fixture_close(&f);
}

TEST_SUITE(map)
{
    RUN(create_refuses_bad_definitions);
    RUN(info_tells_the_definition);
    RUN(updates_follow_flags);
    RUN(lookups_and_deletes);
    RUN(values_of_any_size);
    RUN(percpu_values_have_a_size_on_any_machine);
    RUN(percpu_values_are_apart);
    RUN(next_key_visits_each_once);
    RUN(access_flags_bind_user_mode);
    RUN(frozen_maps_take_no_user_writes);
    RUN(constant_is_what_nobody_writes);
}
