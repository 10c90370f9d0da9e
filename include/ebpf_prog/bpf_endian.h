// SPDX-License-Identifier: MIT
// Network byte order. Constants are folded by the compiler, other values become one byte-swap instruction.
#pragma once

#include "bpf_helpers_platform.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define bpf_htons(x)       ((uint16_t)__builtin_bswap16((uint16_t)(x)))
#define bpf_htonl(x)       ((uint32_t)__builtin_bswap32((uint32_t)(x)))
#define bpf_cpu_to_be64(x) ((uint64_t)__builtin_bswap64((uint64_t)(x)))
#else
#define bpf_htons(x)       ((uint16_t)(x))
#define bpf_htonl(x)       ((uint32_t)(x))
#define bpf_cpu_to_be64(x) ((uint64_t)(x))
#endif
#define bpf_ntohs(x)       bpf_htons(x)
#define bpf_ntohl(x)       bpf_htonl(x)
#define bpf_be64_to_cpu(x) bpf_cpu_to_be64(x)

#ifndef htons
#define htons bpf_htons
#endif
#ifndef htonl
#define htonl bpf_htonl
#endif
#ifndef ntohs
#define ntohs bpf_ntohs
#endif
#ifndef ntohl
#define ntohl bpf_ntohl
#endif
