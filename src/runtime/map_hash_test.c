// SPDX-License-Identifier: MIT
// Tests of the hash map: its bound, value pointers, and several threads at once.
#include "runtime/fixture.h"

static void full_at_max_entries_exactly(void)
{
    struct fixture f;
    uint64_t value = 5;
    uint32_t key;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, 8, 100);
    REQUIRE(m != NULL);
    for (key = 0; key < 100; key++) {
        CHECK_OK(map_user_update(m, &key, &value, UPDATE_NOEXIST));
    }
    CHECK_EQ(map_user_update(m, &key, &value, UPDATE_ANY), EBPF_OUT_OF_SPACE);
    CHECK_EQ(map_user_update(m, &key, &value, UPDATE_EXIST), EBPF_KEY_NOT_FOUND);
    key = 50;
    CHECK_OK(map_user_update(m, &key, &value, UPDATE_ANY)); // replacing needs no room
    CHECK_OK(map_user_delete(m, &key));
    key = 100;
    CHECK_OK(map_user_update(m, &key, &value, UPDATE_ANY));
    key = 50;
    CHECK_EQ(map_user_update(m, &key, &value, UPDATE_ANY), EBPF_OUT_OF_SPACE);
    object_release(map_object(m));
    fixture_close(&f);
}

static void keys_of_any_size(void)
{
    static const uint32_t sizes[] = {1, 3, 8, 13, 512};
    struct fixture f;
    uint8_t key[512] = {0};
    uint64_t value = 1, out = 0;
    REQUIRE(fixture_open(&f));
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct map *m = fixture_map(&f, MAP_TYPE_HASH, sizes[i], 8, 2);
        REQUIRE(m != NULL);
        key[sizes[i] - 1] = 7;
        CHECK_OK(map_user_update(m, key, &value, UPDATE_ANY));
        key[sizes[i] - 1] = 8; // only the last byte differs
        CHECK_EQ(map_user_lookup(m, key, &out), EBPF_KEY_NOT_FOUND);
        key[sizes[i] - 1] = 7;
        CHECK_OK(map_user_lookup(m, key, &out));
        object_release(map_object(m));
    }
    fixture_close(&f);
}

// A pointer from lookup shows its value to the end of the epoch, whatever happens to the key.
static void value_pointers_outlive_deletion(void)
{
    struct fixture f;
    uint32_t key = 1;
    uint64_t old = 0x1111, new = 0x2222, seen;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, 8, 1);
    REQUIRE(m != NULL);
    CHECK_OK(map_user_update(m, &key, &old, UPDATE_ANY));
    epoch_enter(f.rt);
    const uint8_t *pointer = map_lookup(m, &key);
    REQUIRE(pointer != NULL);
    CHECK_OK(map_update(m, &key, &new, UPDATE_EXIST));
    CHECK_OK(map_delete(m, &key));
    for (int i = 0; i < 100; i++) { // as much recycling as there can be
        CHECK_OK(map_update(m, &key, &new, UPDATE_ANY));
        CHECK_OK(map_delete(m, &key));
    }
    memcpy(&seen, pointer, sizeof(seen));
    CHECK_EQ(seen, old);
    epoch_exit(f.rt);
    object_release(map_object(m));
    fixture_close(&f);
}

// One run that replaces a value again and again must neither fail nor take memory without bound.
static void one_run_cannot_hoard_memory(void)
{
    struct fixture f;
    uint32_t key = 1;
    static uint8_t value[4096];
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, sizeof(value), 2);
    REQUIRE(m != NULL);
    uint64_t before = plat_sim_live_count();
    epoch_enter(f.rt);
    for (unsigned i = 0; i < 10000; i++) {
        value[0] = (uint8_t)i;
        CHECK_OK(map_update(m, &key, value, UPDATE_ANY));
    }
    CHECK(plat_sim_live_count() - before < EPOCH_WAITING_LIMIT / sizeof(value) + 10);
    CHECK_EQ(map_lookup(m, &key)[0], (uint8_t)9999);
    CHECK_OK(map_delete(m, &key));
    CHECK_EQ(map_update(m, &key, value, UPDATE_ANY), EBPF_NO_MEMORY);
    epoch_exit(f.rt);
    epoch_synchronize(f.rt);
    CHECK_OK(map_user_update(m, &key, value, UPDATE_ANY));
    object_release(map_object(m));
    fixture_close(&f);
}

// Nobody reads: large values are replaced, never written in place, because each exit makes room.
static void large_values_make_room(void)
{
    struct fixture f;
    static uint8_t value[1u << 22];
    uint32_t key = 1;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, sizeof(value), 2);
    REQUIRE(m != NULL);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t made = plat_sim_alloc_count();
        CHECK_OK(map_user_update(m, &key, value, UPDATE_ANY));
        CHECK_EQ(plat_sim_alloc_count(), made + 1);
        CHECK_OK(map_user_delete(m, &key));
    }
    object_release(map_object(m));
    fixture_close(&f);
}

// --- threads -------------------------------------------------------------------------------------

#define THREADS 4
#define ROUNDS  30000u // few enough that no slot ever comes under pressure
#define KEYS    16u
#define WORDS   8u

struct crowd {
    struct fixture f;
    struct map *m;
    uint32_t torn, odd_errors;
    uint32_t arrived; // threads at the start line
};

// A whole value shows one writer's number everywhere.
static bool is_whole(const uint64_t *value)
{
    for (unsigned i = 1; i < WORDS; i++) {
        if (__atomic_load_n(&value[i], __ATOMIC_RELAXED) != __atomic_load_n(&value[0], __ATOMIC_RELAXED)) {
            return false;
        }
    }
    return true;
}

static void note(uint32_t *counter, bool bad)
{
    if (bad) {
        __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
    }
}

static void step(struct crowd *c, uint32_t random, uint64_t number)
{
    uint32_t key = random % KEYS;
    uint64_t value[WORDS];
    const uint8_t *live;
    ebpf_result_t result;
    for (unsigned i = 0; i < WORDS; i++) {
        value[i] = number;
    }
    epoch_enter(c->f.rt);
    switch (random >> 8 & 3) {
    case 0:
        result = map_delete(c->m, &key);
        note(&c->odd_errors, result != EBPF_SUCCESS && result != EBPF_KEY_NOT_FOUND);
        break;
    case 1:
        live = map_lookup(c->m, &key);
        note(&c->torn, live != NULL && !is_whole((const uint64_t *)(const void *)live));
        break;
    default:
        result = map_update(c->m, &key, value, UPDATE_ANY);
        note(&c->odd_errors, result != EBPF_SUCCESS && result != EBPF_OUT_OF_SPACE);
        break;
    }
    epoch_exit(c->f.rt);
}

static void work(void *user)
{
    struct crowd *c = user;
    uint32_t random = 0x9e3779b9u * __atomic_add_fetch(&c->arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&c->arrived, __ATOMIC_SEQ_CST) < THREADS) {
        plat_yield();
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        random = random * 1664525u + 1013904223u;
        step(c, random >> 8, ((uint64_t)random << 32) | i);
    }
}

static uint32_t count_keys(struct map *m)
{
    uint32_t count = 0, key;
    for (ebpf_result_t r = map_user_next_key(m, NULL, &key); r == EBPF_SUCCESS && count <= KEYS;
         r = map_user_next_key(m, &key, &key)) {
        count++;
    }
    return count;
}

// Fewer elements than keys, so that the bound is hit all the time.
static void threads_see_whole_values(void)
{
    struct crowd c = {0};
    struct plat_thread *threads[THREADS];
    uint64_t value[WORDS] = {0};
    uint32_t room = 12, extra = 0, used;
    REQUIRE(fixture_open(&c.f));
    c.m = fixture_map(&c.f, MAP_TYPE_HASH, 4, sizeof(value), room);
    REQUIRE(c.m != NULL);
    for (int i = 0; i < THREADS; i++) {
        REQUIRE_OK(plat_thread_create(work, &c, &threads[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        plat_thread_join(threads[i]);
    }
    CHECK_EQ(c.torn, 0);
    CHECK_EQ(c.odd_errors, 0);
    used = count_keys(c.m);
    CHECK(used <= room);
    for (uint32_t key = 1000; map_user_update(c.m, &key, value, UPDATE_NOEXIST) == EBPF_SUCCESS; key++) {
        extra++;
    }
    CHECK_EQ(used + extra, room); // the count is exact
    object_release(map_object(c.m));
    fixture_close(&c.f);
}

TEST_SUITE(map_hash)
{
    RUN(full_at_max_entries_exactly);
    RUN(keys_of_any_size);
    RUN(value_pointers_outlive_deletion);
    RUN(one_run_cannot_hoard_memory);
    RUN(large_values_make_room);
    RUN(threads_see_whole_values);
}
