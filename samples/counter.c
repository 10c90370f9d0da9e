// SPDX-License-Identifier: MIT
// counter: counts frames and bytes by IP protocol (RFC 791 field "Protocol"), and the frames of each CPU; all
// pass. An XDP program for Windows that shows a hash map and a per-CPU array.
#include "bpf_helpers.h"

#include "bpf_endian.h"
#include "net/if_ether.h"
#include "net/ip.h"
#include "xdp_hooks.h"

struct traffic {
    uint64_t frames;
    uint64_t bytes;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, uint32_t);
    __type(value, struct traffic);
    __uint(max_entries, 256);
} traffic_by_protocol SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, uint32_t);
    __type(value, uint64_t);
    __uint(max_entries, 1);
} frames_by_cpu SEC(".maps");

// What is not IPv4 counts as this.
#define PROTOCOL_OTHER 0x100u

static uint32_t protocol_of(void *data, void *data_end)
{
    ETHERNET_HEADER *ethernet = data;
    IPV4_HEADER *ip = (IPV4_HEADER *)(ethernet + 1);
    if ((void *)(ip + 1) > data_end || ethernet->Type != bpf_htons(ETHERNET_TYPE_IPV4)) {
        return PROTOCOL_OTHER;
    }
    return ip->Protocol;
}

static void count_traffic(uint32_t protocol, uint64_t bytes)
{
    struct traffic *traffic = bpf_map_lookup_elem(&traffic_by_protocol, &protocol);
    if (traffic == NULL) {
        struct traffic none = {0};
        // Another CPU may have been first.
        bpf_map_update_elem(&traffic_by_protocol, &protocol, &none, BPF_NOEXIST);
        traffic = bpf_map_lookup_elem(&traffic_by_protocol, &protocol);
    }
    if (traffic != NULL) {
        __sync_fetch_and_add(&traffic->frames, 1);
        __sync_fetch_and_add(&traffic->bytes, bytes);
    }
}

SEC("xdp")
int CountPackets(xdp_md_t *ctx)
{
    uint32_t key = 0;
    uint64_t *frames = bpf_map_lookup_elem(&frames_by_cpu, &key);
    if (frames != NULL) {
        (*frames)++; // nobody else writes this CPU's value
    }
    uint8_t *data = ctx->data, *data_end = ctx->data_end;
    count_traffic(protocol_of(data, data_end), (uint64_t)(data_end - data));
    return XDP_PASS;
}
