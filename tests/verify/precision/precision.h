// SPDX-License-Identifier: MIT
// What the programs of this folder share: own declarations of the few things that they need of Linux (numbers
// from the UAPI header linux/bpf.h), so that they compile anywhere. A program `ok_...` has to be accepted, a
// program `no_...`, its twin with one mistake, refused.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define SEC(name)     __attribute__((section(name), used))
#define INLINE        static inline __attribute__((always_inline))
#define NOINLINE      static __attribute__((noinline))
#define __uint(n, v)  int(*n)[v]
#define __type(n, t)  typeof(t) *n
#define __array(n, t) typeof(t) *n[]
// The compiler knows nothing of the value afterwards.
#define HIDE(x)   asm volatile("" : "+r"(x))
#define UNROLL_NO _Pragma("clang loop unroll(disable)")

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
enum { XDP_ABORTED, XDP_DROP, XDP_PASS };
enum { MAP_HASH = 1, MAP_ARRAY = 2, MAP_PROG_ARRAY = 3, MAP_ARRAY_OF_MAPS = 12, MAP_RINGBUF = 27 };

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*ktime_get_ns)(void) = (void *)5;
static u32 (*get_prandom_u32)(void) = (void *)7;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static s64 (*csum_diff)(void *from, u32 from_size, void *to, u32 to_size, u32 seed) = (void *)28;
static long (*xdp_adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;
static void *(*ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*ringbuf_submit)(void *record, u64 flags) = (void *)132;
static void (*ringbuf_discard)(void *record, u64 flags) = (void *)133;
static long (*loop)(u32 turns, void *callback, void *ctx, u64 flags) = (void *)181;

struct table {
    u32 words[64];
};
