// SPDX-License-Identifier: MIT
// chain: a dispatcher that hands packets to stages by tail calls, with a note for them in a per-CPU value;
// and the checksum of a payload by a loop. For Linux' XDP.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct note {
    __u32 stage, length;
    __u64 sum;
};

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, 8);
} stages SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, struct note);
    __uint(max_entries, 1);
} notes SEC(".maps");

SEC("xdp")
int dispatch(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    struct iphdr *ip = data + sizeof(struct ethhdr);
    if ((void *)(ip + 1) > data_end)
        return XDP_PASS;
    __u32 zero = 0;
    struct note *note = bpf_map_lookup_elem(&notes, &zero);
    if (!note)
        return XDP_PASS;
    note->stage = ip->protocol;
    note->length = bpf_ntohs(ip->tot_len);
    bpf_tail_call(ctx, &stages, ip->protocol);
    return XDP_PASS;
}

SEC("xdp")
int summing(struct xdp_md *ctx)
{
    __u16 *word = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    __u32 zero = 0;
    __u64 sum = 0;
    struct note *note = bpf_map_lookup_elem(&notes, &zero);
    if (!note)
        return XDP_PASS;
    for (int i = 0; i < 700; i++) {
        if ((void *)(word + 1) > data_end)
            break;
        sum += *word;
        word++;
    }
    note->sum = sum;
    return sum == note->length ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
