// SPDX-License-Identifier: MIT
// Definitions in a `maps` section; -DSHAPE chooses how they continue after the four common words.
typedef unsigned int u32;
#define SEC(name) __attribute__((section(name), used))

struct bpf_map_def {
    u32 type, key_size, value_size, max_entries;
#if SHAPE == 32 // eBPF for Windows
    u32 inner_map_idx, pinning, id, inner_id;
#elif SHAPE == 36 // iproute2
    u32 flags, id, pinning, inner_id, inner_idx;
#elif SHAPE != 16 // libbpf before 1.0
    u32 flags;
#endif
#if SHAPE == 24
    u32 tail;
#endif
};

#if SHAPE == 32
struct bpf_map_def SEC("maps") first = {2, 4, 8, 16, 0, 2, 1, 0}, second = {1, 16, 4, 100, 0, 0, 2, 0};
#elif SHAPE == 36
struct bpf_map_def SEC("maps") first = {2, 4, 8, 16, 0, 1, 2, 0, 0}, second = {1, 16, 4, 100, 1, 2, 0, 0, 0};
#elif SHAPE == 16
struct bpf_map_def SEC("maps") first = {2, 4, 8, 16}, second = {1, 16, 4, 100};
#else
struct bpf_map_def SEC("maps") first = {2, 4, 8, 16, 0}, second = {1, 16, 4, 100, 1};
#endif

#ifdef __clang__
static void *(*const lookup)(void *map, const void *key) = (void *)1;
#else
void *lookup(void *map, const void *key) __attribute__((kernel_helper(1)));
#endif

SEC("xdp") int look(void *ctx)
{
    u32 key[4] = {1, 2, 3, 4};
    u32 *a = lookup(&first, key);
    if (!a) {
        return 1;
    }
    u32 *b = lookup(&second, key);
    return b ? *a + *b : 2;
}
