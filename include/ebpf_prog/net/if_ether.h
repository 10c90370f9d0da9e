// SPDX-License-Identifier: MIT
// The Ethernet header (IEEE 802.3), with the field names of Windows; Linux names map to them.
#pragma once

#include "../bpf_helpers_platform.h"

#define ETHERNET_TYPE_IPV4 0x0800
#define ETHERNET_TYPE_IPV6 0x86dd

typedef uint8_t mac_address_t[6];

typedef struct _ETHERNET_HEADER {
    uint8_t Destination[6];
    uint8_t Source[6];
    union {
        uint16_t Type;   // network byte order
        uint16_t Length; // IEEE 802
    };
} ETHERNET_HEADER, *PETHERNET_HEADER;

#define ethhdr   _ETHERNET_HEADER
#define h_proto  Type
#define ETH_P_IP ETHERNET_TYPE_IPV4
