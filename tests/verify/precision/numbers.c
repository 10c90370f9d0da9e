// SPDX-License-Identifier: MIT
// Numbers: indexes and sizes, as compilers hand them down.
#include "precision.h"

struct {
    __uint(type, MAP_ARRAY);
    __type(key, u32);
    __type(value, struct table);
    __uint(max_entries, 1);
} tables SEC(".maps");

INLINE struct table *table(void)
{
    u32 key = 0;
    return map_lookup(&tables, &key);
}

#define INDEXED(name, statements)                                                                            \
    SEC("xdp") int name(struct xdp_md *ctx)                                                                  \
    {                                                                                                        \
        struct table *t = table();                                                                           \
        u64 x = ktime_get_ns();                                                                              \
        if (t == 0) {                                                                                        \
            return XDP_PASS;                                                                                 \
        }                                                                                                    \
        statements return t->words[x] & 1;                                                                   \
    }

INDEXED(ok_mask, x &= 63;)
INDEXED(no_mask, x &= 127;)
INDEXED(ok_mask_of_or, x = (x & 32) | (x >> 59);)
INDEXED(ok_shift, x >>= 58;)
INDEXED(no_shift, x >>= 57;)
INDEXED(ok_modulo, x %= 64;)
INDEXED(no_modulo, x %= 65;)
INDEXED(ok_divide, x = (x & 0xffff) / 1024;)
INDEXED(ok_xor, x = (x & 15) ^ 48;)
INDEXED(ok_signed, s32 i = (s32)x; HIDE(i); if (i < 0 || i >= 64) return XDP_PASS; x = i;)
INDEXED(no_signed, s32 i = (s32)x; HIDE(i); if (i < -1 || i >= 64) return XDP_PASS; x = (s64)i;)
INDEXED(ok_multiply, x = (x & 7) * 9;)
INDEXED(no_multiply, x = (x & 7) * 10;)
INDEXED(ok_swapped, u16 s = (u16)x; s = __builtin_bswap16(s); x = s >> 10;)
INDEXED(ok_subtract, if (x < 100 || x > 163) return XDP_PASS; x -= 100;)
INDEXED(ok_copy, u64 y = x; HIDE(y); if (x > 63) return XDP_PASS;)
INDEXED(ok_two_halves, u32 low = (u32)x; u32 high = (u32)(x >> 32);
        if (high != 0 || low > 63) return XDP_PASS;)

#define BOUNDED(name)                                                                                        \
    u32 name = get_prandom_u32();                                                                            \
    if (name > 63) {                                                                                         \
        return XDP_PASS;                                                                                     \
    }                                                                                                        \
    HIDE(name)

// More numbers than registers: some are kept on the stack.
SEC("xdp") int ok_spilled(struct xdp_md *ctx)
{
    struct table *t = table();
    if (t == 0) {
        return XDP_PASS;
    }
    BOUNDED(a);
    BOUNDED(b);
    BOUNDED(c);
    BOUNDED(d);
    BOUNDED(e);
    BOUNDED(f);
    u32 g = get_prandom_u32();
    return (t->words[a] + t->words[b] + t->words[c] + t->words[d] + t->words[e] + t->words[f] + g) & 1;
}

// Size of a variable part of a buffer.
SEC("xdp") int ok_size(struct xdp_md *ctx)
{
    u32 buffer[16] = {0};
    u32 size = get_prandom_u32();
    if (size > sizeof(buffer)) {
        return XDP_PASS;
    }
    return csum_diff(0, 0, buffer, size & ~3u, 0) & 1;
}

SEC("xdp") int no_size(struct xdp_md *ctx)
{
    u32 buffer[16] = {0};
    u32 size = get_prandom_u32();
    if (size > sizeof(buffer) + 4) {
        return XDP_PASS;
    }
    return csum_diff(0, 0, buffer, size & ~3u, 0) & 1;
}

// Offset and size together stay inside; neither does alone say so.
SEC("xdp") int ok_offset_and_size(struct xdp_md *ctx)
{
    struct table *t = table();
    u64 off = get_prandom_u32(), size = get_prandom_u32();
    if (t == 0 || off > 256 || size > 256) {
        return XDP_PASS;
    }
    u64 sum = off + size;
    HIDE(sum);
    if (sum > sizeof(*t)) {
        return XDP_PASS;
    }
    return csum_diff(0, 0, (u8 *)t + off, size, 0) & 1;
}

SEC("xdp") int no_offset_and_size(struct xdp_md *ctx)
{
    struct table *t = table();
    u64 off = get_prandom_u32(), size = get_prandom_u32();
    if (t == 0 || off > 256 || size > 256) {
        return XDP_PASS;
    }
    u64 sum = off + size;
    HIDE(sum);
    if (sum > sizeof(*t) + 1) {
        return XDP_PASS;
    }
    return csum_diff(0, 0, (u8 *)t + off, size, 0) & 1;
}
char licence[] SEC("license") = "Dual MIT/GPL";
