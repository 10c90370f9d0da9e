// SPDX-License-Identifier: MIT
// The UDP header (RFC 768). All fields in network byte order.
#pragma once

#include "../bpf_helpers_platform.h"

typedef struct UDP_HEADER_ {
    uint16_t srcPort;
    uint16_t destPort;
    uint16_t length; // header and data: 8 for an empty datagram
    uint16_t checksum;
} UDP_HEADER;
