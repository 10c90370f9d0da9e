// SPDX-License-Identifier: MIT
// Helpers without maps: CPU number and random numbers, sixteen times each. The result does not depend on
// them.
#include "bench_program.h"

BENCH(helpers)
{
    u32 sum = 0, odd = 0;
    ROLLED for (u32 i = 0; i < 16; i++)
    {
        COUNTER(i);
        odd += bpf_get_prandom_u32() & 1;
        sum += bpf_get_smp_processor_id() < 4096 ? p[i & 15] : 0;
    }
    return odd <= 16 ? sum : 0;
}
