// SPDX-License-Identifier: MIT
// The XDP hook: SEC("xdp") programs decide about a frame before the network stack sees it.
#pragma once

#include "bpf_helpers_platform.h"

typedef struct xdp_md_ {
    void *data;               // first byte of the frame
    void *data_end;           // one past the last
    uint64_t data_meta;       // first byte of the metadata before the frame
    uint32_t ingress_ifindex; // interface that the frame arrived on
} xdp_md_t;

// Mind the values: on Linux XDP_DROP is 1 and XDP_PASS is 2.
typedef enum _xdp_action {
    XDP_PASS = 1,
    XDP_DROP = 2,
    XDP_TX = 3,       // back out of the interface that it came from
    XDP_REDIRECT = 4, // out of another interface
} xdp_action_t;

typedef xdp_action_t xdp_hook_t(xdp_md_t *context);

#ifndef EBPF_HELPER
#define EBPF_HELPER(return_type, name, args) typedef return_type(*const name##_t) args
#endif

#define XDP_EXT_HELPER_FN_BASE 0xFFFF
typedef enum {
    BPF_FUNC_xdp_adjust_head = XDP_EXT_HELPER_FN_BASE + 1,
} xdp_helper_id_t;

// Moves the start of the frame by `delta` bytes: negative makes room for a header, positive takes one away. 0
// or a negative errno. Afterwards data and data_end must be read and checked again.
EBPF_HELPER(int, bpf_xdp_adjust_head, (xdp_md_t * ctx, int delta));
#define bpf_xdp_adjust_head ((bpf_xdp_adjust_head_t)BPF_FUNC_xdp_adjust_head)
