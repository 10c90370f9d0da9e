// SPDX-License-Identifier: MIT
// Tests of walks in steps: each element once, whatever the room; taking; the end; changes meanwhile.
#include "runtime/fixture.h"

#define ENTRIES   200u
#define VALUE_MAX ((size_t)8 * 1024) // a per-CPU value on any machine

struct walk {
    struct map_batch b;
    uint8_t keys[ENTRIES * 8], values[4 * ENTRIES * 8];
    uint32_t seen[ENTRIES];
    unsigned steps;
};

static void begin(struct walk *w, uint32_t room)
{
    memset(w, 0, sizeof(*w));
    w->b = (struct map_batch){.room = room, .keys = w->keys, .values = w->values};
}

// Steps until there is no room or nothing left.
static ebpf_result_t go(struct map *m, bool take, struct walk *w)
{
    w->b.count = 0;
    w->b.full = w->b.end = false;
    while (!w->b.full && !w->b.end) {
        TRY(map_user_batch(m, take, &w->b));
        w->steps++;
    }
    return EBPF_SUCCESS;
}

// Keys are numbers, values ten times the number.
static void note_seen(struct walk *w)
{
    for (uint32_t i = 0; i < w->b.count; i++) {
        uint32_t key;
        uint64_t value;
        memcpy(&key, w->keys + i * 4, sizeof(key));
        memcpy(&value, w->values + i * 8, sizeof(value));
        CHECK_EQ(value, (uint64_t)key * 10);
        if (key < ENTRIES) {
            w->seen[key]++;
        }
    }
}

static void fill(struct map *m, uint32_t from, uint32_t count)
{
    for (uint32_t key = from; key < from + count; key++) {
        uint64_t value = (uint64_t)key * 10;
        CHECK_OK(map_user_update(m, &key, &value, UPDATE_ANY));
    }
}

static void walk_with_room(struct map *m, uint32_t room)
{
    static struct walk w;
    unsigned rounds = 0;
    begin(&w, room);
    do {
        CHECK_OK(go(m, false, &w));
        CHECK(w.b.count <= room);
        note_seen(&w);
    } while (!w.b.end && w.b.count != 0 && ++rounds < 10 * ENTRIES);
    CHECK(w.b.end);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        CHECK_EQ(w.seen[i], 1);
    }
}

static void each_element_comes_once(void)
{
    static const uint32_t types[] = {MAP_TYPE_ARRAY, MAP_TYPE_HASH};
    struct fixture f;
    REQUIRE(fixture_open(&f));
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        struct map *m = fixture_map(&f, types[i], 4, 8, ENTRIES);
        REQUIRE(m != NULL);
        fill(m, 0, ENTRIES);
        walk_with_room(m, 20); // a bucket of 256 has never so many
        walk_with_room(m, 57);
        walk_with_room(m, ENTRIES);
        walk_with_room(m, ENTRIES + 1);
        object_release(map_object(m));
    }
    fixture_close(&f);
}

static void per_cpu_values_are_whole(void)
{
    struct fixture f;
    static uint8_t values[3 * VALUE_MAX], expected[VALUE_MAX];
    uint8_t keys[3 * 4];
    struct map_batch b = {.room = 3, .keys = keys, .values = values};
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_PERCPU_ARRAY, 4, 8, 2);
    REQUIRE(m != NULL && map_user_value_size(m) <= VALUE_MAX);
    uint32_t size = map_user_value_size(m), one = 1;
    memset(expected, 0x5a, size);
    CHECK_OK(map_user_update(m, &one, expected, UPDATE_ANY));
    CHECK_OK(map_user_batch(m, false, &b));
    CHECK_EQ(b.count, 2);
    CHECK(b.end && !b.full);
    CHECK(values[0] == 0 && memcmp(values + size, expected, size) == 0);
    object_release(map_object(m));
    fixture_close(&f);
}

// An array is at its end when it has less than was wanted; a hash map as soon as its last bucket was passed.
static void ends_are_linuxs(void)
{
    static struct walk w;
    struct fixture f;
    REQUIRE(fixture_open(&f));
    struct map *array = fixture_map(&f, MAP_TYPE_ARRAY, 4, 8, 3);
    struct map *hash = fixture_map(&f, MAP_TYPE_HASH, 4, 8, 3);
    REQUIRE(array != NULL && hash != NULL);
    begin(&w, 3);
    CHECK_OK(go(array, false, &w));
    CHECK(w.b.count == 3 && !w.b.end);
    CHECK_OK(go(array, false, &w));
    CHECK(w.b.count == 0 && w.b.end);
    fill(hash, 0, 3);
    begin(&w, 3);
    CHECK_OK(go(hash, false, &w));
    CHECK(w.b.count == 3 && w.b.end);
    w.b.position = UINT32_MAX; // nobody gave that out
    CHECK_OK(go(hash, false, &w));
    CHECK(w.b.count == 0 && w.b.end);
    w.b.position = UINT32_MAX;
    CHECK_OK(go(array, false, &w));
    CHECK(w.b.count == 0 && w.b.end);
    object_release(map_object(array));
    object_release(map_object(hash));
    fixture_close(&f);
}

// A bucket comes as a whole or not at all; what is taken gives its room back.
static void buckets_are_whole(void)
{
    static struct walk w;
    struct fixture f;
    uint64_t value = 0;
    uint32_t largest = 0, key = 0;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, 8, ENTRIES);
    REQUIRE(m != NULL);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        key = i * i; // keys in a row would be spread too well
        CHECK_OK(map_user_update(m, &key, &value, UPDATE_NOEXIST));
    }
    for (uint32_t room = 1; room < 20; room++) {
        begin(&w, room);
        do {
            CHECK_OK(go(m, true, &w));
        } while (w.b.count != 0 && !w.b.end);
        CHECK(w.b.end || w.b.full);
        largest = w.b.end ? largest : room;
    }
    CHECK(largest >= 1); // 200 keys in 256 buckets: some bucket has two, and refused a room of one
    CHECK_EQ(map_user_next_key(m, NULL, &key), EBPF_NO_MORE_KEYS);
    for (key = 0; key < ENTRIES; key++) {
        CHECK_OK(map_user_update(m, &key, &value, UPDATE_NOEXIST)); // all the room is back
    }
    object_release(map_object(m));
    fixture_close(&f);
}

static void rights_are_kept(void)
{
    static const struct {
        uint32_t flags;
        bool frozen;
        ebpf_result_t look, take;
    } cases[] = {{0, false, EBPF_SUCCESS, EBPF_SUCCESS},
                 {0, true, EBPF_SUCCESS, EBPF_ACCESS_DENIED},
                 {MAP_FLAG_RDONLY, false, EBPF_SUCCESS, EBPF_ACCESS_DENIED},
                 {MAP_FLAG_WRONLY, false, EBPF_ACCESS_DENIED, EBPF_ACCESS_DENIED}};
    static struct walk w;
    struct fixture f;
    REQUIRE(fixture_open(&f));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct map_def def = {.type = MAP_TYPE_HASH,
                              .key_size = 4,
                              .value_size = 8,
                              .max_entries = 3,
                              .flags = cases[i].flags,
                              .name = "m"};
        struct map *m = NULL;
        REQUIRE_OK(map_create(f.rt, &def, &m));
        CHECK(!cases[i].frozen || map_freeze(m) == EBPF_SUCCESS);
        begin(&w, 3);
        CHECK_EQ(go(m, false, &w), cases[i].look);
        CHECK_EQ(go(m, true, &w), cases[i].take);
        object_release(map_object(m));
    }
    struct map *array = fixture_map(&f, MAP_TYPE_ARRAY, 4, 8, 3);
    REQUIRE(array != NULL);
    CHECK_EQ(go(array, true, &w), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK(!map_can_delete(array));
    object_release(map_object(array));
    fixture_close(&f);
}

// Steps are bounded: a walk over large values, or over empty buckets, is made of many.
static void steps_are_bounded(void)
{
    static uint8_t keys[16 * 4], values[16 << 15];
    struct map_batch b = {.room = 16, .keys = keys, .values = values};
    struct fixture f;
    REQUIRE(fixture_open(&f));
    struct map *large = fixture_map(&f, MAP_TYPE_ARRAY, 4, 1 << 15, 16);
    struct map *empty = fixture_map(&f, MAP_TYPE_HASH, 4, 8, 1 << 14);
    REQUIRE(large != NULL && empty != NULL);
    CHECK_OK(map_user_batch(large, false, &b));
    CHECK_EQ(b.count, 2);
    b = (struct map_batch){.room = 16, .keys = keys, .values = values};
    unsigned steps = 0;
    for (; !b.end && steps < 1000; steps++) {
        CHECK_OK(map_user_batch(empty, steps % 2 != 0, &b));
    }
    CHECK_EQ(b.count, 0);
    CHECK(steps >= 16 && steps < 1000);
    object_release(map_object(large));
    object_release(map_object(empty));
    fixture_close(&f);
}

// --- changes meanwhile ---------------------------------------------------------------------------

#define STAY   64u  // keys below stay
#define CHURN  64u  // keys from STAY on come and go
#define WALKS  300u // of each walker
#define TAKERS 2

struct crowd {
    struct fixture f;
    struct map *m;
    uint32_t stop, twice, missing, wrong;
    uint64_t put, taken; // elements
};

static void churn(void *user)
{
    struct crowd *c = user;
    uint32_t random = 1;
    while (__atomic_load_n(&c->stop, __ATOMIC_SEQ_CST) == 0) {
        random = random * 1664525u + 1013904223u;
        uint32_t key = random >> 8 & 1 ? STAY + (random >> 9) % CHURN : (random >> 9) % STAY;
        uint64_t value = (uint64_t)key * 10;
        if (key >= STAY && (random >> 20 & 1) != 0) {
            c->wrong += map_user_delete(c->m, &key) == EBPF_FAILED;
        } else {
            c->wrong += map_user_update(c->m, &key, &value, UPDATE_ANY) == EBPF_FAILED;
        }
    }
}

static void check_walk(struct crowd *c)
{
    static struct walk w;
    begin(&w, 7);
    do {
        CHECK_OK(go(c->m, false, &w));
        note_seen(&w);
    } while (!w.b.end && w.b.count != 0);
    CHECK(w.b.end || w.b.full);
    for (uint32_t i = 0; i < STAY && w.b.end; i++) {
        c->missing += w.seen[i] == 0;
        c->twice += w.seen[i] > 1;
    }
}

static void what_stays_comes_once(void)
{
    struct crowd c = {0};
    struct plat_thread *thread;
    REQUIRE(fixture_open(&c.f));
    c.m = fixture_map(&c.f, MAP_TYPE_HASH, 4, 8, STAY + CHURN);
    REQUIRE(c.m != NULL);
    fill(c.m, 0, STAY);
    REQUIRE_OK(plat_thread_create(churn, &c, &thread));
    for (unsigned i = 0; i < WALKS; i++) {
        check_walk(&c);
    }
    __atomic_store_n(&c.stop, 1, __ATOMIC_SEQ_CST);
    plat_thread_join(thread);
    CHECK_EQ(c.missing, 0);
    CHECK_EQ(c.twice, 0);
    CHECK_EQ(c.wrong, 0);
    object_release(map_object(c.m));
    fixture_close(&c.f);
}

static void put_elements(void *user)
{
    struct crowd *c = user;
    for (uint32_t i = 0; i < 8000; i++) {
        uint64_t value = 1;
        if (map_user_update(c->m, &i, &value, UPDATE_NOEXIST) == EBPF_SUCCESS) {
            c->put++; // one thread puts
        }
    }
    __atomic_store_n(&c->stop, 1, __ATOMIC_SEQ_CST);
}

static void take_elements(void *user)
{
    struct crowd *c = user;
    uint8_t keys[64 * 4];
    uint64_t values[64];
    bool last;
    do {
        last = __atomic_load_n(&c->stop, __ATOMIC_SEQ_CST) != 0;
        struct map_batch b = {.room = 64, .keys = keys, .values = (uint8_t *)values};
        while (!b.full && !b.end && map_user_batch(c->m, true, &b) == EBPF_SUCCESS) {
        }
        for (uint32_t i = 0; i < b.count; i++) {
            __atomic_fetch_add(&c->taken, values[i], __ATOMIC_RELAXED);
        }
    } while (!last);
}

// Nothing is lost and nothing is taken twice.
static void takers_share(void)
{
    struct crowd c = {0};
    struct plat_thread *threads[TAKERS + 1];
    REQUIRE(fixture_open(&c.f));
    c.m = fixture_map(&c.f, MAP_TYPE_HASH, 4, 8, 50);
    REQUIRE(c.m != NULL);
    for (int i = 0; i < TAKERS; i++) {
        REQUIRE_OK(plat_thread_create(take_elements, &c, &threads[i]));
    }
    REQUIRE_OK(plat_thread_create(put_elements, &c, &threads[TAKERS]));
    for (int i = 0; i <= TAKERS; i++) {
        plat_thread_join(threads[i]);
    }
    CHECK(c.put >= 50);
    CHECK_EQ(c.taken, c.put);
    object_release(map_object(c.m));
    fixture_close(&c.f);
}

// --- a key that changes while it is used ---------------------------------------------------------

#define LONG_KEY MAP_KEY_SIZE_MAX // takes long to hash, and so has time to change
#define CHANGES  1000000u

struct unsteady {
    struct map *m;
    uint8_t key[LONG_KEY]; // what a program's map value would be
    uint32_t changes, stop;
};

static void flip(void *user)
{
    struct unsteady *u = user;
    while (__atomic_load_n(&u->stop, __ATOMIC_RELAXED) == 0) {
        uint32_t n = __atomic_add_fetch(&u->changes, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&u->key[LONG_KEY - 1], n % 8, __ATOMIC_RELAXED);
    }
}

// An element in the wrong bucket could never be found again, and a walk by keys would start over for ever.
static void check_elements(struct map *m)
{
    static uint8_t keys[64 * LONG_KEY];
    uint64_t values[64], value;
    struct map_batch b = {.room = 64, .keys = keys, .values = (uint8_t *)values};
    while (!b.full && !b.end) {
        REQUIRE_OK(map_user_batch(m, false, &b));
    }
    CHECK(b.end && b.count <= 8); // else some key is there twice
    for (uint32_t i = 0; i < b.count; i++) {
        CHECK_OK(map_user_lookup(m, keys + i * LONG_KEY, &value));
    }
}

static void every_element_is_found_by_its_key(void)
{
    static struct unsteady u;
    struct fixture f;
    struct plat_thread *thread;
    uint64_t value = 1;
    u = (struct unsteady){0};
    REQUIRE(fixture_open(&f));
    u.m = fixture_map(&f, MAP_TYPE_HASH, LONG_KEY, 8, 64);
    REQUIRE(u.m != NULL);
    REQUIRE_OK(plat_thread_create(flip, &u, &thread));
    for (unsigned i = 0; i < 5000 || (i < 20000 && __atomic_load_n(&u.changes, __ATOMIC_RELAXED) < CHANGES);
         i++) {
        ebpf_result_t result = map_user_update(u.m, u.key, &value, UPDATE_ANY);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY); // pressed by what waits for the epoch
    }
    __atomic_store_n(&u.stop, 1, __ATOMIC_RELAXED);
    plat_thread_join(thread);
    check_elements(u.m);
    object_release(map_object(u.m));
    fixture_close(&f);
}

TEST_SUITE(map_batch)
{
    RUN(each_element_comes_once);
    RUN(per_cpu_values_are_whole);
    RUN(ends_are_linuxs);
    RUN(buckets_are_whole);
    RUN(rights_are_kept);
    RUN(steps_are_bounded);
    RUN(what_stays_comes_once);
    RUN(takers_share);
    RUN(every_element_is_found_by_its_key);
}
