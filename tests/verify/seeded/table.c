// SPDX-License-Identifier: MIT
// table: histograms of packet sizes by protocol, in one value of a map. For Linux' XDP.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SLOTS 16

struct histogram {
    __u64 packets;
    __u32 slots[SLOTS];
    __u32 last;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, struct histogram);
    __uint(max_entries, 256);
} histograms SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __type(key, __u64);
    __type(value, __u64);
    __uint(max_entries, 64);
} sizes SEC(".maps");

static __always_inline __u32 sum_of(struct histogram *h)
{
    __u32 sum = 0;
    for (int i = 0; i < SLOTS; i++)
        sum += h->slots[i];
    return sum;
}

SEC("xdp")
int measure(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    if (eth->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;
    __u32 key = ip->protocol;
    struct histogram *h = bpf_map_lookup_elem(&histograms, &key);
    if (!h)
        return XDP_PASS;
    h->packets += 1;
    __u32 hint = ip->tos;
    if (hint < SLOTS)
        h->slots[hint] += 1;
    __u64 size = bpf_ntohs(ip->tot_len);
    __u64 zero = 0;
    __u64 *count = bpf_map_lookup_elem(&sizes, &size);
    if (count)
        *count += 1;
    else
        bpf_map_update_elem(&sizes, &size, &zero, BPF_ANY);
    h->last = sum_of(h);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
