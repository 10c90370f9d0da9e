// SPDX-License-Identifier: MIT
// plat_sim: the simulator: IRQL contracts checked against the level that the system file keeps (a simulated
// one in user mode, the real one in a Debug driver), an allocation counter, and one allocation on purpose
// that fails. Counters are of the whole process or driver and only ever approximate while threads run.
#include "plat/plat_int.h"

static uint64_t alloc_count, live_count;
static uint64_t fail_countdown; // 0: off
static void (*violation_handler)(const char *text);
static uint64_t violation_count;

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
    void (*handler)(const char *) = __atomic_load_n(&violation_handler, __ATOMIC_RELAXED);
    __atomic_fetch_add(&violation_count, 1, __ATOMIC_RELAXED);
    if (handler == NULL) {
        raw_die(text);
    }
    handler(text);
}

void plat_sim_on_violation(void (*handler)(const char *text))
{
    __atomic_store_n(&violation_handler, handler, __ATOMIC_RELAXED);
}

uint64_t plat_sim_violation_count(void)
{
    return __atomic_load_n(&violation_count, __ATOMIC_RELAXED);
}

void plat_sim_check_irql(enum plat_irql max, const char *what)
{
    char text[160];
    enum plat_irql irql = raw_irql();
    if (irql > max) {
        str_format(text, sizeof(text), "%s called at IRQL %d; the highest allowed is %d", what, (int)irql,
                   (int)max);
        report(text);
    }
}

void plat_sim_raise(enum plat_irql level, enum plat_irql *old)
{
    *old = raw_irql();
    if (level < *old) {
        report("IRQL cannot be raised to a lower level");
        return;
    }
    raw_set_irql(level);
}

void plat_sim_lower(enum plat_irql old)
{
    raw_set_irql(old);
}
