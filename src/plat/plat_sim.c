// SPDX-License-Identifier: MIT
// plat_sim: the simulator of user builds: one IRQL per thread, an allocation counter, and one allocation on
// purpose that fails. Counters are of the whole process and only ever approximate while threads run.
#include <stdio.h>
#include <stdlib.h>

#include "plat/plat_int.h"

static uint64_t alloc_count, live_count;
static uint64_t fail_countdown; // 0: off
static void (*violation_handler)(const char *text);
static PLAT_THREAD_LOCAL enum plat_irql irql;

// --- allocations ---------------------------------------------------------------------------------

bool sim_admit_alloc(void)
{
    uint64_t left = __atomic_load_n(&fail_countdown, __ATOMIC_RELAXED);
    while (left != 0) {
        if (__atomic_compare_exchange_n(&fail_countdown, &left, left - 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            return left != 1;
        }
    }
    return true;
}

void sim_count_alloc(void)
{
    __atomic_fetch_add(&alloc_count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&live_count, 1, __ATOMIC_RELAXED);
}

void sim_count_free(void)
{
    __atomic_fetch_sub(&live_count, 1, __ATOMIC_RELAXED);
}

void plat_sim_fail_alloc(uint64_t nth)
{
    __atomic_store_n(&fail_countdown, nth, __ATOMIC_RELAXED);
}

bool plat_sim_fail_pending(void)
{
    return __atomic_load_n(&fail_countdown, __ATOMIC_RELAXED) != 0;
}

uint64_t plat_sim_alloc_count(void)
{
    return __atomic_load_n(&alloc_count, __ATOMIC_RELAXED);
}

uint64_t plat_sim_live_count(void)
{
    return __atomic_load_n(&live_count, __ATOMIC_RELAXED);
}

// --- IRQL ----------------------------------------------------------------------------------------

static void report(const char *text)
{
    if (violation_handler != NULL) {
        violation_handler(text);
        return;
    }
    fprintf(stderr, "%s\n", text);
    abort();
}

void plat_sim_on_violation(void (*handler)(const char *text))
{
    violation_handler = handler;
}

enum plat_irql plat_irql(void)
{
    return irql;
}

void plat_sim_check_irql(enum plat_irql max, const char *what)
{
    char text[160];
    if (irql > max) {
        snprintf(text, sizeof(text), "%s called at IRQL %d; the highest allowed is %d", what, (int)irql,
                 (int)max);
        report(text);
    }
}

void plat_sim_raise(enum plat_irql level, enum plat_irql *old)
{
    *old = irql;
    if (level < irql) {
        report("IRQL cannot be raised to a lower level");
        return;
    }
    irql = level;
}

void plat_sim_lower(enum plat_irql old)
{
    irql = old;
}
