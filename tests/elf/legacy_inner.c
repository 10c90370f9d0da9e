// SPDX-License-Identifier: MIT
// Maps of maps in legacy definitions: -DSHAPE=28 as Linux samples have them (the inner map by its place in
// the section), 36 as iproute2 does, 32 as eBPF for Windows (both by id).
#define SEC(name) __attribute__((section(name), used))
typedef unsigned int u32;

struct definition {
    u32 type, key_size, value_size, max_entries;
#if SHAPE == 28
    u32 flags, inner_map_idx, numa_node;
#elif SHAPE == 36
    u32 flags, id, pinning, inner_id, inner_idx;
#else
    u32 inner_map_idx, pinning, id, inner_id;
#endif
};

#if SHAPE == 28
#define IDS(own, inner)
#else
#define IDS(own, inner) .id = own, .inner_id = inner
#endif
struct definition SEC("maps") inner = {1, 8, 16, 32, IDS(9, 0)};
struct definition SEC("maps") outer = {SHAPE == 32 ? 7 : 12, 4, 4, 8, IDS(5, 9)};

static void *(*lookup)(void *map, const void *key) = (void *)1;

SEC("raw_memory") long uses(void *memory)
{
    u32 key = 0;
    return (long)lookup(&outer, &key);
}
