// SPDX-License-Identifier: MIT
// Descriptors of objects: who holds one holds the object, and whoever closes the last one releases it.
#include "hosts/handles.h"

#include <unistd.h>

#include "plat/plat.h"
#include "tests/test.h"

#if defined(_WIN32)
#include <fcntl.h>
#include <io.h>
#define test_pipe(ends) _pipe(ends, 16, _O_BINARY)
#else
#define test_pipe(ends) pipe(ends)
#endif

struct bench {
    struct runtime *rt;
    struct handles *handles;
};

static ebpf_result_t bench_init(struct bench *b)
{
    struct runtime_options options = {.spec = spec_builtin()};
    ebpf_result_t result;
    TRY(plat_init());
    TRY_OR(result, runtime_create(&options, &b->rt), undo_plat);
    TRY_OR(result, handles_create(&b->handles), undo_runtime);
    return EBPF_SUCCESS;

undo_runtime:
    runtime_destroy(b->rt);
undo_plat:
    plat_fini();
    return result;
}

static void bench_fini(struct bench *b)
{
    handles_destroy(b->handles);
    runtime_destroy(b->rt);
    plat_fini();
}

static ebpf_result_t open_map(struct bench *b, int *fd)
{
    struct map_def def = {
        .type = MAP_TYPE_ARRAY, .number = 2, .key_size = 4, .value_size = 8, .max_entries = 1, .name = "m"};
    struct map *map = NULL;
    TRY(map_create(b->rt, &def, &map));
    return handles_open(b->handles, map_object(map), fd);
}

static void a_descriptor_holds_its_object(void)
{
    struct bench b;
    struct object *o = NULL;
    int fd = -1;
    REQUIRE_OK(bench_init(&b));
    REQUIRE_OK(open_map(&b, &fd));
    CHECK_OK(handles_find(b.handles, fd, &o));
    CHECK_EQ(object_kind(o), OBJECT_MAP);
    object_release(o);
    CHECK_EQ(object_count(b.rt, OBJECT_MAP), 1);
    handles_close(b.handles, fd);
    CHECK_EQ(object_count(b.rt, OBJECT_MAP), 0);
    CHECK_EQ(handles_count(b.handles), 0);
    CHECK_EQ(handles_find(b.handles, fd, &o), EBPF_INVALID_FD);
    bench_fini(&b);
}

static void copies_keep_it(void)
{
    struct bench b;
    int fd = -1, copy = -1;
    REQUIRE_OK(bench_init(&b));
    REQUIRE_OK(open_map(&b, &fd));
    REQUIRE_OK(handles_dup(b.handles, fd, &copy));
    CHECK(copy != fd);
    handles_close(b.handles, fd);
    CHECK_EQ(object_count(b.rt, OBJECT_MAP), 1);
    handles_close(b.handles, copy);
    CHECK_EQ(object_count(b.rt, OBJECT_MAP), 0);
    bench_fini(&b);
}

// close() and dup() of the caller's C runtime know it, and a sweep sees what they did.
static void plain_close_and_dup_do(void)
{
    struct bench b;
    struct object *o = NULL;
    int fd = -1, copy;
    REQUIRE_OK(bench_init(&b));
    REQUIRE_OK(open_map(&b, &fd));
    copy = dup(fd);
    REQUIRE(copy >= 0 && copy != fd);
    CHECK_EQ(close(fd), 0);
    handles_sweep(b.handles);
    CHECK_EQ(handles_find(b.handles, fd, &o), EBPF_INVALID_FD);
    REQUIRE_OK(handles_find(b.handles, copy, &o));
    object_release(o);
    CHECK_EQ(object_count(b.rt, OBJECT_MAP), 1);
    CHECK_EQ(close(copy), 0);
    handles_sweep(b.handles);
    CHECK_EQ(object_count(b.rt, OBJECT_MAP), 0);
    CHECK_EQ(handles_count(b.handles), 0);
    bench_fini(&b);
}

// Whatever takes the number of a closed descriptor is not taken for its object, although a copy keeps that.
static void numbers_are_reused_safely(void)
{
    struct bench b;
    struct object *o = NULL;
    int fd = -1, copy = -1, other = -1, pipes[2];
    REQUIRE_OK(bench_init(&b));
    REQUIRE_OK(open_map(&b, &fd));
    REQUIRE_OK(handles_dup(b.handles, fd, &copy));
    REQUIRE_OK(open_map(&b, &other));
    CHECK_EQ(close(fd), 0);
    pipes[0] = dup(other);
    CHECK_EQ(pipes[0], fd);
    REQUIRE_OK(handles_find(b.handles, pipes[0], &o));
    struct object *expected = NULL;
    REQUIRE_OK(handles_find(b.handles, other, &expected));
    CHECK(o == expected);
    object_release(o);
    object_release(expected);
    close(pipes[0]);
    REQUIRE(test_pipe(pipes) == 0);
    CHECK(pipes[0] == fd || pipes[1] == fd);
    CHECK_EQ(handles_find(b.handles, pipes[0], &o), EBPF_INVALID_FD);
    CHECK_EQ(handles_find(b.handles, pipes[1], &o), EBPF_INVALID_FD);
    close(pipes[0]);
    close(pipes[1]);
    close(copy);
    close(other);
    bench_fini(&b);
}

static void strangers_are_refused(void)
{
    static const int strangers[] = {-1, 0, 1, 999, 1000, 1001, 123456, INT_MAX, INT_MIN};
    struct bench b;
    struct object *o = NULL;
    int copy = -1;
    REQUIRE_OK(bench_init(&b));
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
        CHECK_EQ(handles_find(b.handles, strangers[i], &o), EBPF_INVALID_FD);
    }
    CHECK_EQ(handles_dup(b.handles, 123456, &copy), EBPF_INVALID_FD);
    bench_fini(&b);
}

static void many_come_and_go(void)
{
    enum { COUNT = 200 };
    struct bench b;
    int fds[COUNT];
    REQUIRE_OK(bench_init(&b));
    for (int i = 0; i < COUNT; i++) {
        REQUIRE_OK(open_map(&b, &fds[i]));
    }
    CHECK_EQ(handles_count(b.handles), COUNT);
    for (int i = 0; i < COUNT; i += 2) {
        handles_close(b.handles, fds[i]);
    }
    CHECK_EQ(object_count(b.rt, OBJECT_MAP), COUNT / 2);
    for (int i = 1; i < COUNT; i += 2) {
        struct object *o = NULL;
        CHECK_OK(handles_find(b.handles, fds[i], &o));
        object_release(o);
        handles_close(b.handles, fds[i]);
    }
    CHECK_EQ(object_count(b.rt, OBJECT_MAP), 0);
    bench_fini(&b);
}

static void allocations_may_fail(void)
{
    struct bench b;
    uint64_t live = plat_sim_live_count();
    REQUIRE_OK(bench_init(&b));
    for (uint64_t nth = 1; nth < 10; nth++) {
        int fd = -1;
        plat_sim_fail_alloc(nth);
        ebpf_result_t result = open_map(&b, &fd);
        plat_sim_fail_alloc(0);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
        if (result == EBPF_SUCCESS) {
            handles_close(b.handles, fd);
        }
        CHECK_EQ(object_count(b.rt, OBJECT_MAP), 0);
    }
    bench_fini(&b);
    CHECK_EQ(plat_sim_live_count(), live);
}

TEST_SUITE(handles)
{
    RUN(a_descriptor_holds_its_object);
    RUN(copies_keep_it);
    RUN(plain_close_and_dup_do);
    RUN(numbers_are_reused_safely);
    RUN(strangers_are_refused);
    RUN(many_come_and_go);
    RUN(allocations_may_fail);
}
