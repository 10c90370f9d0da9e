// SPDX-License-Identifier: MIT
// Counts 64 bytes by value in an array, as monitoring programs do.
#include "bench_program.h"

struct counter {
    u64 packets, bytes;
};
ARRAY(counters, struct counter, 256);

BENCH(counters)
{
    u32 found = 0;
    ROLLED for (u32 i = 0; i < 64; i++)
    {
        COUNTER(i);
        u32 key = p[i & 63];
        struct counter *c = ARRAY_AT(counters, &key);
        if (c != (void *)0) {
            c->packets++;
            c->bytes += i;
            found++;
        }
    }
    return found;
}
