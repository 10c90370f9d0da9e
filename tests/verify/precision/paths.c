// SPDX-License-Identifier: MIT
// Paths: facts that hold together on each way and are lost when ways are mixed carelessly; calls; references.
#include "precision.h"

struct {
    __uint(type, MAP_HASH);
    __type(key, u32);
    __type(value, u64);
    __uint(max_entries, 16);
} first SEC(".maps"), second SEC(".maps");

struct {
    __uint(type, MAP_RINGBUF);
    __uint(max_entries, 4096);
} events SEC(".maps");

SEC("xdp") int ok_null_and_flag(struct xdp_md *ctx)
{
    u32 key = get_prandom_u32(), found = 0;
    u64 *value = 0;
    if (ctx->ingress_ifindex != 0) {
        value = map_lookup(&first, &key);
        if (value) {
            found = 1;
        }
    }
    asm volatile("" ::: "memory");
    HIDE(found);
    if (found) {
        return 0;
    }
    return value ? *value & 1 : XDP_PASS;
}

SEC("xdp") int ok_two_maps(struct xdp_md *ctx)
{
    u32 key = ctx->rx_queue_index;
    u64 *value = map_lookup(key & 1 ? (void *)&first : (void *)&second, &key);
    return value ? *value & 1 : XDP_PASS;
}

SEC("xdp") int no_two_maps(struct xdp_md *ctx)
{
    u32 key = ctx->rx_queue_index;
    u64 *value = map_lookup(key & 1 ? (void *)&first : (void *)&second, &key);
    return *value & 1;
}

// The null test is on one copy, the use on another.
SEC("xdp") int ok_copy_of_pointer(struct xdp_md *ctx)
{
    u32 key = ctx->rx_queue_index;
    u64 *value = map_lookup(&first, &key), *copy = value;
    HIDE(copy);
    if (!copy) {
        return XDP_PASS;
    }
    return *copy & 1;
}

// Written on exactly the ways on which it is read.
SEC("xdp") int ok_written_where_read(struct xdp_md *ctx)
{
    volatile u64 slot;
    u32 flag = ctx->rx_queue_index & 1;
    if (flag) {
        slot = ctx->ingress_ifindex;
    }
    get_prandom_u32();
    HIDE(flag);
    if (flag) {
        return slot & 1;
    }
    return XDP_PASS;
}

struct event {
    u64 time;
    u32 number, queue;
};

SEC("xdp") int ok_record(struct xdp_md *ctx)
{
    struct event *e = ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) {
        return XDP_PASS;
    }
    e->time = ktime_get_ns();
    e->queue = ctx->rx_queue_index;
    if (e->queue == 3) {
        ringbuf_discard(e, 0);
        return XDP_DROP;
    }
    e->number = 1;
    ringbuf_submit(e, 0);
    return XDP_PASS;
}

SEC("xdp") int no_record(struct xdp_md *ctx)
{
    struct event *e = ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e) {
        return XDP_PASS;
    }
    e->queue = ctx->rx_queue_index;
    if (e->queue == 3) {
        return XDP_DROP;
    }
    ringbuf_submit(e, 0);
    return XDP_PASS;
}

NOINLINE int parse(u8 *p, u8 *end, u32 *out)
{
    if (p + 4 > end) {
        return -1;
    }
    *out = p[3];
    return 0;
}

SEC("xdp") int ok_stack_argument(struct xdp_md *ctx)
{
    u32 found;
    if (parse((u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end, &found) != 0) {
        return XDP_DROP;
    }
    asm volatile("" : : "r"(&found) : "memory"); // or clang reads `found` before the test
    return found & 1;
}

SEC("xdp") int no_stack_argument(struct xdp_md *ctx)
{
    u32 found;
    asm volatile("" : : "r"(&found) : "memory");
    parse((u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end, &found);
    return found & 1;
}

static long add_turn(u32 index, void *data)
{
    u64 *sum = data;
    *sum += index;
    return *sum > 100000;
}

SEC("xdp") int ok_loop_helper(struct xdp_md *ctx)
{
    u64 sum = 0;
    loop(1000, add_turn, &sum, 0);
    return sum & 1;
}

static long read_packet(u32 index, void *data)
{
    struct xdp_md *ctx = *(struct xdp_md **)data;
    return *((u8 *)(long)ctx->data + index);
}

SEC("xdp") int no_loop_helper(struct xdp_md *ctx)
{
    struct xdp_md *copy = ctx;
    return loop(1000, read_packet, &copy, 0) & 1;
}
char licence[] SEC("license") = "Dual MIT/GPL";
