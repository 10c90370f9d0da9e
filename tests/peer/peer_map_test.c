// SPDX-License-Identifier: MIT
// Maps beside the kernel's: the same random operations through the public API (execution context in this
// process) and through bpf(2). Each result, each value and from time to time the whole contents must be the
// same; only the order of a hash map's keys is its own. PEER_SEED=N is where the random numbers start.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "hosts/inproc.h"
#include "lib/lib_int.h"
#include "tests/peer/kernel.h"
#include "tests/test.h"

enum { OPERATIONS = 20000, CHECK_EVERY = 250, MAX_KEY = 16, MAX_VALUE = 4096, MAX_ENTRIES = 64 };

struct shape {
    const char *name;
    struct kernel_map_def def;
    uint32_t keys; // different keys that are used, more than fit
};

static const struct shape shapes[] = {
    {"hash", {BPF_MAP_TYPE_HASH, 4, 8, 24, 0}, 32},
    {"hash_of_odd_sizes", {BPF_MAP_TYPE_HASH, 7, 13, 5, 0}, 9},
    {"hash_of_one", {BPF_MAP_TYPE_HASH, 1, 1, 1, 0}, 3},
    {"hash_without_preallocation", {BPF_MAP_TYPE_HASH, 16, 40, 24, 1}, 32},
    {"array", {BPF_MAP_TYPE_ARRAY, 4, 8, 7, 0}, 9},
    {"array_of_odd_size", {BPF_MAP_TYPE_ARRAY, 4, 13, 5, 0}, 6},
    {"percpu_array", {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 5, 0}, 7},
    {"percpu_array_of_odd_size", {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 5, 3, 0}, 4},
};

struct pair {
    const struct shape *shape;
    int ours, theirs;
    bool is_hash, is_per_cpu;
    uint32_t value_size; // as user mode sees it
    uint64_t random;
    unsigned differences;
    unsigned long step;
};

static uint32_t next_random(struct pair *p)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(p->random >> 33);
}

static void differ(struct pair *p, const char *operation, uint64_t flags, int ours, int theirs)
{
    if (p->differences++ < 5) {
        test_fail(__FILE__, __LINE__, "%s: step %lu: %s (flags 0x%llx): ours %d (%s), the kernel's %d (%s)",
                  p->shape->name, p->step, operation, (unsigned long long)flags, ours,
                  strerror(ours < 0 ? -ours : 0), theirs, strerror(theirs < 0 ? -theirs : 0));
    }
}

// --- keys and values -----------------------------------------------------------------------------

static void make_key(const struct pair *p, uint32_t n, uint8_t key[MAX_KEY])
{
    uint32_t index =
        n == p->shape->keys - 1 && !p->is_hash ? UINT32_MAX : n; // an array also meets the largest index
    memset(key, 0x5a, MAX_KEY);
    memcpy(key, &index, p->shape->def.key_size < sizeof(index) ? p->shape->def.key_size : sizeof(index));
}

// What lies between the values of two CPUs is nobody's: it stays zero.
static void make_value(struct pair *p, uint8_t value[MAX_VALUE])
{
    uint32_t stride = p->is_per_cpu ? (p->shape->def.value_size + 7) & ~7u : p->value_size;
    memset(value, 0, MAX_VALUE);
    for (uint32_t at = 0; at < p->value_size; at++) {
        value[at] = at % stride < p->shape->def.value_size ? (uint8_t)next_random(p) : 0;
    }
}

// --- operations ----------------------------------------------------------------------------------

static const uint64_t some_flags[] = {0,         0,         0, 0, BPF_ANY, BPF_NOEXIST,      BPF_NOEXIST,
                                      BPF_EXIST, BPF_EXIST, 3, 4, 1u << 5, UINT64_C(1) << 63};

static void compare_lookup(struct pair *p, const uint8_t *key, uint64_t flags)
{
    uint8_t ours[MAX_VALUE] = {0}, theirs[MAX_VALUE] = {0};
    int a = bpf_map_lookup_elem_flags(p->ours, key, ours, flags),
        b = kernel_map_lookup(p->theirs, key, theirs, flags);
    if (a != b || memcmp(ours, theirs, p->value_size) != 0) {
        differ(p, "lookup", flags, a, b);
    }
}

static void compare_update(struct pair *p, const uint8_t *key, uint64_t flags)
{
    uint8_t value[MAX_VALUE];
    make_value(p, value);
    int a = bpf_map_update_elem(p->ours, key, value, flags),
        b = kernel_map_update(p->theirs, key, value, flags);
    if (a != b) {
        differ(p, "update", flags, a, b);
    }
}

static void compare_delete(struct pair *p, const uint8_t *key)
{
    int a = bpf_map_delete_elem(p->ours, key), b = kernel_map_delete(p->theirs, key);
    if (a != b) {
        differ(p, "delete", 0, a, b);
    }
}

static void compare_take(struct pair *p, const uint8_t *key)
{
    uint8_t ours[MAX_VALUE] = {0}, theirs[MAX_VALUE] = {0};
    int a = bpf_map_lookup_and_delete_elem(p->ours, key, ours), b = kernel_map_take(p->theirs, key, theirs);
    if (a != b || memcmp(ours, theirs, p->value_size) != 0) {
        differ(p, "lookup and delete", 0, a, b);
    }
}

// A hash map may go on with any key, but a key it must be; whether it has a first one is the same everywhere.
static void compare_next(struct pair *p, const uint8_t *key)
{
    uint8_t ours[MAX_KEY] = {0}, theirs[MAX_KEY] = {0}, value[MAX_VALUE];
    int a = bpf_map_get_next_key(p->ours, key, ours), b = kernel_map_next_key(p->theirs, key, theirs);
    bool same = a == b && memcmp(ours, theirs, p->shape->def.key_size) == 0;
    if (p->is_hash && key != NULL && (a == 0 || a == -ENOENT) && (b == 0 || b == -ENOENT)) {
        same = true;
    } else if (p->is_hash) {
        same = a == b;
    }
    if (a == 0 && same && kernel_map_lookup(p->theirs, ours, value, 0) != 0) {
        same = false;
    }
    if (!same) {
        differ(p, "next key", 0, a, b);
    }
}

static void step(struct pair *p)
{
    uint8_t key[MAX_KEY];
    uint32_t choice = next_random(p) % 16;
    uint64_t flags = some_flags[next_random(p) % ARRAY_SIZE(some_flags)];
    make_key(p, next_random(p) % p->shape->keys, key);
    if (choice < 6) {
        compare_update(p, key, flags);
    } else if (choice < 9) {
        compare_lookup(p, key, choice == 6 && flags > BPF_EXIST ? flags : 0);
    } else if (choice < 12) {
        compare_delete(p, key);
    } else if (choice < 13) {
        compare_take(p, key);
    } else {
        compare_next(p, choice == 13 ? NULL : key);
    }
}

// --- contents ------------------------------------------------------------------------------------

// Walks our map: each key once, each value as the kernel has it; then counts the kernel's.
static void compare_contents(struct pair *p)
{
    uint8_t key[MAX_KEY], next[MAX_KEY], seen[MAX_ENTRIES][MAX_KEY];
    uint32_t ours = 0, theirs = 0, size = p->shape->def.key_size;
    int result = bpf_map_get_next_key(p->ours, NULL, next);
    for (; result == 0 && ours < MAX_ENTRIES; result = bpf_map_get_next_key(p->ours, key, next)) {
        memcpy(key, next, size);
        for (uint32_t i = 0; i < ours; i++) {
            CHECK(memcmp(seen[i], key, size) != 0);
        }
        memcpy(seen[ours++], key, size);
        compare_lookup(p, key, 0);
    }
    CHECK_EQ(result, -ENOENT);
    for (result = kernel_map_next_key(p->theirs, NULL, next); result == 0 && theirs < MAX_ENTRIES; theirs++) {
        memcpy(key, next, size);
        result = kernel_map_next_key(p->theirs, key, next);
    }
    if (ours != theirs) {
        differ(p, "number of elements", 0, (int)ours, (int)theirs);
    }
}

static void compare_frozen(struct pair *p)
{
    uint8_t key[MAX_KEY];
    make_key(p, 0, key);
    for (int i = 0; i < 2; i++) { // the second time it is frozen already
        int a = bpf_map_freeze(p->ours), b = kernel_map_freeze(p->theirs);
        if (a != b) {
            differ(p, "freeze", 0, a, b);
        }
    }
    compare_update(p, key, 0);
    compare_delete(p, key);
    if (p->is_hash) { // an array says first that it cannot, the kernel's that it may not
        compare_take(p, key);
    }
    compare_contents(p);
}

static bool open_pair(struct pair *p, const struct shape *shape)
{
    const struct kernel_map_def *d = &shape->def;
    const char *seed = getenv("PEER_SEED");
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = d->flags);
    memset(p, 0, sizeof(*p));
    p->shape = shape;
    p->is_hash = d->type == BPF_MAP_TYPE_HASH;
    p->is_per_cpu = d->type == BPF_MAP_TYPE_PERCPU_ARRAY;
    p->value_size = p->is_per_cpu ? ((d->value_size + 7) & ~7u) * kernel_possible_cpus() : d->value_size;
    p->random = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    p->theirs = kernel_map_create(d);
    p->ours =
        bpf_map_create((enum bpf_map_type)d->type, "peer", d->key_size, d->value_size, d->max_entries, &opts);
    return p->ours >= 0 && p->theirs >= 0 && p->value_size <= MAX_VALUE;
}

static void same_as_the_kernel(const struct shape *shape)
{
    struct pair p;
    const char *reason = "";
    if (!kernel_is_permitted(&reason)) {
        SKIP(reason);
    }
    REQUIRE(open_pair(&p, shape));
    for (p.step = 1; p.step <= OPERATIONS; p.step++) {
        step(&p);
        if (p.step % CHECK_EVERY == 0) {
            compare_contents(&p);
        }
    }
    compare_frozen(&p);
    CHECK_EQ(p.differences, 0);
    ebpf_close_fd(p.ours);
    ebpf_close_fd(p.theirs);
}

// --- what cannot be created ----------------------------------------------------------------------

// Not here: limits that come from an allocator (the kernel's per-CPU values up to 32 KB, our keys up to 512
// bytes).
static const struct kernel_map_def odd_definitions[] = {
    {BPF_MAP_TYPE_ARRAY, 4, 8, 0, 0},
    {BPF_MAP_TYPE_ARRAY, 8, 8, 1, 0},
    {BPF_MAP_TYPE_ARRAY, 3, 8, 1, 0},
    {BPF_MAP_TYPE_ARRAY, 0, 8, 1, 0},
    {BPF_MAP_TYPE_ARRAY, 4, 0, 1, 0},
    {BPF_MAP_TYPE_ARRAY, 4, 4, 1, 1},
    {BPF_MAP_TYPE_HASH, 0, 8, 1, 0},
    {BPF_MAP_TYPE_HASH, 4, 0, 1, 0},
    {BPF_MAP_TYPE_HASH, 4, 8, 0, 0},
    {BPF_MAP_TYPE_HASH, 4, 4, 1, 1u << 31},
    {BPF_MAP_TYPE_HASH, 4, 4, 1, 1u << 3},
    {BPF_MAP_TYPE_HASH, 4, 4, 1, 1u << 4},
    {BPF_MAP_TYPE_HASH, 4, 4, 1, (1u << 3) | (1u << 4)},
    {BPF_MAP_TYPE_HASH, 4, 4, 1, (1u << 7) | (1u << 8)},
    {BPF_MAP_TYPE_ARRAY, 4, 4, 1, 1u << 7},
    {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 0, 0},
    {BPF_MAP_TYPE_PERCPU_ARRAY, 8, 8, 1, 0},
    {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1, 1},
    {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1, 1u << 10},
    {BPF_MAP_TYPE_HASH, 4, 8, 1, 1u << 10},
};

static void refused_alike(void)
{
    const char *reason = "";
    if (!kernel_is_permitted(&reason)) {
        SKIP(reason);
    }
    for (size_t i = 0; i < ARRAY_SIZE(odd_definitions); i++) {
        const struct kernel_map_def *d = &odd_definitions[i];
        LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = d->flags);
        int a = bpf_map_create((enum bpf_map_type)d->type, "odd", d->key_size, d->value_size, d->max_entries,
                               &opts);
        int b = kernel_map_create(d);
        if ((a < 0 ? a : 0) != (b < 0 ? b : 0)) {
            test_fail(__FILE__, __LINE__, "definition %zu: ours %d, the kernel's %d", i, a, b);
        }
        if (a >= 0) {
            ebpf_close_fd(a);
        }
        if (b >= 0) {
            ebpf_close_fd(b);
        }
    }
}

TEST_SUITE(peer_map)
{
    setenv("EBPF_TRANSPORT", "inproc", 1);
    inproc_install();
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        RUN_WITH(shapes[i].name, same_as_the_kernel, &shapes[i]);
    }
    RUN(refused_alike);
}
