// SPDX-License-Identifier: MIT
// contexts: the contexts as the runtime holds them: one structure per program type, the same in both
// dialects. Layout rows (contexts.def) say which member a field of the program's view stands for.
#pragma once

#include "base/base.h"

// Bytes that there are at most; the verifier relies on it, so programs are not run on more.
#define RUN_MAX_DATA (1u << 28)

// Every context starts with the data that packet pointers point into.
struct run_data {
    uint8_t *data, *data_end;
    uint8_t *data_meta; // equal to data when there is no metadata
};

struct xdp_context {
    struct run_data packet;
    uint8_t *frame_start, *frame_end; // buffer limits for adjust_head and adjust_tail
    uint32_t ingress_ifindex, rx_queue_index, egress_ifindex;
    uint32_t redirect_ifindex; // set by bpf_redirect
};

struct bind_context {
    struct run_data app_id;
    uint64_t process_id;
    uint8_t socket_address[16];
    uint8_t socket_address_length;
    uint8_t protocol;
    uint32_t operation;
};

struct sample_context {
    struct run_data data;
    uint32_t uint32_data;
    uint16_t uint16_data;
    uint32_t helper_data_1, helper_data_2;
};
