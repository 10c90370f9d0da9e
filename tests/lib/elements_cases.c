// SPDX-License-Identifier: MIT
// Cases of lib_e2e_test.c about many elements at once and about mapped memory: the same over every transport.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#if !defined(_WIN32)
#include <sys/mman.h>
#else
#include <windows.h>
#endif

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "base/base.h"
#include "tests/lib/peer.h"
#include "tests/test.h"

#define ERR(number) ((unsigned long long)-(number))

enum { MANY = 30000, LONG_VALUE = 8 }; // words; more than one request's worth

static uint32_t keys[MANY];
static uint64_t values[MANY][LONG_VALUE];

static int make_map(enum bpf_map_type type, uint32_t value_size, uint32_t entries, uint32_t flags)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
    return bpf_map_create(type, "elements", sizeof(uint32_t), value_size, entries, &opts);
}

// --- batches -------------------------------------------------------------------------------------

static void fill_many(int fd)
{
    uint32_t count = MANY;
    for (uint32_t i = 0; i < MANY; i++) {
        keys[i] = i;
        memset(values[i], 0, sizeof(values[i]));
        values[i][0] = values[i][LONG_VALUE - 1] = i * 3u;
    }
    CHECK_EQ(bpf_map_update_batch(fd, keys, values, &count, NULL), 0);
    CHECK_EQ(count, MANY);
}

// Every element once, `piece` at a time at most.
static void walk_many(int fd, uint32_t piece, bool take)
{
    static uint8_t seen[MANY];
    uint32_t position = 0, total = 0, wrong = 0;
    int result = 0;
    memset(seen, 0, sizeof(seen));
    for (unsigned rounds = 0; result == 0 && rounds <= 2 * MANY; rounds++) {
        uint32_t count = piece;
        void *in = rounds == 0 ? NULL : &position;
        result = take ? bpf_map_lookup_and_delete_batch(fd, in, &position, keys, values, &count, NULL)
                      : bpf_map_lookup_batch(fd, in, &position, keys, values, &count, NULL);
        for (uint32_t i = 0; i < count && count <= piece; i++) {
            bool good = keys[i] < MANY && seen[keys[i]]++ == 0;
            wrong += !good || values[i][0] != keys[i] * 3u || values[i][LONG_VALUE - 1] != keys[i] * 3u;
        }
        total += count;
    }
    CHECK_EQ(result, ERR(ENOENT));
    CHECK_EQ(total, MANY);
    CHECK_EQ(wrong, 0);
}

static void many_elements_of_a_hash(void)
{
    uint32_t count = MANY, key;
    int fd = make_map(BPF_MAP_TYPE_HASH, sizeof(values[0]), MANY, 0);
    REQUIRE(fd >= 0);
    fill_many(fd);
    walk_many(fd, MANY, false);
    walk_many(fd, 777, false);
    walk_many(fd, 1000, true);
    CHECK_EQ(bpf_map_get_next_key(fd, NULL, &key), ERR(ENOENT));
    fill_many(fd);
    CHECK_EQ(bpf_map_delete_batch(fd, keys, &count, NULL), 0);
    CHECK_EQ(count, MANY);
    count = 1;
    CHECK_EQ(bpf_map_delete_batch(fd, keys, &count, NULL), ERR(ENOENT));
    CHECK_EQ(count, 0);
    ebpf_close_fd(fd);
}

static void many_elements_of_an_array(void)
{
    uint32_t count = 2;
    int not_supported = ebpf_result_errno(EBPF_OPERATION_NOT_SUPPORTED);
    int fd = make_map(BPF_MAP_TYPE_ARRAY, sizeof(values[0]), MANY, 0);
    REQUIRE(fd >= 0);
    fill_many(fd);
    walk_many(fd, MANY, false);
    walk_many(fd, 999, false);
    CHECK_EQ(bpf_map_delete_batch(fd, keys, &count, NULL), ERR(not_supported));
    CHECK_EQ(count, 2);
    ebpf_close_fd(fd);
}

// --- memory --------------------------------------------------------------------------------------

static bool can_be_made_writable(void *view, size_t size)
{
#if defined(_WIN32)
    DWORD old;
    return VirtualProtect(view, size, PAGE_READWRITE, &old) != 0;
#else
    return mprotect(view, size, PROT_READ | PROT_WRITE) == 0;
#endif
}

static void memory_shows_the_values(void)
{
    uint32_t index = 2, value[3] = {1, 2, 3}, got[3];
    void *memory = NULL, *reader = NULL;
    size_t size = 0, reader_size = 0;
    int fd = make_map(BPF_MAP_TYPE_ARRAY, sizeof(value), 5, BPF_F_MMAPABLE);
    REQUIRE(fd >= 0);
    REQUIRE_OK(ebpf_map_memory(fd, false, &reader, &reader_size));
    REQUIRE_OK(ebpf_map_memory(fd, true, &memory, &size));
    CHECK(size == 4096 && reader_size == 4096);
    CHECK_EQ(bpf_map_update_elem(fd, &index, value, 0), 0);
    CHECK(memcmp((uint8_t *)memory + 2 * 16, value, sizeof(value)) == 0); // 12 bytes, rounded up to 16
    CHECK(memcmp((uint8_t *)reader + 2 * 16, value, sizeof(value)) == 0);
    value[1] = 77;
    memcpy((uint8_t *)memory + 4 * 16, value, sizeof(value));
    index = 4;
    CHECK_EQ(bpf_map_lookup_elem(fd, &index, got), 0);
    CHECK(memcmp(got, value, sizeof(value)) == 0);
    CHECK(!can_be_made_writable(reader, reader_size));
    ebpf_map_memory_unmap(reader, reader_size);
    ebpf_map_memory_unmap(memory, size);
    ebpf_map_memory_unmap(NULL, 0);
    ebpf_close_fd(fd);
}

static void memory_outlives_the_map(void)
{
    uint32_t index = 0, id = 0;
    uint64_t value = 0x1122334455667788;
    void *memory = NULL;
    size_t size = 0;
    int fd = make_map(BPF_MAP_TYPE_ARRAY, sizeof(value), 1000, BPF_F_MMAPABLE);
    REQUIRE(fd >= 0);
    CHECK_EQ(bpf_map_update_elem(fd, &index, &value, 0), 0);
    REQUIRE_OK(ebpf_map_memory(fd, true, &memory, &size));
    CHECK_EQ(size, 8192);
    ebpf_close_fd(fd);
    CHECK_EQ(bpf_map_get_next_id(0, &id), ERR(ENOENT)); // the map is gone
    CHECK(memcmp(memory, &value, sizeof(value)) == 0);
    memset(memory, 1, size);
    ebpf_map_memory_unmap(memory, size);
}

struct right_case {
    const char *name;
    enum bpf_map_type type;
    uint32_t flags;
    bool frozen;
    ebpf_result_t reading, writing;
};

#define READ_ONLY         (1u << 3) // BPF_F_RDONLY and the like
#define WRITE_ONLY        (1u << 4)
#define PROGRAM_READ_ONLY (1u << 7)

static const struct right_case right_cases[] = {
    {"memory_of_a_map", BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, false, EBPF_SUCCESS, EBPF_SUCCESS},
    {"memory_of_a_frozen_map", BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE, true, EBPF_SUCCESS, EBPF_ACCESS_DENIED},
    {"memory_to_read", BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE | READ_ONLY, false, EBPF_SUCCESS,
     EBPF_ACCESS_DENIED},
    {"memory_to_write", BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE | WRITE_ONLY, false, EBPF_ACCESS_DENIED,
     EBPF_ACCESS_DENIED},
    {"memory_of_constants", BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE | PROGRAM_READ_ONLY, false, EBPF_SUCCESS,
     EBPF_ACCESS_DENIED},
    {"memory_without_the_flag", BPF_MAP_TYPE_ARRAY, 0, false, EBPF_INVALID_ARGUMENT, EBPF_INVALID_ARGUMENT},
    {"memory_of_a_hash", BPF_MAP_TYPE_HASH, 0, false, EBPF_OPERATION_NOT_SUPPORTED,
     EBPF_OPERATION_NOT_SUPPORTED},
};

static void memory_needs_a_right(const struct right_case *c)
{
    int fd = make_map(c->type, 8, 4, c->flags);
    REQUIRE(fd >= 0);
    CHECK(!c->frozen || bpf_map_freeze(fd) == 0);
    for (int writable = 0; writable < 2; writable++) {
        void *memory = NULL;
        size_t size = 0;
        ebpf_result_t result = ebpf_map_memory(fd, writable, &memory, &size);
        CHECK_EQ(result, writable ? c->writing : c->reading);
        CHECK((memory != NULL) == (result == EBPF_SUCCESS));
        ebpf_map_memory_unmap(memory, size);
    }
    ebpf_close_fd(fd);
}

// Also after the view is gone, for nobody has told; a view for reading is no hindrance.
static void mapped_writable_is_never_frozen(void)
{
    void *memory = NULL;
    size_t size = 0;
    int fd = make_map(BPF_MAP_TYPE_ARRAY, 8, 4, BPF_F_MMAPABLE);
    int other = make_map(BPF_MAP_TYPE_ARRAY, 8, 4, BPF_F_MMAPABLE);
    REQUIRE(fd >= 0 && other >= 0);
    REQUIRE_OK(ebpf_map_memory(fd, true, &memory, &size));
    CHECK_EQ(bpf_map_freeze(fd), ERR(EBUSY));
    ebpf_map_memory_unmap(memory, size);
    CHECK_EQ(bpf_map_freeze(fd), ERR(EBUSY));
    REQUIRE_OK(ebpf_map_memory(other, false, &memory, &size));
    CHECK_EQ(bpf_map_freeze(other), 0);
    ebpf_map_memory_unmap(memory, size);
    CHECK_EQ(ebpf_map_memory(other, true, &memory, &size), EBPF_ACCESS_DENIED);
    CHECK_EQ(ebpf_map_memory(12345, false, &memory, &size), EBPF_INVALID_FD);
    CHECK_EQ(ebpf_map_memory(fd, false, NULL, &size), EBPF_INVALID_ARGUMENT);
    ebpf_close_fd(fd);
    ebpf_close_fd(other);
}

// --- global data ---------------------------------------------------------------------------------

static struct bpf_object *load_rich(void)
{
    struct bpf_object *obj = lib_e2e_open("rich");
    if (obj != NULL && bpf_object__load(obj) != 0) {
        bpf_object__close(obj);
        obj = NULL;
    }
    return obj;
}

static void run_count(const struct bpf_object *obj)
{
    uint8_t frame[64] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
    int fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "count"));
    CHECK_EQ(bpf_prog_test_run_opts(fd, &opts), 0);
}

static void *value_of(const struct bpf_object *obj, const char *map, size_t expected)
{
    size_t size = 0;
    void *value = bpf_map__initial_value(bpf_object__find_map_by_name(obj, map), &size);
    CHECK_EQ(size, expected);
    return value;
}

// What `count` of rich.c does with key 0: counts[0] += seen * limit; totals[2] += counts[0]. `seen` and the
// four totals are .bss, in an order of the compiler's own; `limit` is 7.
static void global_data_is_live(void)
{
    struct bpf_object *obj = load_rich();
    unsigned ones = 0, sums = 0;
    REQUIRE(obj != NULL);
    volatile uint64_t *bss = value_of(obj, ".bss", 40);
    volatile uint32_t *limit = value_of(obj, ".data", 4);
    void *rodata = value_of(obj, ".rodata", 12);
    REQUIRE(bss != NULL && limit != NULL && rodata != NULL);
    for (unsigned i = 0; i < 5; i++) {
        bss[i] = 1;
    }
    run_count(obj);
    *limit = 100;
    run_count(obj);
    for (unsigned i = 0; i < 5; i++) {
        ones += bss[i] == 1;
        sums += bss[i] == 1 + 7 + 107;
    }
    CHECK(ones == 4 && sums == 1);
    CHECK(!can_be_made_writable(rodata, 12));
    bpf_object__close(obj);
    CHECK_OK(ebpf_object_unpin("flows"));
}

void elements_cases(void)
{
    RUN(many_elements_of_a_hash);
    RUN(many_elements_of_an_array);
    RUN(memory_shows_the_values);
    RUN(memory_outlives_the_map);
    for (size_t i = 0; i < ARRAY_SIZE(right_cases); i++) {
        RUN_WITH(right_cases[i].name, memory_needs_a_right, &right_cases[i]);
    }
    RUN(mapped_writable_is_never_frozen);
    RUN(global_data_is_live);
}
