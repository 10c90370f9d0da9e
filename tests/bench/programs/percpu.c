// SPDX-License-Identifier: MIT
// The same, per CPU, with a constant key for the total.
#include "bench_program.h"

PERCPU_ARRAY(counts, u64, 256);

BENCH(percpu)
{
    u32 found = 0, total_key = 0;
    ROLLED for (u32 i = 0; i < 32; i++)
    {
        COUNTER(i);
        u32 key = p[i & 31];
        u64 *one = PERCPU_AT(counts, &key), *total = PERCPU_AT(counts, &total_key);
        if (one != (void *)0 && total != (void *)0) {
            *one += 1;
            *total += key;
            found++;
        }
    }
    return found;
}
