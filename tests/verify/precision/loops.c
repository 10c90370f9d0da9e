// SPDX-License-Identifier: MIT
// Loops: each has to be shown to end, and what it indexes to stay inside; however often it turns.
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

// The compiler turns `i < 32` into a stride of 4 and an exit by equality.
SEC("xdp") int ok_stride(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 sum = 0;
    if (t == 0) {
        return XDP_PASS;
    }
    UNROLL_NO for (int i = 0; i < 32; i++)
    {
        sum += t->words[i];
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int no_stride(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 sum = 0;
    if (t == 0) {
        return XDP_PASS;
    }
    UNROLL_NO for (int i = 0; i < 65; i++)
    {
        sum += t->words[i];
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int ok_dynamic_bound(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 sum = 0, n = get_prandom_u32();
    if (t == 0 || n > 64) {
        return XDP_PASS;
    }
    UNROLL_NO for (u32 i = 0; i < n; i++)
    {
        sum += t->words[i];
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int no_dynamic_bound(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 sum = 0, n = get_prandom_u32();
    if (t == 0 || n > 65) {
        return XDP_PASS;
    }
    UNROLL_NO for (u32 i = 0; i < n; i++)
    {
        sum += t->words[i];
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int ok_nested(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 sum = 0;
    if (t == 0) {
        return XDP_PASS;
    }
    UNROLL_NO for (u32 i = 0; i < 8; i++)
    {
        UNROLL_NO for (u32 j = 0; j < 8; j++)
        {
            sum += t->words[i * 8 + j];
            HIDE(sum);
        }
    }
    return sum & 1;
}

SEC("xdp") int no_nested(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 sum = 0;
    if (t == 0) {
        return XDP_PASS;
    }
    UNROLL_NO for (u32 i = 0; i < 8; i++)
    {
        UNROLL_NO for (u32 j = 0; j < 9; j++)
        {
            sum += t->words[i * 8 + j];
            HIDE(sum);
        }
    }
    return sum & 1;
}

SEC("xdp") int ok_count_down(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 sum = 0;
    if (t == 0) {
        return XDP_PASS;
    }
    UNROLL_NO for (int i = 63; i >= 0; i--)
    {
        sum += t->words[i];
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int no_count_down(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 sum = 0;
    if (t == 0) {
        return XDP_PASS;
    }
    UNROLL_NO for (int i = 63; i >= -1; i--)
    {
        sum += t->words[i];
        HIDE(sum);
    }
    return sum & 1;
}

// As quick to verify as ten turns.
SEC("xdp") int ok_thousand_millions(struct xdp_md *ctx)
{
    u64 sum = 0;
    UNROLL_NO for (u32 i = 0; i < 1000000000; i++)
    {
        sum += i;
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int no_end(struct xdp_md *ctx)
{
    u64 sum = 0;
    while (sum != 7) {
        sum = get_prandom_u32();
    }
    return sum & 1;
}

// Turns that are not counted by anything: the number is halved.
SEC("xdp") int ok_halves(struct xdp_md *ctx)
{
    u32 n = get_prandom_u32(), bits = 0;
    UNROLL_NO while (n != 0)
    {
        n >>= 1;
        bits++;
        HIDE(n);
    }
    return bits & 1;
}

SEC("xdp") int ok_fills_stack(struct xdp_md *ctx)
{
    u32 words[32], sum = 0;
    UNROLL_NO for (u32 i = 0; i < 32; i++)
    {
        words[i] = get_prandom_u32();
    }
    UNROLL_NO for (u32 i = 0; i < 32; i++)
    {
        sum += words[i];
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int no_fills_stack(struct xdp_md *ctx)
{
    u32 words[32], sum = 0;
    UNROLL_NO for (u32 i = 0; i < 31; i++)
    {
        words[i] = get_prandom_u32();
    }
    asm volatile("" : : "r"(words) : "memory");
    UNROLL_NO for (u32 i = 0; i < 32; i++)
    {
        sum += words[i];
        HIDE(sum);
    }
    return sum & 1;
}

NOINLINE u32 mix(u32 a, u32 b)
{
    a ^= b << 3;
    HIDE(a);
    return a + b;
}

SEC("xdp") int ok_call_in_loop(struct xdp_md *ctx)
{
    u32 sum = 0;
    UNROLL_NO for (u32 i = 0; i < 50; i++)
    {
        sum = mix(sum, i);
    }
    return sum & 1;
}

// A counter in memory.
SEC("xdp") int ok_spilled_counter(struct xdp_md *ctx)
{
    struct table *t = table();
    volatile u32 i = 0;
    if (t == 0) {
        return XDP_PASS;
    }
    while (1) {
        u32 at = i;
        if (at >= 64) {
            break;
        }
        t->words[at] = at;
        i = at + 1;
    }
    return XDP_PASS;
}

SEC("xdp") int ok_two_exits(struct xdp_md *ctx)
{
    struct table *t = table();
    u32 i;
    if (t == 0) {
        return XDP_PASS;
    }
    UNROLL_NO for (i = 0; i < 64; i++)
    {
        if (t->words[i] == 17) {
            break;
        }
    }
    return i == 64 ? XDP_PASS : t->words[i & 63] & 1;
}
char licence[] SEC("license") = "Dual MIT/GPL";
