// SPDX-License-Identifier: MIT
// plat_memory: what is the same on every platform, the kernel too: allocation that the simulator counts and
// can fail, and calls that are no more than an IRQL contract over the system's own.
#include "plat/plat_int.h"

// --- memory --------------------------------------------------------------------------------------

void *plat_alloc(size_t size, enum pool_tag tag)
{
    plat_sim_check_irql(PLAT_DISPATCH, "plat_alloc");
    if (!sim_admit_alloc()) {
        return NULL;
    }
    void *ptr = raw_alloc(size, size >= PLAT_PAGE_SIZE ? 64 : 16, tag);
    if (ptr != NULL) {
        sim_count_alloc();
    }
    return ptr;
}

void plat_free(void *ptr)
{
    plat_sim_check_irql(PLAT_DISPATCH, "plat_free");
    if (ptr != NULL) {
        sim_count_free();
        raw_free(ptr);
    }
}

void *plat_alloc_pages(size_t size, enum pool_tag tag)
{
    size_t whole = (size_t)align_up(size, PLAT_PAGE_SIZE);
    plat_sim_check_irql(PLAT_PASSIVE, "plat_alloc_pages");
    if (whole < size || !sim_admit_alloc()) {
        return NULL;
    }
    void *ptr = raw_alloc_pages(whole, tag);
    if (ptr != NULL) {
        sim_count_alloc();
    }
    return ptr;
}

void plat_free_pages(void *ptr, size_t size)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_free_pages");
    sim_count_free();
    raw_free_pages(ptr, (size_t)align_up(size, PLAT_PAGE_SIZE));
}

static void *source_alloc(void *user, size_t size)
{
    UNUSED(user);
    return plat_alloc(size, POOL_TAG_ARENA);
}

static void source_free(void *user, void *ptr)
{
    UNUSED(user);
    plat_free(ptr);
}

const struct mem_source *plat_mem_source(void)
{
    static const struct mem_source source = {source_alloc, source_free, NULL};
    return &source;
}

// --- small calls ---------------------------------------------------------------------------------

void plat_yield(void)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_yield");
    raw_yield();
}

void plat_sleep_us(uint32_t microseconds)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_sleep_us");
    raw_sleep_us(microseconds);
}
