// SPDX-License-Identifier: MIT
// Tests of shared memory: views of the same pages, rights that stay, lifetimes, limits.
#if defined(_WIN32)
#include <windows.h>
#else
#define _GNU_SOURCE // F_GET_SEALS
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "plat/plat.h"
#include "tests/test.h"

#define SIZE 10000u // three pages

static struct plat_shared *create(void)
{
    struct plat_shared *s = NULL;
    return plat_shared_create(SIZE, POOL_TAG_TEST, &s) == EBPF_SUCCESS ? s : NULL;
}

static uint8_t *map(struct plat_shared *s, bool writable)
{
    void *view = NULL;
    return plat_shared_map(s, writable, &view) == EBPF_SUCCESS ? view : NULL;
}

static void views_show_the_same(void)
{
    struct plat_shared *s = create();
    REQUIRE(s != NULL);
    uint8_t *ours = plat_shared_address(s), *reader = map(s, false), *writer = map(s, true);
    REQUIRE(reader != NULL && writer != NULL);
    CHECK(ours != reader && ours != writer && reader != writer);
    CHECK_EQ((uintptr_t)ours % 4096, 0);
    CHECK_EQ((uintptr_t)reader % 4096, 0);
    for (unsigned i = 0; i < 3 * 4096; i++) {
        CHECK_EQ(reader[i], 0);
    }
    ours[0] = 1;
    writer[3 * 4096 - 1] = 2;
    CHECK(reader[0] == 1 && writer[0] == 1);
    CHECK(reader[3 * 4096 - 1] == 2 && ours[3 * 4096 - 1] == 2);
    plat_shared_unmap(reader, SIZE);
    plat_shared_unmap(writer, SIZE);
    plat_shared_destroy(s);
    plat_shared_destroy(NULL);
}

#if !defined(_KERNEL_MODE) // where no function that every system has changes the protection of a view
// Whether the owner of a view can make it writable.
static bool can_be_made_writable(void *view)
{
#if defined(_WIN32)
    DWORD old;
    return VirtualProtect(view, SIZE, PAGE_READWRITE, &old) != 0;
#else
    return mprotect(view, SIZE, PROT_READ | PROT_WRITE) == 0;
#endif
}

static void reading_stays_reading(void)
{
    struct plat_shared *s = create();
    REQUIRE(s != NULL);
    uint8_t *reader = map(s, false), *writer = map(s, true);
    REQUIRE(reader != NULL && writer != NULL);
    CHECK(!can_be_made_writable(reader));
    CHECK(can_be_made_writable(writer));
    plat_shared_unmap(reader, SIZE);
    plat_shared_unmap(writer, SIZE);
    plat_shared_destroy(s);
}
#endif

static void views_outlive_the_memory(void)
{
    struct plat_shared *s = create();
    REQUIRE(s != NULL);
    uint8_t *reader = map(s, false), *writer = map(s, true);
    REQUIRE(reader != NULL && writer != NULL);
    *(uint8_t *)plat_shared_address(s) = 7;
    plat_shared_destroy(s);
    CHECK_EQ(reader[0], 7);
    writer[1] = 8;
    CHECK_EQ(reader[1], 8);
    plat_shared_unmap(reader, SIZE);
    plat_shared_unmap(writer, SIZE);
}

static void allocations_are_counted_and_fail(void)
{
    uint64_t live = plat_sim_live_count();
    struct plat_shared *s = NULL;
    void *view = NULL;
    for (uint64_t nth = 1; nth <= 2; nth++) {
        plat_sim_fail_alloc(nth);
        CHECK_EQ(plat_shared_create(SIZE, POOL_TAG_TEST, &s), EBPF_NO_MEMORY);
        CHECK(!plat_sim_fail_pending());
        CHECK_EQ(plat_sim_live_count(), live);
    }
    s = create();
    REQUIRE(s != NULL);
    CHECK_EQ(plat_sim_live_count(), live + 2);
    plat_sim_fail_alloc(1);
    CHECK_EQ(plat_shared_map(s, true, &view), EBPF_NO_MEMORY);
    CHECK(view == NULL);
    plat_shared_destroy(s);
    CHECK_EQ(plat_sim_live_count(), live);
}

static void absurd_sizes_are_refused(void)
{
    struct plat_shared *s = NULL;
    volatile size_t absurd = SIZE_MAX / 2;
    CHECK_EQ(plat_shared_create(SIZE_MAX - 10, POOL_TAG_TEST, &s), EBPF_NO_MEMORY);
    CHECK_EQ(plat_shared_create(absurd, POOL_TAG_TEST, &s), EBPF_NO_MEMORY);
    CHECK(s == NULL);
}

#if defined(_WIN32)
static void there_are_no_descriptors(void)
{
    struct plat_shared *s = create();
    REQUIRE(s != NULL);
    CHECK_EQ(plat_shared_fd(s, true), -1);
    CHECK_EQ(plat_shared_fd(s, false), -1);
    plat_shared_destroy(s);
}
#else
static void *map_fd(int fd, int protection)
{
    void *view = mmap(NULL, SIZE, protection, MAP_SHARED, fd, 0);
    return view != MAP_FAILED ? view : NULL;
}

static void descriptors_have_rights(void)
{
    struct plat_shared *s = create();
    struct stat st;
    REQUIRE(s != NULL);
    int reader = plat_shared_fd(s, false), writer = plat_shared_fd(s, true);
    REQUIRE(reader >= 0 && writer >= 0);
    CHECK(map_fd(reader, PROT_READ | PROT_WRITE) == NULL);
    uint8_t *readable = map_fd(reader, PROT_READ), *writable = map_fd(writer, PROT_READ | PROT_WRITE);
    REQUIRE(readable != NULL && writable != NULL);
    CHECK(!can_be_made_writable(readable));
    writable[5] = 9;
    CHECK_EQ(readable[5], 9);
    CHECK_EQ(((uint8_t *)plat_shared_address(s))[5], 9);
    CHECK(write(reader, "x", 1) < 0);
    CHECK((fcntl(reader, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(writer, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(fstat(reader, &st) == 0 && (st.st_mode & 0077) == 0); // strangers cannot open it again
    munmap(readable, SIZE);
    munmap(writable, SIZE);
    close(reader);
    close(writer);
    plat_shared_destroy(s);
}

// Whoever has a descriptor can neither cut the memory short under us nor keep others from writing.
static void nobody_cuts_it_short(void)
{
    struct plat_shared *s = create();
    REQUIRE(s != NULL);
    int writer = plat_shared_fd(s, true);
    REQUIRE(writer >= 0);
    CHECK(ftruncate(writer, 0) != 0);
    CHECK(ftruncate(writer, 1 << 20) != 0);
    CHECK(fcntl(writer, F_ADD_SEALS, F_SEAL_WRITE) != 0);
    CHECK(fcntl(writer, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0);
    ((uint8_t *)plat_shared_address(s))[SIZE - 1] = 1;
    close(writer);
    plat_shared_destroy(s);
}

static void no_descriptors_left(void)
{
    struct rlimit old, none;
    struct plat_shared *s = create();
    uint64_t live = plat_sim_live_count();
    void *view = NULL;
    REQUIRE(s != NULL && getrlimit(RLIMIT_NOFILE, &old) == 0);
    none = old;
    none.rlim_cur = 0;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(create() == NULL);
    CHECK_EQ(plat_shared_map(s, false, &view), EBPF_NO_MEMORY);
    CHECK_EQ(plat_shared_fd(s, true), -1);
    CHECK_EQ(plat_shared_fd(s, false), -1);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK_EQ(plat_sim_live_count(), live);
    plat_shared_destroy(s);
}
#endif

TEST_SUITE(plat_shared)
{
    REQUIRE_OK(plat_init());
    RUN(views_show_the_same);
#if !defined(_KERNEL_MODE)
    RUN(reading_stays_reading);
#endif
    RUN(views_outlive_the_memory);
    RUN(allocations_are_counted_and_fail);
    RUN(absurd_sizes_are_refused);
#if defined(_WIN32)
    RUN(there_are_no_descriptors);
#else
    RUN(descriptors_have_rights);
    RUN(nobody_cuts_it_short);
    RUN(no_descriptors_left);
#endif
    plat_fini();
}
