// SPDX-License-Identifier: MIT
// Sixteen readings of the clock; it never goes back.
#include "bench_program.h"

BENCH(clock)
{
    u64 last = 0;
    u32 good = p[0];
    ROLLED for (u32 i = 0; i < 16; i++)
    {
        COUNTER(i);
        u64 now = bpf_ktime_get_ns();
        good += now >= last ? 1 : 0;
        last = now;
    }
    return good;
}
