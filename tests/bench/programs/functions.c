// SPDX-License-Identifier: MIT
// Functions that are not inlined by the compiler: a small one, one with a loop, one that calls both.
#include "bench_program.h"

NOINLINE u32 step(u32 x, u32 y)
{
    return (x ^ y) * 0x9e3779b1u + (x >> 15);
}

NOINLINE u32 stir(u32 x, u32 turns)
{
    ROLLED for (u32 i = 0; i < 8; i++)
    {
        COUNTER(i);
        if (i >= turns) {
            break;
        }
        x = step(x, i) ^ x << 3;
    }
    return x;
}

NOINLINE u32 both(u32 x, u32 y)
{
    return step(stir(x, y & 7), stir(y, x & 7));
}

BENCH(functions)
{
    u32 x = 1;
    ROLLED for (u32 i = 0; i < 16; i++)
    {
        COUNTER(i);
        x = both(x, LOAD32(p + (i & 15) * 4));
    }
    return x;
}
