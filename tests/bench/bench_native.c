// SPDX-License-Identifier: MIT
// bench_native: what C programs use in place of maps and helpers: a hash table with linear probing, the
// system's clock, a small random generator.
#include <stdint.h>
#include <string.h>
#include <time.h>

struct bench_hash {
    uint32_t key_size, value_size, slots, used;
    uint8_t bytes[]; // slots of: 8 bytes (in use), key, value
};
uint32_t bench_cpu;
void *bench_hash_lookup(void *table, const void *key);
long bench_hash_update(void *table, const void *key, const void *value, uint64_t flags);
uint64_t bpf_ktime_get_ns(void);
uint32_t bpf_get_prandom_u32(void);

static uint64_t hash_of(const uint8_t *key, uint32_t size)
{
    uint64_t hash = size;
    for (uint32_t i = 0; i < size; i += 4) {
        uint32_t word;
        memcpy(&word, key + i, 4);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return hash;
}

// The slot of the key, or the free one where it belongs.
static uint8_t *find(struct bench_hash *t, const void *key)
{
    uint32_t stride = 8 + t->key_size + t->value_size;
    for (uint32_t at = (uint32_t)hash_of(key, t->key_size) & (t->slots - 1);;
         at = (at + 1) & (t->slots - 1)) {
        uint8_t *slot = t->bytes + (size_t)at * stride;
        if (slot[0] == 0 || memcmp(slot + 8, key, t->key_size) == 0) {
            return slot;
        }
    }
}

void *bench_hash_lookup(void *table, const void *key)
{
    struct bench_hash *t = table;
    uint8_t *slot = find(t, key);
    return slot[0] != 0 ? slot + 8 + t->key_size : NULL;
}

long bench_hash_update(void *table, const void *key, const void *value, uint64_t flags)
{
    struct bench_hash *t = table;
    uint8_t *slot = find(t, key);
    (void)flags;
    if (slot[0] == 0 && t->used == t->slots / 2) {
        return -7;
    }
    t->used += slot[0] == 0;
    slot[0] = 1;
    memcpy(slot + 8, key, t->key_size);
    memcpy(slot + 8 + t->key_size, value, t->value_size);
    return 0;
}

uint64_t bpf_ktime_get_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint32_t bpf_get_prandom_u32(void)
{
    static uint64_t x = 0x2545f4914f6cdd1du;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 32);
}
