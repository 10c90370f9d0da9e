// SPDX-License-Identifier: MIT
// words: counts the words of a message in a packet, and copies the first one. For XDP on Windows.
#include "bpf_helpers.h"

#include "bpf_endian.h"
#include "net/if_ether.h"
#include "net/ip.h"
#include "net/udp.h"
#include "xdp_hooks.h"

#define WORD_SIZE 16

struct word {
    uint8_t text[WORD_SIZE];
    uint32_t length;
    uint32_t padding;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, struct word);
    __type(value, uint64_t);
    __uint(max_entries, 128);
} words SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} messages SEC(".maps");

SEC("xdp")
int CountWords(xdp_md_t *ctx)
{
    uint8_t *data = ctx->data, *data_end = ctx->data_end;
    uint8_t *text = data + sizeof(ETHERNET_HEADER) + sizeof(IPV4_HEADER) + sizeof(UDP_HEADER);
    if (text > data_end)
        return XDP_PASS;
    struct word first = {0};
    for (uint32_t i = 0; i < WORD_SIZE; i++) {
        if (text + i + 1 > data_end)
            break;
        uint8_t letter = text[i];
        if (letter == ' ')
            break;
        first.text[i] = letter;
        first.length = i + 1;
    }
    uint64_t *uses = bpf_map_lookup_elem(&words, &first);
    if (uses != NULL) {
        __sync_fetch_and_add(uses, 1);
        return XDP_PASS;
    }
    uint64_t one = 1;
    bpf_map_update_elem(&words, &first, &one, BPF_ANY);
    bpf_ringbuf_output(&messages, &first, sizeof(first), 0);
    return XDP_PASS;
}
