// SPDX-License-Identifier: MIT
// locked: a token bucket for each source address, under a spin lock. For Linux' traffic control.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct bucket {
    struct bpf_spin_lock lock;
    __u32 tokens;
    __u64 filled;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u32);
    __type(value, struct bucket);
    __uint(max_entries, 4096);
} buckets SEC(".maps");

const volatile __u32 limit = 100;

SEC("tc")
int police(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data;
    void *data_end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    int verdict = TC_ACT_OK;
    if ((void *)(ip + 1) > data_end)
        return TC_ACT_OK;
    if (eth->h_proto != bpf_htons(ETH_P_IP))
        return TC_ACT_OK;
    __u32 source = ip->saddr;
    struct bucket *b = bpf_map_lookup_elem(&buckets, &source);
    if (!b)
        return TC_ACT_OK;
    __u64 now = bpf_ktime_get_ns();
    bpf_spin_lock(&b->lock);
    if (now - b->filled > 1000000000) {
        b->filled = now;
        b->tokens = limit;
    }
    if (b->tokens > 0)
        b->tokens -= 1;
    else
        verdict = TC_ACT_SHOT;
    bpf_spin_unlock(&b->lock);
    skb->mark = source;
    return verdict;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
