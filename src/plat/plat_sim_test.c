// SPDX-License-Identifier: MIT
// Tests of the simulator: what it must notice, and what it must fail.
#include "plat/plat.h"
#include "tests/test.h"

static unsigned violations;

static void count_violation(const char *text)
{
    UNUSED(text);
    violations++;
}

static void fails_the_nth_allocation(void)
{
    void *first, *second, *third;
    plat_sim_fail_alloc(2);
    first = plat_alloc(10, POOL_TAG_TEST);
    CHECK(plat_sim_fail_pending());
    second = plat_alloc(10, POOL_TAG_TEST);
    CHECK(!plat_sim_fail_pending());
    third = plat_alloc(10, POOL_TAG_TEST);
    CHECK(first != NULL);
    CHECK(second == NULL);
    CHECK(third != NULL);
    plat_free(first);
    plat_free(third);
    plat_sim_fail_alloc(1);
    CHECK(plat_alloc_pages(10, POOL_TAG_TEST) == NULL);
    plat_sim_fail_alloc(1);
    plat_sim_fail_alloc(0);
    first = plat_alloc(10, POOL_TAG_TEST);
    CHECK(first != NULL);
    plat_free(first);
}

static void counts_what_lives(void)
{
    uint64_t made = plat_sim_alloc_count(), live = plat_sim_live_count();
    void *ptr = plat_alloc(10, POOL_TAG_TEST), *pages = plat_alloc_pages(10, POOL_TAG_TEST);
    const struct mem_source *source = plat_mem_source();
    void *chunk = source->alloc(source->user, 100);
    REQUIRE(ptr != NULL && pages != NULL && chunk != NULL);
    CHECK_EQ(plat_sim_alloc_count(), made + 3);
    CHECK_EQ(plat_sim_live_count(), live + 3);
    source->free(source->user, chunk);
    plat_free_pages(pages, 10);
    plat_free(ptr);
    CHECK_EQ(plat_sim_live_count(), live);
}

// A spin lock raises, a contract above which it does is broken, and the level comes back.
static void contracts_under_a_spin_lock(void)
{
    struct plat_spinlock lock;
    uint64_t before = plat_sim_violation_count();
    plat_spinlock_init(&lock);
    violations = 0;
    plat_sim_on_violation(count_violation);
    plat_spinlock_acquire(&lock);
    CHECK_EQ(plat_irql(), PLAT_DISPATCH);
    plat_sim_check_irql(PLAT_DISPATCH, "test");
    plat_free(plat_alloc(8, POOL_TAG_TEST));
    CHECK_EQ(violations, 0);
    plat_sim_check_irql(PLAT_APC, "test");
    plat_sim_check_irql(PLAT_PASSIVE, "test");
    CHECK_EQ(violations, 2);
    plat_spinlock_release(&lock);
    CHECK_EQ(plat_irql(), PLAT_PASSIVE);
    plat_sim_check_irql(PLAT_PASSIVE, "test");
    CHECK_EQ(violations, 2);
    CHECK_EQ(plat_sim_violation_count(), before + 2);
    plat_sim_on_violation(NULL);
}

#if !defined(_KERNEL_MODE) // where a call that sleeps at DISPATCH is the end, however well it was noticed
static void passive_calls_under_a_spin_lock(void)
{
    struct plat_spinlock lock;
    struct plat_mutex mutex;
    plat_spinlock_init(&lock);
    plat_mutex_init(&mutex);
    violations = 0;
    plat_sim_on_violation(count_violation);
    plat_spinlock_acquire(&lock);
    plat_yield();
    CHECK_EQ(violations, 1);
    plat_mutex_acquire(&mutex);
    CHECK_EQ(violations, 2);
    plat_mutex_release(&mutex);
    void *pages = plat_alloc_pages(8, POOL_TAG_TEST);
    CHECK_EQ(violations, 4);
    plat_spinlock_release(&lock);
    CHECK_EQ(plat_irql(), PLAT_PASSIVE);
    plat_free_pages(pages, 8);
    CHECK_EQ(violations, 4);
    plat_sim_on_violation(NULL);
    plat_mutex_fini(&mutex);
}
#endif

static void raising_downwards_is_noticed(void)
{
    enum plat_irql outer, inner;
    violations = 0;
    plat_sim_on_violation(count_violation);
    plat_sim_raise(PLAT_DISPATCH, &outer);
    plat_sim_raise(PLAT_APC, &inner);
    CHECK_EQ(violations, 1);
    CHECK_EQ(plat_irql(), PLAT_DISPATCH);
    plat_sim_lower(inner);
    plat_sim_lower(outer);
    CHECK_EQ(plat_irql(), PLAT_PASSIVE);
    plat_sim_on_violation(NULL);
}

TEST_SUITE(plat_sim)
{
    REQUIRE_OK(plat_init());
    RUN(fails_the_nth_allocation);
    RUN(counts_what_lives);
    RUN(contracts_under_a_spin_lock);
#if !defined(_KERNEL_MODE)
    RUN(passive_calls_under_a_spin_lock);
#endif
    RUN(raising_downwards_is_noticed);
    plat_fini();
}
