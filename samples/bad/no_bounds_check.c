// SPDX-License-Identifier: MIT
// no_bounds_check: refused. It trusts every frame to be long enough for three headers; a short one would make
// it read memory that does not belong to the frame.
#include "bpf_helpers.h"

#include "bpf_endian.h"
#include "net/if_ether.h"
#include "net/ip.h"
#include "net/udp.h"
#include "xdp_hooks.h"

SEC("xdp")
int DropPacketTrusting(xdp_md_t *ctx)
{
    ETHERNET_HEADER *ethernet = ctx->data;
    IPV4_HEADER *ip = (IPV4_HEADER *)(ethernet + 1);
    UDP_HEADER *udp = (UDP_HEADER *)(ip + 1);
    if (ip->Protocol == IPPROTO_UDP && bpf_ntohs(udp->length) <= sizeof(UDP_HEADER)) {
        return XDP_DROP;
    }
    return XDP_PASS;
}
