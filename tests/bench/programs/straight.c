// SPDX-License-Identifier: MIT
// Some 5,000 instructions without loops: what large programs are like. Few values are wanted again soon.
#include "bench_program.h"

// Steps stay apart: otherwise all loads come first, and nothing fits the stack.
#define KEEP_ORDER __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d) : : "memory");
#define STEP(n)                                                                                              \
    x = LOAD64(p + ((n) * 8 & 1016));                                                                        \
    a += x ^ (b >> ((n) % 31 + 1));                                                                          \
    if ((x & 0xff) < (n) % 200) {                                                                            \
        b = b * 5 + (a & 0xffff) + (n);                                                                      \
    } else {                                                                                                 \
        c ^= (a << ((n) % 7 + 1)) + x;                                                                       \
    }                                                                                                        \
    d = (d >> 3 | d << 61) + (u32)c;                                                                         \
    KEEP_ORDER
#define STEP4(n)  STEP(n) STEP((n) + 1) STEP((n) + 2) STEP((n) + 3)
#define STEP16(n) STEP4(n) STEP4((n) + 4) STEP4((n) + 8) STEP4((n) + 12)
#define STEP64(n) STEP16(n) STEP16((n) + 16) STEP16((n) + 32) STEP16((n) + 48)

BENCH(straight)
{
    u64 a = 1, b = 2, c = 3, d = 4, x;
    STEP64(0) STEP16(64) STEP16(80) STEP4(96) STEP4(100) return fold(a + b + c + d);
}
