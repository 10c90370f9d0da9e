// SPDX-License-Identifier: MIT
// options: finds the maximum segment size among the options of a TCP header, and refuses absurd ones. For
// Linux' XDP.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, 1);
} smallest SEC(".maps");

static __always_inline int find_mss(__u8 *at, void *data_end)
{
    for (int i = 0; i < 10; i++) {
        if ((void *)(at + 1) > data_end)
            return 0;
        __u8 kind = *at;
        if (kind == OPTION_END)
            return 0;
        if (kind == OPTION_NOP) {
            at += 1;
            continue;
        }
        if ((void *)(at + 4) > data_end)
            return 0;
        __u8 length = at[1];
        if (length < 2)
            return 0;
        if (kind == OPTION_MSS)
            return at[2] << 8 | at[3];
        at += length;
    }
    return 0;
}

static __always_inline int check_mss(int mss)
{
    __u32 key = 0;
    __u32 *least = bpf_map_lookup_elem(&smallest, &key);
    if (!least)
        return XDP_PASS;
    return (__u32)mss < *least ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int options(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    if ((void *)(eth + 1) > data_end)
        return XDP_PASS;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
    if ((void *)(tcp + 1) > data_end)
        return XDP_PASS;
    if (tcp->doff <= 5)
        return XDP_PASS;
    int mss = find_mss((__u8 *)(tcp + 1), data_end);
    if (mss == 0)
        return XDP_PASS;
    return check_mss(mss);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
