// SPDX-License-Identifier: MIT
// Counts well-formed UTF-8 sequences in 256 bytes: many short branches.
#include "bench_program.h"

BENCH(utf8)
{
    u32 good = 0, bad = 0, left = 0;
    u64 points = 0;
    u32 point = 0;
    ROLLED for (u32 i = 0; i < 256; i++)
    {
        COUNTER(i);
        u8 c = p[i & 255];
        if (left != 0 && (c & 0xc0) == 0x80) {
            point = point << 6 | (c & 0x3f);
            if (--left == 0) {
                points += point;
                good++;
            }
        } else if (c < 0x80) {
            points += c;
            good++;
            left = 0;
        } else if (c >= 0xc2 && c < 0xe0) {
            point = c & 0x1f;
            left = 1;
        } else if (c >= 0xe0 && c < 0xf0) {
            point = c & 0x0f;
            left = 2;
        } else if (c >= 0xf0 && c < 0xf5) {
            point = c & 0x07;
            left = 3;
        } else {
            bad++;
            left = 0;
        }
    }
    return fold(points) ^ good << 16 ^ bad;
}
