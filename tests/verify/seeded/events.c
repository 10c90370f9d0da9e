// SPDX-License-Identifier: MIT
// events: reports what TCP connections begin, one ring buffer record for each, and drops those from a blocked
// network. For Linux' XDP.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct event {
    __u32 source, destination;
    __u16 port;
    __u8 flags, ttl;
    __u64 time;
    __u8 head[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 16);
} events SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 1024);
} blocked SEC(".maps");

static __always_inline int is_blocked(__u32 address)
{
    __u32 network = address & bpf_htonl(0xffffff00);
    __u64 *hits = bpf_map_lookup_elem(&blocked, &network);
    if (!hits)
        return 0;
    *hits += 1;
    return 1;
}

SEC("xdp")
int report(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    if ((void *)(eth + 1) > data_end)
        return XDP_PASS;
    if (eth->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    if (ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    struct tcphdr *tcp = (void *)ip + 20;
    if ((void *)(tcp + 1) > data_end)
        return XDP_PASS;
    if (!tcp->syn)
        return XDP_PASS;
    struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e)
        return XDP_PASS;
    e->source = ip->saddr;
    e->destination = ip->daddr;
    e->port = bpf_ntohs(tcp->dest);
    e->time = bpf_ktime_get_ns();
    if (e->port == 0) {
        bpf_ringbuf_discard(e, 0);
        return XDP_DROP;
    }
    e->ttl = ip->ttl;
    bpf_ringbuf_submit(e, 0);
    if (is_blocked(ip->saddr))
        return XDP_DROP;
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
