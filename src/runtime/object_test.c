// SPDX-License-Identifier: MIT
// Tests of ids, references and tables.
#include "runtime/fixture.h"

static void ids_rise_and_are_not_reused(void)
{
    struct fixture f;
    struct map *a, *b, *c;
    REQUIRE(fixture_open(&f));
    a = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    b = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    REQUIRE(a != NULL && b != NULL);
    uint32_t first = object_id(map_object(a));
    CHECK(first != 0);
    CHECK_EQ(object_id(map_object(b)), first + 1);
    object_release(map_object(b));
    c = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    REQUIRE(c != NULL);
    CHECK_EQ(object_id(map_object(c)), first + 2);
    CHECK_EQ(object_count(f.rt, OBJECT_MAP), 2);
    object_release(map_object(a));
    object_release(map_object(c));
    fixture_close(&f);
}

static void ids_end_at_the_last_number(void)
{
    struct fixture f;
    struct map *m = NULL;
    struct map_def def = {.type = MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 1};
    REQUIRE(fixture_open(&f));
    f.rt->tables[OBJECT_MAP].last_id = UINT32_MAX - 1;
    CHECK_OK(map_create(f.rt, &def, &m));
    object_release(map_object(m));
    CHECK_EQ(map_create(f.rt, &def, &m), EBPF_OUT_OF_SPACE);
    fixture_close(&f);
}

static void the_last_reference_is_final(void)
{
    struct object o = {.references = 1};
    CHECK(object_try_acquire(&o));
    CHECK_EQ(o.references, 2);
    o.references = 0;
    CHECK(!object_try_acquire(&o));
    CHECK_EQ(o.references, 0);
}

static void look_up_by_id(void)
{
    struct fixture f;
    struct object *found;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    REQUIRE(m != NULL);
    uint32_t id = object_id(map_object(m));
    CHECK_OK(object_by_id(f.rt, OBJECT_MAP, id, &found));
    CHECK(found == map_object(m));
    CHECK_EQ(object_kind(found), OBJECT_MAP);
    CHECK_EQ(object_by_id(f.rt, OBJECT_PROGRAM, id, &found), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(object_by_id(f.rt, OBJECT_MAP, id + OBJECT_BUCKETS, &found), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(object_by_id(f.rt, OBJECT_MAP, 0, &found), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(object_by_id(f.rt, (enum object_kind)0, id, &found), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(object_by_id(f.rt, OBJECT_KIND_COUNT, id, &found), EBPF_INVALID_ARGUMENT);
    object_release(map_object(m));
    CHECK_OK(object_by_id(f.rt, OBJECT_MAP, id, &found)); // our second reference keeps it
    object_release(found);
    object_release(found);
    CHECK_EQ(object_by_id(f.rt, OBJECT_MAP, id, &found), EBPF_OBJECT_NOT_FOUND);
    fixture_close(&f);
}

#define MANY 600u // more than buckets
static void next_id_walks_all(void)
{
    struct fixture f;
    static struct map *maps[MANY];
    uint32_t id = 0, count = 0, last = 0;
    REQUIRE(fixture_open(&f));
    CHECK_EQ(object_next_id(f.rt, OBJECT_MAP, 0, &id), EBPF_NO_MORE_KEYS);
    for (uint32_t i = 0; i < MANY; i++) {
        maps[i] = fixture_map(&f, MAP_TYPE_HASH, 4, 4, 1);
        REQUIRE(maps[i] != NULL);
    }
    for (uint32_t i = 0; i < MANY; i += 3) {
        object_release(map_object(maps[i])); // holes: a start that is gone
    }
    for (id = 0; object_next_id(f.rt, OBJECT_MAP, id, &id) == EBPF_SUCCESS; count++) {
        CHECK(id > last);
        last = id;
    }
    CHECK_EQ(count, MANY - MANY / 3);
    for (uint32_t start = 0; start < 10; start++) {
        CHECK_OK(object_next_id(f.rt, OBJECT_MAP, start, &id));
        CHECK(id > start && id <= start + 2);
    }
    CHECK_EQ(object_next_id(f.rt, OBJECT_MAP, UINT32_MAX, &id), EBPF_NO_MORE_KEYS);
    CHECK_EQ(object_next_id(f.rt, (enum object_kind)9, 0, &id), EBPF_INVALID_ARGUMENT);
    for (uint32_t i = 0; i < MANY; i++) {
        if (i % 3 != 0) {
            object_release(map_object(maps[i]));
        }
    }
    fixture_close(&f);
}

// --- threads that acquire by id while the owner releases -----------------------------------------

struct race {
    struct runtime *rt;
    uint32_t id, stop, bad;
};

static void acquire_by_id(void *user)
{
    struct race *r = user;
    struct object *o;
    while (__atomic_load_n(&r->stop, __ATOMIC_RELAXED) == 0) {
        uint32_t id = __atomic_load_n(&r->id, __ATOMIC_RELAXED);
        if (object_by_id(r->rt, OBJECT_MAP, id, &o) == EBPF_SUCCESS) {
            if (object_id(o) != id) {
                __atomic_store_n(&r->bad, 1, __ATOMIC_RELAXED);
            }
            object_release(o);
        }
    }
}

static void release_races_look_up(void)
{
    struct fixture f;
    struct race r = {0};
    struct plat_thread *thread;
    REQUIRE(fixture_open(&f));
    r.rt = f.rt;
    REQUIRE_OK(plat_thread_create(acquire_by_id, &r, &thread));
    for (int i = 0; i < 300; i++) {
        struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, 4, 1);
        if (m != NULL) {
            __atomic_store_n(&r.id, object_id(map_object(m)), __ATOMIC_RELAXED);
            object_release(map_object(m));
        }
    }
    __atomic_store_n(&r.stop, 1, __ATOMIC_RELAXED);
    plat_thread_join(thread);
    CHECK_EQ(r.bad, 0);
    fixture_close(&f);
}

TEST_SUITE(object)
{
    RUN(ids_rise_and_are_not_reused);
    RUN(ids_end_at_the_last_number);
    RUN(the_last_reference_is_final);
    RUN(look_up_by_id);
    RUN(next_id_walks_all);
    RUN(release_races_look_up);
}
