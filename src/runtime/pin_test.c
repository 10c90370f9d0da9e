// SPDX-License-Identifier: MIT
// Tests of pins.
#include "runtime/fixture.h"

static void pins_keep_objects(void)
{
    struct fixture f;
    struct object *o = NULL;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    REQUIRE(m != NULL);
    CHECK_OK(pin_add(f.rt, "/a", map_object(m)));
    CHECK_OK(pin_add(f.rt, "/b", map_object(m))); // several paths for one object
    CHECK_EQ(pin_add(f.rt, "/a", map_object(m)), EBPF_OBJECT_ALREADY_EXISTS);
    object_release(map_object(m));
    CHECK_EQ(object_count(f.rt, OBJECT_MAP), 1);
    CHECK_OK(pin_get(f.rt, "/a", &o));
    CHECK(o == map_object(m));
    object_release(o);
    CHECK_EQ(pin_get(f.rt, "/A", &o), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(pin_get(f.rt, "/", &o), EBPF_OBJECT_NOT_FOUND);
    CHECK_OK(pin_remove(f.rt, "/a"));
    CHECK_EQ(pin_remove(f.rt, "/a"), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(object_count(f.rt, OBJECT_MAP), 1);
    CHECK_OK(pin_remove(f.rt, "/b"));
    CHECK_EQ(object_count(f.rt, OBJECT_MAP), 0);
    fixture_close(&f);
}

static void paths_are_bounded(void)
{
    struct fixture f;
    char path[PIN_PATH_SIZE + 1];
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    REQUIRE(m != NULL);
    memset(path, 'p', sizeof(path));
    path[PIN_PATH_SIZE] = '\0';
    CHECK_EQ(pin_add(f.rt, path, map_object(m)), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(pin_add(f.rt, "", map_object(m)), EBPF_INVALID_ARGUMENT);
    path[PIN_PATH_SIZE - 1] = '\0';
    CHECK_OK(pin_add(f.rt, path, map_object(m)));
    CHECK_OK(pin_remove(f.rt, path));
    object_release(map_object(m));
    fixture_close(&f);
}

static void listing_is_in_byte_order(void)
{
    static const char *const paths[] = {"/m/b", "/a", "/m", "/z\xff", "/m/a", "/Z"};
    static const char *const sorted[] = {"/Z", "/a", "/m", "/m/a", "/m/b", "/z\xff"};
    struct fixture f;
    struct object *o = NULL;
    char at[PIN_PATH_SIZE] = "";
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    REQUIRE(m != NULL);
    CHECK_EQ(pin_next(f.rt, "", at, &o), EBPF_NO_MORE_KEYS);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        CHECK_OK(pin_add(f.rt, paths[i], map_object(m)));
    }
    for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
        REQUIRE_OK(pin_next(f.rt, at, at, &o));
        CHECK_STR(at, sorted[i]);
        object_release(o);
    }
    CHECK_EQ(pin_next(f.rt, at, at, &o), EBPF_NO_MORE_KEYS);
    CHECK_OK(pin_next(f.rt, "/b", at, &o)); // a start that is not there
    CHECK_STR(at, "/m");
    object_release(o);
    object_release(map_object(m));
    pin_remove_all(f.rt);
    CHECK_EQ(object_count(f.rt, OBJECT_MAP), 0);
    pin_remove_all(f.rt);
    fixture_close(&f);
}

static void counting_is_by_object(void)
{
    struct fixture f;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1),
               *other = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    REQUIRE(m != NULL && other != NULL);
    CHECK_EQ(pin_count(f.rt, map_object(m)), 0);
    CHECK_OK(pin_add(f.rt, "/a", map_object(m)));
    CHECK_OK(pin_add(f.rt, "/b", map_object(other)));
    CHECK_OK(pin_add(f.rt, "/c", map_object(m)));
    CHECK_EQ(pin_count(f.rt, map_object(m)), 2);
    CHECK_EQ(pin_count(f.rt, map_object(other)), 1);
    CHECK_OK(pin_remove(f.rt, "/a"));
    CHECK_EQ(pin_count(f.rt, map_object(m)), 1);
    pin_remove_all(f.rt);
    CHECK_EQ(pin_count(f.rt, map_object(m)), 0);
    object_release(map_object(m));
    object_release(map_object(other));
    fixture_close(&f);
}

TEST_SUITE(pin)
{
    RUN(pins_keep_objects);
    RUN(paths_are_bounded);
    RUN(listing_is_in_byte_order);
    RUN(counting_is_by_object);
}
