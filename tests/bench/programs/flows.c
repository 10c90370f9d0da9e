// SPDX-License-Identifier: MIT
// A table of flows: 16 keys of 8 bytes, looked up, made when they are missing, and counted.
#include "bench_program.h"

struct flow {
    u32 source, target;
};
struct state {
    u64 packets, bytes;
};
HASH(flows, struct flow, struct state, 1024);

BENCH(flows)
{
    u32 seen = 0;
    ROLLED for (u32 i = 0; i < 16; i++)
    {
        COUNTER(i);
        struct flow key = {LOAD32(p + (i & 15) * 8), LOAD32(p + (i & 15) * 8 + 4)};
        struct state *s = HASH_AT(flows, &key);
        if (s == (void *)0) {
            struct state fresh = {0, 0};
            HASH_SET(flows, &key, &fresh);
            s = HASH_AT(flows, &key);
        }
        if (s != (void *)0) {
            s->packets++;
            s->bytes += p[i & 15];
            seen++;
        }
    }
    return seen;
}
