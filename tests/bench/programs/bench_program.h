// SPDX-License-Identifier: MIT
// bench_program: one source, three builds: BENCH_VM (raw memory: r1 = memory, r2 = length), BENCH_KERNEL
// (XDP, for the Linux kernel's test runs) and BENCH_NATIVE (a function of the host). A program is a function
// of BENCH_SIZE bytes, which it may write to when running it again gives the same, and returns 32 bits that
// must be equal everywhere. Maps and helpers have native stand-ins: what a C program would use in their
// place.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef u16 __attribute__((may_alias, aligned(1))) u16_at;
typedef u32 __attribute__((may_alias, aligned(1))) u32_at;
typedef u64 __attribute__((may_alias, aligned(1))) u64_at;

#define BENCH_SIZE 1024
#define INLINE     static inline __attribute__((always_inline))
#define NOINLINE   static __attribute__((noinline))
#define LOAD16(p)  (*(const u16_at *)(p))
#define LOAD32(p)  (*(const u32_at *)(p))
#define LOAD64(p)  (*(const u64_at *)(p))
#define ROLLED     _Pragma("clang loop unroll(disable) vectorize(disable)")

#if defined(__bpf__)
// Keeps a loop counter a number: otherwise the compiler may compare packet pointers, which the kernel's
// verifier cannot bound.
#define COUNTER(x) __asm__ volatile("" : "+r"(x))
#else
#define COUNTER(x) ((void)0)
#endif

INLINE u32 fold(u64 x)
{
    return (u32)(x ^ x >> 32);
}

#if defined(BENCH_KERNEL)
struct xdp_context {
    u32 data, data_end, data_meta, ingress, queue, egress;
};
#define BENCH(name)                                                                                          \
    INLINE u32 body(u8 *p);                                                                                  \
    __attribute__((section("xdp"), used)) int bench_entry(struct xdp_context *ctx)                           \
    {                                                                                                        \
        u8 *p = (u8 *)(long)ctx->data;                                                                       \
        return p + BENCH_SIZE > (u8 *)(long)ctx->data_end ? 0 : (int)body(p);                                \
    }                                                                                                        \
    char bench_license[] __attribute__((section("license"), used)) = "GPL";                                  \
    INLINE u32 body(u8 *p)
#elif defined(BENCH_VM)
#define BENCH(name)                                                                                          \
    INLINE u32 body(u8 *p);                                                                                  \
    __attribute__((section("raw_memory"), used)) u64 bench_entry(u8 *p, u64 size)                            \
    {                                                                                                        \
        return size < BENCH_SIZE ? 0 : body(p);                                                              \
    }                                                                                                        \
    char bench_license[] __attribute__((section("license"), used)) = "GPL";                                  \
    INLINE u32 body(u8 *p)
#else
#define BENCH_CAT_(a, b, c) a##b##c
#define BENCH_CAT(a, b, c)  BENCH_CAT_(a, b, c)
#define BENCH(name)                                                                                          \
    INLINE u32 body(u8 *p);                                                                                  \
    u64 BENCH_CAT(bench_, name, BENCH_SUFFIX)(u8 * p, u64 size);                                             \
    u64 BENCH_CAT(bench_, name, BENCH_SUFFIX)(u8 * p, u64 size)                                              \
    {                                                                                                        \
        return size < BENCH_SIZE ? 0 : body(p);                                                              \
    }                                                                                                        \
    INLINE u32 body(u8 *p)
#endif

// --- maps and helpers ----------------------------------------------------------------------------

#if defined(__bpf__)
#define BENCH_MAP(its_name, its_type, its_key, its_value, count)                                             \
    struct {                                                                                                 \
        int (*type)[its_type];                                                                               \
        its_key *key;                                                                                        \
        its_value *value;                                                                                    \
        int (*max_entries)[count];                                                                           \
    } its_name __attribute__((section(".maps"), used))
#define ARRAY(name, value, count)        BENCH_MAP(name, 2, u32, value, count)
#define PERCPU_ARRAY(name, value, count) BENCH_MAP(name, 6, u32, value, count)
#define HASH(name, key, value, count)    BENCH_MAP(name, 1, key, value, count)
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*bpf_get_prandom_u32)(void) = (void *)7;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
#define LOOKUP(map, key)        bpf_map_lookup_elem(&(map), (key))
#define UPDATE(map, key, value) bpf_map_update_elem(&(map), (key), (value), 0)
#else
// bench_native.c
void *bench_hash_lookup(void *table, const void *key);
long bench_hash_update(void *table, const void *key, const void *value, u64 flags);
u64 bpf_ktime_get_ns(void);
u32 bpf_get_prandom_u32(void);
extern u32 bench_cpu;
INLINE u32 bpf_get_smp_processor_id(void)
{
    return *(volatile u32 *)&bench_cpu;
}
struct bench_hash {
    u32 key_size, value_size, slots, used;
    u8 bytes[];
};
#define BENCH_CPUS 64
#define ARRAY(name, value, count)                                                                            \
    static struct {                                                                                          \
        value values[count];                                                                                 \
    } name
#define PERCPU_ARRAY(name, value, count)                                                                     \
    static struct {                                                                                          \
        value values[BENCH_CPUS][count];                                                                     \
    } name
#define HASH(name, key, value, count)                                                                        \
    static struct {                                                                                          \
        u32 key_size, value_size, slots, used;                                                               \
        u8 bytes[2 * (count) * (8 + sizeof(key) + sizeof(value))];                                           \
    } name = {sizeof(key), sizeof(value), 2 * (count), 0, {0}}
#endif
// Typed look-ups, the same text in all builds.
#if defined(__bpf__)
#define ARRAY_AT(map, key)        LOOKUP(map, key)
#define PERCPU_AT(map, key)       LOOKUP(map, key)
#define HASH_AT(map, key)         LOOKUP(map, key)
#define HASH_SET(map, key, value) UPDATE(map, key, value)
#else
#define ARRAY_COUNT(a)     (sizeof(a) / sizeof((a)[0]))
#define ARRAY_AT(map, key) (*(key) < ARRAY_COUNT((map).values) ? &(map).values[*(key)] : (void *)0)
#define PERCPU_AT(map, key)                                                                                  \
    (*(key) < ARRAY_COUNT((map).values[0]) ? &(map).values[bpf_get_smp_processor_id()][*(key)] : (void *)0)
#define HASH_AT(map, key)         bench_hash_lookup(&(map), (key))
#define HASH_SET(map, key, value) bench_hash_update(&(map), (key), (value), 0)
#endif
