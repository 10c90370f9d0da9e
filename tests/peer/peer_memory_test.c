// SPDX-License-Identifier: MIT
// Mapped memory beside the kernel's: who may map how, and where the values lie. Ours is stricter in one
// point: a map that user mode could once write to by a view is never frozen.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "base/base.h"
#include "hosts/inproc.h"
#include "tests/peer/kernel.h"
#include "tests/test.h"

#include <sys/mman.h> // last: it has a MAP_TYPE of its own

enum { PAGE = 4096, ENTRIES = 100, VALUE = 12 };

#define MMAPABLE (1u << 10)

static int make_ours(const struct kernel_map_def *d)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = d->flags);
    return bpf_map_create((enum bpf_map_type)d->type, "peer", d->key_size, d->value_size, d->max_entries,
                          &opts);
}

static bool is_permitted(void)
{
    const char *reason = "";
    if (!kernel_is_permitted(&reason)) {
        test_skip(reason);
        return false;
    }
    return true;
}

// Whether a view is given; the numbers of refusals are those of open files there.
static void compare_right(int ours, int theirs, bool writable, bool expected)
{
    void *a = NULL;
    size_t size = 0;
    int result = 0;
    bool given = ebpf_map_memory(ours, writable, &a, &size) == EBPF_SUCCESS;
    void *b = kernel_map_mmap(theirs, PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ, &result);
    CHECK_EQ(given, expected);
    CHECK_EQ(b != NULL, expected);
    if (given) {
        CHECK_EQ(mprotect(a, size, PROT_READ | PROT_WRITE) == 0, writable);
        ebpf_map_memory_unmap(a, size);
    }
    if (b != NULL) {
        CHECK_EQ(mprotect(b, PAGE, PROT_READ | PROT_WRITE) == 0, writable);
        kernel_map_munmap(b, PAGE);
    }
}

// Not here: BPF_F_RDONLY. Linux refuses every shared view of such a map, because it has no writable file to
// share (EINVAL); ours may be read.
static void rights_are_the_same(void)
{
    static const struct {
        uint32_t flags;
        bool frozen, reading, writing;
    } cases[] = {{0, false, false, false},
                 {MMAPABLE, false, true, true},
                 {MMAPABLE, true, true, false},
                 {MMAPABLE | 1u << 4, false, false, false}, // user mode writes only
                 {MMAPABLE | 1u << 7, false, true, false},  // programs read only
                 {MMAPABLE | 1u << 8, false, true, true}};  // programs write only
    if (!is_permitted()) {
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct kernel_map_def d = {BPF_MAP_TYPE_ARRAY, 4, 8, 4, cases[i].flags};
        int ours = make_ours(&d), theirs = kernel_map_create(&d);
        REQUIRE(ours >= 0 && theirs >= 0);
        if (cases[i].frozen) {
            CHECK_EQ(bpf_map_freeze(ours), 0);
            CHECK_EQ(kernel_map_freeze(theirs), 0);
        }
        compare_right(ours, theirs, false, cases[i].reading);
        compare_right(ours, theirs, true, cases[i].writing);
        ebpf_close_fd(ours);
        ebpf_close_fd(theirs);
    }
}

static void values_lie_where_the_kernel_puts_them(void)
{
    const struct kernel_map_def d = {BPF_MAP_TYPE_ARRAY, 4, VALUE, ENTRIES, MMAPABLE};
    void *a = NULL;
    size_t size = 0;
    int result = 0;
    if (!is_permitted()) {
        return;
    }
    int ours = make_ours(&d), theirs = kernel_map_create(&d);
    REQUIRE(ours >= 0 && theirs >= 0);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint8_t value[VALUE];
        memset(value, (int)i + 1, sizeof(value));
        CHECK_EQ(bpf_map_update_elem(ours, &i, value, 0), 0);
        CHECK_EQ(kernel_map_update(theirs, &i, value, 0), 0);
    }
    REQUIRE(ebpf_map_memory(ours, false, &a, &size) == EBPF_SUCCESS && size == PAGE);
    void *b = kernel_map_mmap(theirs, size, PROT_READ, &result);
    REQUIRE(b != NULL);
    CHECK(memcmp(a, b, size) == 0);
    ebpf_map_memory_unmap(a, size);
    kernel_map_munmap(b, size);
    ebpf_close_fd(ours);
    ebpf_close_fd(theirs);
}

static void freezing_waits_for_views(void)
{
    const struct kernel_map_def d = {BPF_MAP_TYPE_ARRAY, 4, 8, 4, MMAPABLE};
    void *a = NULL;
    size_t size = 0;
    int result = 0;
    if (!is_permitted()) {
        return;
    }
    int ours = make_ours(&d), theirs = kernel_map_create(&d);
    REQUIRE(ours >= 0 && theirs >= 0);
    REQUIRE(ebpf_map_memory(ours, true, &a, &size) == EBPF_SUCCESS);
    void *b = kernel_map_mmap(theirs, size, PROT_READ | PROT_WRITE, &result);
    REQUIRE(b != NULL);
    int frozen_a = bpf_map_freeze(ours), frozen_b = kernel_map_freeze(theirs);
    CHECK_EQ(frozen_a, -EBUSY);
    CHECK_EQ(frozen_b, -EBUSY);
    ebpf_map_memory_unmap(a, size);
    kernel_map_munmap(b, size);
    CHECK_EQ(kernel_map_freeze(theirs), 0);
    CHECK_EQ(bpf_map_freeze(ours), (unsigned long long)-EBUSY); // stricter
    ebpf_close_fd(ours);
    ebpf_close_fd(theirs);
}

static void who_may_not_write_may_not_freeze(void)
{
    const struct kernel_map_def d = {BPF_MAP_TYPE_ARRAY, 4, 8, 4, 1u << 3};
    if (!is_permitted()) {
        return;
    }
    int ours = make_ours(&d), theirs = kernel_map_create(&d);
    REQUIRE(ours >= 0 && theirs >= 0);
    int frozen_a = bpf_map_freeze(ours), frozen_b = kernel_map_freeze(theirs);
    CHECK_EQ(frozen_a, -EPERM);
    CHECK_EQ(frozen_b, -EPERM);
    ebpf_close_fd(ours);
    ebpf_close_fd(theirs);
}

TEST_SUITE(peer_memory)
{
    setenv("EBPF_TRANSPORT", "inproc", 1);
    inproc_install();
    RUN(rights_are_the_same);
    RUN(values_lie_where_the_kernel_puts_them);
    RUN(freezing_waits_for_views);
    RUN(who_may_not_write_may_not_freeze);
}
