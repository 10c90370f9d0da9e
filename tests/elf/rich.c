// SPDX-License-Identifier: MIT
// Most that an object can hold, as clang and BTF write it; built several times (build.sh). NATIVE: what runs.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name)         __attribute__((section(name), used))
#define NOINLINE          __attribute__((noinline))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const trace)(const char *fmt, u32 fmt_size, ...) = (void *)6;
static long (*const loop)(u32 count, void *body, void *user, u64 flags) = (void *)181;

struct pair {
    u32 a, b;
};

struct {
    __uint(type, 2); // array
    __uint(max_entries, 4);
    __type(key, u32);
    __type(value, u64);
} counts SEC(".maps");

static struct {
    __uint(type, 1); // hash
    __uint(max_entries, 1024);
    __uint(key_size, 8);
    __uint(value_size, 16);
    __uint(map_flags, 1);
    __uint(pinning, 1);
} flows SEC(".maps");
#ifndef NATIVE
struct {
    __uint(type, 999); // no such type: kept, for the verifier to refuse
    __uint(max_entries, 2);
    __type(key, struct pair);
    __type(value, u8[3]);
} strange SEC(".maps");
#endif
const volatile u32 config = 3;
static volatile const u8 table[8] = {1, 2, 3, 4, 5, 6, 7, 8};
u32 limit = 7;
static volatile u64 seen;
u64 totals[4];
static volatile u32 extra SEC(".data.extra") = 9;

NOINLINE static u64 twice(u64 a)
{
    seen += a;
    return a * 2 + seen;
}

NOINLINE u64 scale(u32 a)
{
    return twice(a) * limit;
}

__attribute__((weak)) NOINLINE u64 weak_one(u32 a)
{
    return a ^ extra;
}

static long body(u32 i, void *user)
{
    *(u64 *)user += i + table[i & 7];
    return 0;
}

NOINLINE static long sibling(struct xdp_md *ctx)
{
    return ctx->rx_queue_index + seen;
}

SEC("xdp") int count(struct xdp_md *ctx)
{
    u32 key = ctx->rx_queue_index & 3;
    u64 *value = lookup(&counts, &key);
    if (value) {
        *value += scale(key);
        totals[2] += *value;
    }
    return config;
}

SEC("xdp") int callback(struct xdp_md *ctx)
{
    u64 sum = 0, key = 5;
    loop(10, body, &sum, 0);
    trace("sum %d\n", 8, sum);
    return (lookup(&flows, &key) ? sum : sibling(ctx)) + weak_one(1);
}
#ifndef NATIVE
SEC("?xdp.frags/name") int by_hand(struct xdp_md *ctx)
{
    struct pair key = {1, 2};
    u8 *value = lookup(&strange, &key);
    if (value) {
        return *value;
    }
    return (int)sibling(ctx);
}
#endif
char _license[] SEC("license") = "Dual MIT/GPL";
u32 _version SEC("version") = 0x50607;
