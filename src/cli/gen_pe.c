// SPDX-License-Identifier: MIT
// gen_pe: the checksum of a PE image, without which Windows loads no driver. GNU ld writes it, lld leaves 0.
// Source: Microsoft, "PE Format".
#include "cli/gen_toolchain.h"

enum { PE_OFFSET = 0x3c, PE_CHECKSUM = 24 + 64, PE_MIN = PE_CHECKSUM + 4 };

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

// Sum of the 16-bit words with end-around carry, plus the size. The field itself counts as zero.
static uint32_t checksum(const uint8_t *image, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 2) {
        sum += image[i] | (i + 1 < size ? (uint32_t)image[i + 1] << 8 : 0);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum + (uint32_t)size;
}

bool gen_pe_finish(uint8_t *image, size_t size)
{
    if (size < PE_OFFSET + 4 || image[0] != 'M' || image[1] != 'Z') {
        return false;
    }
    size_t header = get_u32(image + PE_OFFSET);
    if (header > size || size - header < PE_MIN || memcmp(image + header, "PE\0", 4) != 0) {
        return false;
    }
    put_u32(image + header + PE_CHECKSUM, 0);
    put_u32(image + header + PE_CHECKSUM, checksum(image, size));
    return true;
}
