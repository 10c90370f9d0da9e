// SPDX-License-Identifier: MIT
// linux_xdp: a program for Linux, written against the kernel's and libbpf's own headers; it loads here
// unchanged. It answers ICMP echo requests itself, refuses TCP connections to blocked ports, and counts what
// it did.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// RFC 792. (linux/icmp.h drags in the C library, which does not know this target.)
#define ICMP_ECHOREPLY 0
#define ICMP_ECHO      8
struct icmp_header {
    __u8 type, code;
    __sum16 checksum;
};

enum outcome { OUTCOME_PASSED, OUTCOME_ECHOED, OUTCOME_BLOCKED, OUTCOME_COUNT };

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, OUTCOME_COUNT);
} outcomes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u16); // TCP port, host byte order
    __type(value, __u8);
    __uint(max_entries, 64);
} blocked_ports SEC(".maps");

static __always_inline int finish(enum outcome outcome, int action)
{
    __u32 key = outcome;
    __u64 *count = bpf_map_lookup_elem(&outcomes, &key);
    if (count) {
        (*count)++;
    }
    return action;
}

static __always_inline void swap_macs(struct ethhdr *eth)
{
    __u8 mac[ETH_ALEN];
    __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
    __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
    __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
}

// Request 8 becomes reply 0; the checksum of one changed 16-bit word follows RFC 1624.
static __always_inline void turn_echo(struct icmp_header *icmp)
{
    __u32 sum = (__u16)~icmp->checksum;
    sum += (__u16)~bpf_htons(ICMP_ECHO << 8);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    icmp->checksum = (__u16)~sum;
    icmp->type = ICMP_ECHOREPLY;
}

static __always_inline int handle_icmp(struct ethhdr *eth, struct iphdr *ip, void *data_end)
{
    struct icmp_header *icmp = (void *)(ip + 1);
    if ((void *)(icmp + 1) > data_end || icmp->type != ICMP_ECHO || icmp->code != 0) {
        return finish(OUTCOME_PASSED, XDP_PASS);
    }
    turn_echo(icmp);
    __be32 address = ip->saddr;
    ip->saddr = ip->daddr; // the header's checksum does not change: the sum commutes
    ip->daddr = address;
    swap_macs(eth);
    return finish(OUTCOME_ECHOED, XDP_TX);
}

static __always_inline int handle_tcp(struct iphdr *ip, void *data_end)
{
    struct tcphdr *tcp = (void *)(ip + 1);
    if ((void *)(tcp + 1) > data_end || !tcp->syn || tcp->ack) {
        return finish(OUTCOME_PASSED, XDP_PASS);
    }
    __u16 port = bpf_ntohs(tcp->dest);
    if (bpf_map_lookup_elem(&blocked_ports, &port)) {
        return finish(OUTCOME_BLOCKED, XDP_DROP);
    }
    return finish(OUTCOME_PASSED, XDP_PASS);
}

SEC("xdp")
int guard(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5) {
        return finish(OUTCOME_PASSED, XDP_PASS);
    }
    switch (ip->protocol) {
    case IPPROTO_ICMP: return handle_icmp(eth, ip, data_end);
    case IPPROTO_TCP: return handle_tcp(ip, data_end);
    default: return finish(OUTCOME_PASSED, XDP_PASS);
    }
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
