// SPDX-License-Identifier: MIT
// A small firewall: settings in an array, blocked addresses in a hash table, verdicts counted per CPU.
#include "bench_program.h"

struct settings {
    u32 mask, limit;
};
ARRAY(config, struct settings, 1);
HASH(blocked, u32, u32, 256);
PERCPU_ARRAY(verdicts, u64, 4);

INLINE u32 decide(const u8 *packet, const struct settings *s)
{
    u32 address = LOAD32(packet + 26) & (s->mask | 0xffffff);
    if (LOAD16(packet + 12) == 0x0608) {
        return 1;
    }
    if (HASH_AT(blocked, &address) != (void *)0) {
        return 0;
    }
    return packet[22] <= s->limit ? 2 : 3;
}

BENCH(policy)
{
    u32 zero = 0, sum = 0;
    const struct settings *s = ARRAY_AT(config, &zero);
    if (s == (void *)0) {
        return 0;
    }
    ROLLED for (u32 i = 0; i < 16; i++)
    {
        COUNTER(i);
        u32 verdict = decide(p + (i & 15) * 48, s);
        u64 *count = PERCPU_AT(verdicts, &verdict);
        if (count != (void *)0) {
            *count += 1;
        }
        sum = sum * 5 + verdict;
    }
    return sum;
}
