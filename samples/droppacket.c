// SPDX-License-Identifier: MIT
// droppacket: drops UDP datagrams without payload and counts them; everything else passes. An XDP program for
// Windows.
#include "bpf_helpers.h"

#include "bpf_endian.h"
#include "net/if_ether.h"
#include "net/ip.h"
#include "net/udp.h"
#include "xdp_hooks.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, uint32_t);
    __type(value, uint64_t);
    __uint(max_entries, 1);
} dropped_packets SEC(".maps");

static void count_drop(void)
{
    uint32_t key = 0;
    uint64_t *count = bpf_map_lookup_elem(&dropped_packets, &key);
    if (count != NULL) {
        __sync_fetch_and_add(count, 1);
    }
}

// The UDP header of an IPv4 frame, or NULL. Every read is preceded by a comparison with the end of the frame:
// without it the verifier refuses the program.
static UDP_HEADER *find_udp(void *data, void *data_end)
{
    ETHERNET_HEADER *ethernet = data;
    if ((void *)(ethernet + 1) > data_end || ethernet->Type != bpf_htons(ETHERNET_TYPE_IPV4)) {
        return NULL;
    }
    IPV4_HEADER *ip = (IPV4_HEADER *)(ethernet + 1);
    if ((void *)(ip + 1) > data_end || ip->Protocol != IPPROTO_UDP || ip->HeaderLength < 5) {
        return NULL;
    }
    if ((ip->FlagsAndOffset & bpf_htons(0x1fff)) != 0) {
        return NULL; // a later fragment has no UDP header
    }
    UDP_HEADER *udp = (UDP_HEADER *)((uint8_t *)ip + 4 * ip->HeaderLength);
    return (void *)(udp + 1) > data_end ? NULL : udp;
}

SEC("xdp")
int DropPacket(xdp_md_t *ctx)
{
    UDP_HEADER *udp = find_udp(ctx->data, ctx->data_end);
    if (udp != NULL && bpf_ntohs(udp->length) <= sizeof(UDP_HEADER)) {
        count_drop();
        return XDP_DROP;
    }
    return XDP_PASS;
}
