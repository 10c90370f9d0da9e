// SPDX-License-Identifier: MIT
// The Ethernet checksum, bit by bit over 64 bytes.
#include "bench_program.h"

BENCH(crc32)
{
    u32 crc = 0xffffffff;
    ROLLED for (u32 i = 0; i < 64; i++)
    {
        COUNTER(i);
        crc ^= p[i];
        ROLLED for (u32 bit = 0; bit < 8; bit++)
        {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}
