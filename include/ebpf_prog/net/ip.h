// SPDX-License-Identifier: MIT
// The IPv4 (RFC 791) and IPv6 (RFC 8200) headers, each field under its Windows and, for IPv4, its Linux name.
// Numbers of more than one byte are in network byte order.
#pragma once

#include "../bpf_helpers_platform.h"

#define IPPROTO_IPV4 4
#define IPPROTO_TCP  6
#define IPPROTO_UDP  17
#define IPPROTO_IPV6 41

// Windows values.
#define AF_INET  2
#define AF_INET6 23

#ifndef DEFAULT_COMPARTMENT_ID
#define DEFAULT_COMPARTMENT_ID 1
#endif

typedef struct _IPV4_HEADER {
    union {
        uint8_t VersionAndHeaderLength;
        struct {
            uint8_t HeaderLength : 4; // in 32-bit words
            uint8_t Version : 4;
        };
        struct {
            uint8_t ihl : 4;
            uint8_t version : 4;
        };
    };
    union {
        uint8_t TypeOfServiceAndEcnField;
        uint8_t tos;
        struct {
            uint8_t EcnField : 2;
            uint8_t TypeOfService : 6;
        };
    };
    union {
        uint16_t TotalLength; // header and data
        uint16_t tot_len;
    };
    union {
        uint16_t Identification;
        uint16_t id;
    };
    union {
        uint16_t FlagsAndOffset;
        uint16_t frag_off;
        struct {                   // bits in the order of the two bytes on the wire
            uint16_t DontUse1 : 5; // fragment offset, high bits
            uint16_t MoreFragments : 1;
            uint16_t DontFragment : 1;
            uint16_t Reserved : 1;
            uint16_t DontUse2 : 8; // fragment offset, low bits
        };
    };
    union {
        uint8_t TimeToLive;
        uint8_t ttl;
    };
    union {
        uint8_t Protocol; // IPPROTO_*
        uint8_t protocol;
    };
    union {
        uint16_t HeaderChecksum;
        uint16_t check;
    };
    union {
        uint32_t SourceAddress;
        uint32_t saddr;
    };
    union {
        uint32_t DestinationAddress;
        uint32_t daddr;
    };
} IPV4_HEADER, *PIPV4_HEADER;

#define iphdr _IPV4_HEADER

typedef uint8_t ipv6_address_t[16];

typedef struct _IPV6_HEADER {
    union {
        uint32_t VersionClassFlow; // 4 bits version, 8 traffic class, 20 flow label
        struct {
            uint32_t : 4;
            uint32_t Version : 4;
            uint32_t : 24;
        };
    };
    uint16_t PayloadLength;
    uint8_t NextHeader; // IPPROTO_*
    uint8_t HopLimit;
    ipv6_address_t SourceAddress;
    ipv6_address_t DestinationAddress;
} IPV6_HEADER, *PIPV6_HEADER;
