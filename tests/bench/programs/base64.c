// SPDX-License-Identifier: MIT
// Base64 of 96 bytes, written behind them, and a sum over the text.
#include "bench_program.h"

INLINE u8 letter(u32 six)
{
    return (u8)(six < 26    ? 'A' + six
                : six < 52  ? 'a' + six - 26
                : six < 62  ? '0' + six - 52
                : six == 62 ? '+'
                            : '/');
}

BENCH(base64)
{
    u32 sum = 0;
    ROLLED for (u32 i = 0; i < 32; i++)
    {
        COUNTER(i);
        u8 *from = p + (i & 31) * 3, *to = p + 512 + (i & 31) * 4;
        u32 bits = (u32)from[0] << 16 | (u32)from[1] << 8 | from[2];
        to[0] = letter(bits >> 18);
        to[1] = letter(bits >> 12 & 63);
        to[2] = letter(bits >> 6 & 63);
        to[3] = letter(bits & 63);
        sum = (sum << 5 | sum >> 27) ^ LOAD32(to);
    }
    return sum;
}
