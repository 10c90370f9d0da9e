// SPDX-License-Identifier: MIT
// An 8 by 8 product of matrices of 32-bit numbers.
#include "bench_program.h"

BENCH(matrix)
{
    u32 sum = 0;
    ROLLED for (u32 i = 0; i < 8; i++)
    {
        ROLLED for (u32 j = 0; j < 8; j++)
        {
            u32 cell = 0;
            ROLLED for (u32 k = 0; k < 8; k++)
            {
                COUNTER(k);
                cell +=
                    LOAD32(p + ((i & 7) * 8 + (k & 7)) * 4) * LOAD32(p + 256 + ((k & 7) * 8 + (j & 7)) * 4);
            }
            sum = sum * 31 + cell;
        }
    }
    return sum;
}
