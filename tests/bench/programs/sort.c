// SPDX-License-Identifier: MIT
// Insertion sort of 24 numbers on the stack.
#include "bench_program.h"

BENCH(sort)
{
    u32 numbers[32];
    u32 sum = 0;
    ROLLED for (u32 i = 0; i < 24; i++)
    {
        COUNTER(i);
        numbers[i & 31] = LOAD32(p + 512 + (i & 31) * 4);
    }
    ROLLED for (u32 i = 1; i < 24; i++)
    {
        u32 x = numbers[i & 31], j = i;
        ROLLED for (u32 turn = 0; turn < 24; turn++)
        {
            COUNTER(turn);
            if (j == 0 || numbers[(j - 1) & 31] <= x) {
                break;
            }
            numbers[j & 31] = numbers[(j - 1) & 31];
            j--;
        }
        numbers[j & 31] = x;
    }
    ROLLED for (u32 i = 0; i < 24; i++)
    {
        COUNTER(i);
        sum = sum * 33 + numbers[i & 31];
    }
    return sum;
}
