// SPDX-License-Identifier: MIT
// Packets: what a comparison with the end says, in every form that compilers and people give it.
#include "precision.h"

#define BEGIN(ctx) ((u8 *)(long)(ctx)->data)
#define END(ctx)   ((u8 *)(long)(ctx)->data_end)

// Inlined copies return an error number that the caller tests afterwards.
INLINE int load_bytes(struct xdp_md *ctx, u64 off, u8 *to, u32 size)
{
    u8 *p = BEGIN(ctx) + off;
    if (off > 0xff || p + size > END(ctx)) {
        return -22;
    }
    __builtin_memcpy(to, p, size);
    return 0;
}

SEC("xdp") int ok_flag(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    int error = p + 14 > end ? -22 : 0;
    HIDE(error);
    if (error != 0) {
        return XDP_DROP;
    }
    return 0;
}

SEC("xdp") int ok_flag_guards(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    int error = -22, sum = 0;
    if (p + 14 <= end) {
        error = 0;
        sum = get_prandom_u32();
    }
    asm volatile("" ::: "memory");
    if (error == 0) {
        sum += p[13];
    }
    return sum & 1;
}

SEC("xdp") int no_flag_guards(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    int error = -22, sum = 0;
    if (p + 14 <= end) {
        error = 0;
        sum = get_prandom_u32();
    }
    asm volatile("" ::: "memory");
    if (error == 0) {
        sum += p[14];
    }
    return sum & 1;
}

SEC("xdp") int ok_load_bytes(struct xdp_md *ctx)
{
    u8 header[20];
    if (load_bytes(ctx, 14, header, sizeof(header)) < 0) {
        return XDP_DROP;
    }
    u32 off = 14 + (header[0] & 15) * 4;
    if (load_bytes(ctx, off, header, 8) < 0) {
        return XDP_DROP;
    }
    return header[1] & 1;
}

SEC("xdp") int ok_length(struct xdp_md *ctx)
{
    u64 length = END(ctx) - BEGIN(ctx);
    if (length < 34) {
        return XDP_DROP;
    }
    return BEGIN(ctx)[33] & 1;
}

SEC("xdp") int no_length(struct xdp_md *ctx)
{
    u64 length = END(ctx) - BEGIN(ctx);
    if (length < 34) {
        return XDP_DROP;
    }
    return BEGIN(ctx)[34] & 1;
}

SEC("xdp") int ok_length_32(struct xdp_md *ctx)
{
    u32 length = (u32)(END(ctx) - BEGIN(ctx));
    if (length < 34) {
        return XDP_DROP;
    }
    return BEGIN(ctx)[33] & 1;
}

SEC("xdp") int ok_header_length(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    if (p + 34 > end) {
        return XDP_DROP;
    }
    u32 size = (p[14] & 15) * 4;
    u8 *next = p + 14 + size;
    if (next + 8 > end) {
        return XDP_DROP;
    }
    return next[7] & 1;
}

SEC("xdp") int no_header_length(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    if (p + 34 > end) {
        return XDP_DROP;
    }
    u32 size = (p[14] & 15) * 4;
    u8 *next = p + 14 + size;
    if (next + 8 > end) {
        return XDP_DROP;
    }
    return next[8] & 1;
}

SEC("xdp") int ok_swapped_length(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    if (p + 16 > end) {
        return XDP_DROP;
    }
    u16 size = __builtin_bswap16(*(u16 *)(p + 12));
    u8 *next = p + size;
    if (next + 2 > end) {
        return XDP_DROP;
    }
    return next[1] & 1;
}

SEC("xdp") int ok_walk(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    u32 sum = 0;
    UNROLL_NO for (int i = 0; i < 100; i++)
    {
        if (p + 4 > end) {
            break;
        }
        sum += p[3];
        p += 4;
        HIDE(sum);
    }
    return sum & 1;
}

// Type, length, value; the length is what the packet says.
SEC("xdp") int ok_options(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    u32 sum = 0;
    UNROLL_NO for (int i = 0; i < 40; i++)
    {
        if (p + 2 > end) {
            break;
        }
        sum += p[0];
        p += p[1] + 2;
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int no_options(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    u32 sum = 0;
    UNROLL_NO for (int i = 0; i < 40; i++)
    {
        if (p + 2 > end) {
            break;
        }
        sum += p[0];
        p += p[1] + 2;
        sum += p[0];
        HIDE(sum);
    }
    return sum & 1;
}

SEC("xdp") int ok_cached_end(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx), *end = END(ctx);
    u64 key = ktime_get_ns();
    if (p + 20 > end) {
        return XDP_DROP;
    }
    key ^= get_prandom_u32();
    return (BEGIN(ctx)[19] + key) & 1;
}

SEC("xdp") int ok_adjusted(struct xdp_md *ctx)
{
    if (xdp_adjust_head(ctx, 4) != 0) {
        return XDP_DROP;
    }
    u8 *p = BEGIN(ctx);
    if (p + 1 > END(ctx)) {
        return XDP_DROP;
    }
    return p[0] & 1;
}

SEC("xdp") int no_adjusted(struct xdp_md *ctx)
{
    u8 *p = BEGIN(ctx);
    if (p + 1 > END(ctx)) {
        return XDP_DROP;
    }
    if (xdp_adjust_head(ctx, 4) != 0) {
        return XDP_DROP;
    }
    return p[0] & 1;
}
char licence[] SEC("license") = "Dual MIT/GPL";
