// SPDX-License-Identifier: MIT
// helper_mem: memory, strings and checksums. Sizes are what the verifier proved the memory to have.
// Sources: eBPF for Windows, bpf_helper_defs.h (the _s family); Linux UAPI, bpf_csum_diff.
#include "runtime/helper_int.h"

// Writes all of the destination: the source, or zeroes when it does not fit.
static uint64_t copy(uint8_t *to, uint64_t to_size, const void *from, uint64_t from_size)
{
    if (from_size > to_size) {
        memset(to, 0, to_size);
        return helper_result(EBPF_INVALID_ARGUMENT);
    }
    memmove(to, from, from_size);
    return 0;
}

HELPER_BODY(MEMCPY_S)
{
    return copy(pointer(a1), a2, pointer(a3), a4);
}

HELPER_BODY(MEMMOVE_S)
{
    return copy(pointer(a1), a2, pointer(a3), a4);
}

HELPER_BODY(MEMCMP_S)
{
    int order = memcmp(pointer(a1), pointer(a3), min_u64(a2, a4));
    if (order == 0) {
        order = (a2 > a4) - (a2 < a4); // the shorter one comes first
    }
    return (uint64_t)(int64_t)((order > 0) - (order < 0));
}

HELPER_BODY(MEMSET)
{
    memset(pointer(a1), (uint8_t)a3, a2);
    return a1;
}

// Copies up to a4 characters, ends the text, and zeroes the rest. What does not fit is cut and reported.
HELPER_BODY(STRNCPY_S)
{
    char *to = pointer(a1);
    uint64_t length = text_length(pointer(a3), a4), fits = min_u64(length, a2 - 1);
    memmove(to, pointer(a3), fits);
    memset(to + fits, 0, a2 - fits);
    return fits == length ? 0 : helper_result(EBPF_INVALID_ARGUMENT);
}

HELPER_BODY(STRNLEN_S)
{
    return text_length(pointer(a1), a2);
}

// Sum of the 32-bit words of [from, from + size), each XORed with `flip`.
static uint64_t sum_words(const uint8_t *from, uint64_t size, uint32_t flip)
{
    uint64_t sum = 0;
    for (uint64_t at = 0; at < size; at += 4) {
        uint32_t word;
        memcpy(&word, from + at, sizeof(word));
        sum += word ^ flip;
        sum = (sum & UINT32_MAX) + (sum >> 32);
    }
    return sum;
}

// Ones' complement difference in 32 bits, for the caller to fold: seed - from + to.
HELPER_BODY(CSUM_DIFF)
{
    if (((a2 | a4) & 3) != 0) {
        return helper_result(EBPF_INVALID_ARGUMENT);
    }
    uint64_t sum = (a5 & UINT32_MAX) + sum_words(pointer(a1), a2, UINT32_MAX) + sum_words(pointer(a3), a4, 0);
    sum = (sum & UINT32_MAX) + (sum >> 32);
    return (sum & UINT32_MAX) + (sum >> 32);
}
