// SPDX-License-Identifier: MIT
// counter: statistics that many CPUs add to and somebody sums now and then. One cell, one cache line, per
// slot.
#include "runtime/runtime_int.h"

ebpf_result_t counter_init(struct counter *c)
{
    c->cells = plat_alloc(plat_cpu_count() * CACHE_LINE, POOL_TAG_OBJECT);
    return c->cells == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

void counter_fini(struct counter *c)
{
    plat_free(c->cells);
}

uint64_t counter_sum(const struct counter *c)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < plat_cpu_count(); i++) {
        sum += __atomic_load_n(&c->cells[i * COUNTER_STRIDE], __ATOMIC_RELAXED);
    }
    return sum;
}
