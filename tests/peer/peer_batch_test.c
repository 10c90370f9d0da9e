// SPDX-License-Identifier: MIT
// Batches beside the kernel's: the same random batches through the public API (execution context in this
// process) and through bpf(2). What an update or deletion says, and how far it came, must be the same; so
// must be all of a walk over an array. A hash map's walk has an order of its own: its elements as a set, and
// its end, must be the same. PEER_SEED=N is where the random numbers start.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "hosts/inproc.h"
#include "lib/lib_int.h"
#include "tests/peer/kernel.h"
#include "tests/test.h"

enum { OPERATIONS = 4000, MAX_BATCH = 40, MAX_KEY = 16, MAX_VALUE = 1024 };

struct shape {
    const char *name;
    struct kernel_map_def def;
    uint32_t keys; // different keys that are used, more than fit
};

static const struct shape shapes[] = {
    {"batches_of_a_hash", {BPF_MAP_TYPE_HASH, 4, 8, 24, 0}, 32},
    {"batches_of_a_hash_of_odd_sizes", {BPF_MAP_TYPE_HASH, 1, 13, 5, 0}, 9},
    {"batches_of_a_hash_of_long_keys", {BPF_MAP_TYPE_HASH, 16, 40, 24, 1}, 32},
    {"batches_of_an_array", {BPF_MAP_TYPE_ARRAY, 4, 8, 7, 0}, 9},
    {"batches_of_an_array_of_odd_size", {BPF_MAP_TYPE_ARRAY, 4, 13, 5, 0}, 6},
    {"batches_of_a_percpu_array", {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 5, 0}, 7},
};

struct side {
    int result;
    uint8_t keys[MAX_BATCH][MAX_KEY], values[MAX_BATCH * MAX_VALUE];
    uint8_t position[MAX_KEY];
    uint32_t count;
};

struct pair {
    const struct shape *shape;
    int ours, theirs;
    bool is_hash, frozen;
    uint32_t key_size, value_size; // value_size as user mode sees it
    uint64_t random;
    unsigned differences;
    unsigned long step;
    struct side a, b; // ours, the kernel's
    uint8_t keys[MAX_BATCH * MAX_KEY], values[MAX_BATCH * MAX_VALUE];
};

static uint32_t next_random(struct pair *p)
{
    p->random = p->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(p->random >> 33);
}

static void compare(struct pair *p, const char *operation, bool same)
{
    if ((!same || p->a.result != p->b.result || p->a.count != p->b.count) && p->differences++ < 5) {
        test_fail(__FILE__, __LINE__,
                  "%s: step %lu: %s: ours %d, %u elements; the kernel's %d, %u elements%s", p->shape->name,
                  p->step, operation, p->a.result, p->a.count, p->b.result, p->b.count,
                  same ? "" : "; contents differ");
    }
}

// --- updates and deletions -----------------------------------------------------------------------

static void make_key(struct pair *p, uint8_t *key)
{
    uint32_t n = next_random(p) % p->shape->keys;
    uint32_t index = n == p->shape->keys - 1 && !p->is_hash ? UINT32_MAX : n;
    memset(key, 0x5a, p->key_size);
    memcpy(key, &index, p->key_size < sizeof(index) ? p->key_size : sizeof(index));
}

static void make_elements(struct pair *p, uint32_t count)
{
    bool per_cpu = p->shape->def.type == BPF_MAP_TYPE_PERCPU_ARRAY;
    for (uint32_t i = 0; i < count; i++) {
        make_key(p, p->keys + i * p->key_size);
    }
    for (uint32_t i = 0; i < count * p->value_size; i++) {
        p->values[i] = per_cpu && i % 8 >= p->shape->def.value_size ? 0 : (uint8_t)next_random(p);
    }
}

// Not where the operation is refused anyhow: which of two errors is named first is each side's own affair.
static uint64_t some_flags(struct pair *p, bool refused)
{
    static const uint64_t flags[] = {0, 0, 0, 0, 0, 0, 0, BPF_NOEXIST, BPF_EXIST, 4, 8, UINT64_C(1) << 40};
    return refused ? 0 : flags[next_random(p) % ARRAY_SIZE(flags)];
}

static void compare_update(struct pair *p, uint32_t count)
{
    uint64_t flags = some_flags(p, p->frozen);
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = flags);
    struct kernel_batch_call call = {
        .keys = p->keys, .values = p->values, .count = count, .elem_flags = flags};
    make_elements(p, count);
    p->a.count = count;
    p->a.result = bpf_map_update_batch(p->ours, p->keys, p->values, &p->a.count, &opts);
    p->b.result = kernel_map_batch(p->theirs, KERNEL_UPDATE_BATCH, &call);
    p->b.count = call.count;
    compare(p, "update", true);
}

static void compare_delete(struct pair *p, uint32_t count)
{
    uint64_t flags = some_flags(p, p->frozen || !p->is_hash);
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = flags);
    struct kernel_batch_call call = {.keys = p->keys, .count = count, .elem_flags = flags};
    make_elements(p, count);
    p->a.count = count;
    p->a.result = bpf_map_delete_batch(p->ours, p->keys, &p->a.count, &opts);
    p->b.result = kernel_map_batch(p->theirs, KERNEL_DELETE_BATCH, &call);
    p->b.count = call.count;
    compare(p, "delete", true);
}

// --- walks ---------------------------------------------------------------------------------------

static void clear(struct pair *p)
{
    memset(&p->a, 0, sizeof(p->a));
    memset(&p->b, 0, sizeof(p->b));
}

static void look_up_ours(struct pair *p, bool take, bool first, uint32_t count)
{
    struct side *s = &p->a;
    void *in = first ? NULL : s->position;
    s->count = count;
    s->result =
        take ? bpf_map_lookup_and_delete_batch(p->ours, in, s->position, s->keys, s->values, &s->count, NULL)
             : bpf_map_lookup_batch(p->ours, in, s->position, s->keys, s->values, &s->count, NULL);
}

static void look_up_theirs(struct pair *p, bool take, bool first, uint32_t count)
{
    struct side *s = &p->b;
    struct kernel_batch_call call = {.in_batch = first ? NULL : s->position,
                                     .out_batch = s->position,
                                     .keys = s->keys,
                                     .values = s->values,
                                     .count = count};
    s->result = kernel_map_batch(p->theirs, take ? KERNEL_TAKE_BATCH : KERNEL_LOOKUP_BATCH, &call);
    s->count = call.count;
}

// An array's walk, also from positions that were never given out.
static void compare_array_walk(struct pair *p)
{
    uint32_t count = 1 + next_random(p) % (p->shape->keys + 2), start = next_random(p) % (p->shape->keys + 2);
    bool first = next_random(p) % 2 == 0, take = next_random(p) % 8 == 0;
    clear(p);
    memcpy(p->a.position, &start, sizeof(start));
    memcpy(p->b.position, &start, sizeof(start));
    for (unsigned i = 0; i < 4 && p->a.result == 0; i++) {
        look_up_ours(p, take, first, count);
        look_up_theirs(p, take, first, count);
        compare(p, take ? "take from array" : "walk over array",
                memcmp(p->a.position, p->b.position, sizeof(start)) == 0 &&
                    memcmp(p->a.keys, p->b.keys, sizeof(p->a.keys)) == 0 &&
                    memcmp(p->a.values, p->b.values, sizeof(p->a.values)) == 0);
        first = false;
    }
}

static bool has_element(const struct pair *p, const struct side *s, const uint8_t *key, const uint8_t *value)
{
    const uint8_t *keys = (const uint8_t *)s->keys;
    for (uint32_t i = 0; i < s->count; i++) {
        if (memcmp(keys + i * p->key_size, key, p->key_size) == 0) {
            return memcmp(s->values + i * p->value_size, value, p->value_size) == 0;
        }
    }
    return false;
}

// All of a hash map at once: both say the end, with the same elements.
static void compare_hash_walk(struct pair *p)
{
    bool take = next_random(p) % 4 == 0, same = true;
    clear(p);
    look_up_ours(p, take, true, MAX_BATCH);
    look_up_theirs(p, take, true, MAX_BATCH);
    for (uint32_t i = 0; i < p->a.count && p->a.count <= MAX_BATCH; i++) {
        const uint8_t *keys = (const uint8_t *)p->a.keys;
        same = same && has_element(p, &p->b, keys + i * p->key_size, p->a.values + i * p->value_size);
    }
    compare(p, take ? "take all" : "walk over hash", same);
}

// In pieces: how many come at a time is each side's own affair, but not how many there are, nor the end.
static uint32_t walk_in_pieces(struct pair *p, struct side *s, uint32_t piece,
                               void (*look_up)(struct pair *p, bool take, bool first, uint32_t count))
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < 100; i++) {
        look_up(p, false, i == 0, piece);
        sum += s->count;
        if (s->result == -ENOSPC) {
            piece++;
        } else if (s->result != 0) {
            break;
        }
    }
    return sum;
}

static void compare_pieces(struct pair *p)
{
    uint32_t piece = 1 + next_random(p) % 6;
    clear(p);
    uint32_t a = walk_in_pieces(p, &p->a, piece, look_up_ours),
             b = walk_in_pieces(p, &p->b, piece, look_up_theirs);
    p->a.count = a;
    p->b.count = b;
    compare(p, "walk in pieces", true);
}

// --- the run -------------------------------------------------------------------------------------

static void step(struct pair *p)
{
    uint32_t choice = next_random(p) % 8, count = 1 + next_random(p) % 10;
    clear(p);
    if (choice < 3) {
        compare_update(p, count);
    } else if (choice < 5) {
        compare_delete(p, choice == 3 ? 1 : count);
    } else if (p->is_hash && choice == 5) {
        compare_pieces(p);
    } else if (p->is_hash) {
        compare_hash_walk(p);
    } else {
        compare_array_walk(p);
    }
}

static bool open_pair(struct pair *p, const struct shape *shape)
{
    const struct kernel_map_def *d = &shape->def;
    const char *seed = getenv("PEER_SEED");
    bool per_cpu = d->type == BPF_MAP_TYPE_PERCPU_ARRAY;
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = d->flags);
    memset(p, 0, sizeof(*p));
    p->shape = shape;
    p->is_hash = d->type == BPF_MAP_TYPE_HASH;
    p->key_size = d->key_size;
    p->value_size = per_cpu ? ((d->value_size + 7) & ~7u) * kernel_possible_cpus() : d->value_size;
    p->random = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    p->theirs = kernel_map_create(d);
    p->ours =
        bpf_map_create((enum bpf_map_type)d->type, "peer", d->key_size, d->value_size, d->max_entries, &opts);
    return p->ours >= 0 && p->theirs >= 0 && p->value_size <= MAX_VALUE;
}

static void same_as_the_kernel(const struct shape *shape)
{
    static struct pair p;
    const char *reason = "";
    if (!kernel_is_permitted(&reason)) {
        SKIP(reason);
    }
    REQUIRE(open_pair(&p, shape));
    for (p.step = 1; p.step <= OPERATIONS; p.step++) {
        step(&p);
    }
    int frozen_a = bpf_map_freeze(p.ours), frozen_b = kernel_map_freeze(p.theirs);
    CHECK_EQ(frozen_a, frozen_b);
    p.frozen = true;
    compare_update(&p, 2);
    if (p.is_hash) {
        compare_delete(&p, 2); // an array says first that it cannot, the kernel's that it may not
        compare_hash_walk(&p);
    }
    CHECK_EQ(p.differences, 0);
    ebpf_close_fd(p.ours);
    ebpf_close_fd(p.theirs);
}

TEST_SUITE(peer_batch)
{
    setenv("EBPF_TRANSPORT", "inproc", 1);
    inproc_install();
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        RUN_WITH(shapes[i].name, same_as_the_kernel, &shapes[i]);
    }
}
