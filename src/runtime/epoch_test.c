// SPDX-License-Identifier: MIT
// Tests of the epoch: nothing is freed under a reader, everything is afterwards.
#include "runtime/fixture.h"

struct thing {
    struct epoch_item item;
    uint32_t *freed;
};

static void free_thing(struct epoch_item *item)
{
    struct thing *t = CONTAINER_OF(item, struct thing, item);
    __atomic_fetch_add(t->freed, 1, __ATOMIC_RELAXED);
    plat_free(t);
}

static void retire_thing(struct runtime *rt, uint32_t *freed)
{
    struct thing *t = plat_alloc(sizeof(*t), POOL_TAG_TEST);
    REQUIRE(t != NULL);
    t->freed = freed;
    epoch_enter(rt);
    epoch_retire(rt, &t->item, sizeof(*t), free_thing);
    epoch_exit(rt);
}

static void synchronize_frees(void)
{
    struct fixture f;
    uint32_t freed = 0;
    REQUIRE(fixture_open(&f));
    retire_thing(f.rt, &freed);
    CHECK_EQ(freed, 0);
    epoch_synchronize(f.rt);
    CHECK_EQ(freed, 1);
    fixture_close(&f);
}

static void exits_free_without_synchronize(void)
{
    struct fixture f;
    uint32_t freed = 0;
    REQUIRE(fixture_open(&f));
    retire_thing(f.rt, &freed);
    for (int i = 0; i < 100; i++) {
        epoch_enter(f.rt);
        epoch_exit(f.rt);
    }
    CHECK_EQ(freed, 1);
    fixture_close(&f);
}

// --- a reader on another thread ------------------------------------------------------------------

struct reader_thread {
    struct runtime *rt;
    uint32_t inside, may_leave;
};

static void hold(void *user)
{
    struct reader_thread *r = user;
    epoch_enter(r->rt);
    epoch_enter(r->rt); // nesting must not end the outer one
    epoch_exit(r->rt);
    __atomic_store_n(&r->inside, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&r->may_leave, __ATOMIC_SEQ_CST) == 0) {
    }
    epoch_exit(r->rt);
}

static void wait_until(const uint32_t *flag)
{
    while (__atomic_load_n(flag, __ATOMIC_SEQ_CST) == 0) {
        plat_yield();
    }
}

static void a_reader_blocks_reclamation(void)
{
    struct fixture f;
    struct reader_thread r = {0};
    struct plat_thread *thread;
    uint32_t freed = 0;
    if (plat_cpu_count() < 2) {
        SKIP("needs two CPU slots");
    }
    REQUIRE(fixture_open(&f));
    r.rt = f.rt;
    REQUIRE_OK(plat_thread_create(hold, &r, &thread));
    wait_until(&r.inside);
    retire_thing(f.rt, &freed);
    for (int i = 0; i < 100; i++) {
        epoch_reclaim(f.rt);
        epoch_enter(f.rt);
        epoch_exit(f.rt);
    }
    CHECK_EQ(freed, 0);
    __atomic_store_n(&r.may_leave, 1, __ATOMIC_SEQ_CST);
    epoch_synchronize(f.rt);
    CHECK_EQ(freed, 1);
    plat_thread_join(thread);
    fixture_close(&f);
}

static void waiter(void *user)
{
    struct reader_thread *r = user;
    epoch_synchronize(r->rt);
    __atomic_store_n(&r->may_leave, 1, __ATOMIC_SEQ_CST);
}

// synchronize returns only after a run that was under way has ended.
static void synchronize_waits_for_runs(void)
{
    struct fixture f;
    struct reader_thread r = {0};
    struct plat_thread *thread;
    REQUIRE(fixture_open(&f));
    r.rt = f.rt;
    epoch_enter(f.rt);
    uint32_t slot = plat_cpu_current();
    REQUIRE(f.rt->cpus[slot].entered != 0);
    plat_cpu_exit(); // keeps the epoch, gives back the right to sleep: the test plays a run that was stopped
    REQUIRE_OK(plat_thread_create(waiter, &r, &thread));
    plat_sleep_us(2000);
    CHECK_EQ(__atomic_load_n(&r.may_leave, __ATOMIC_SEQ_CST), 0);
    while (plat_cpu_enter() != slot) { // in a driver the thread may have moved
        plat_cpu_exit();
        plat_sleep_us(100);
    }
    epoch_exit(f.rt);
    plat_thread_join(thread);
    CHECK_EQ(r.may_leave, 1);
    fixture_close(&f);
}

// --- many threads --------------------------------------------------------------------------------

struct churn {
    struct runtime *rt;
    uint32_t *shared; // the value is 1 while it may be seen
    uint32_t bad;
    uint32_t freed, retired;
};

struct cell {
    struct epoch_item item;
    struct churn *owner;
    uint32_t value;
};

static void free_cell(struct epoch_item *item)
{
    struct cell *c = CONTAINER_OF(item, struct cell, item);
    __atomic_store_n(&c->value, 0, __ATOMIC_RELAXED);
    __atomic_fetch_add(&c->owner->freed, 1, __ATOMIC_RELAXED);
    plat_free(c);
}

static void swap_cells(void *user)
{
    struct churn *c = user;
    for (unsigned i = 0; i < 2000; i++) {
        struct cell *fresh = plat_alloc(sizeof(*fresh), POOL_TAG_TEST);
        uint32_t *old;
        if (fresh == NULL) {
            break;
        }
        fresh->owner = c;
        fresh->value = 1;
        epoch_enter(c->rt);
        old = __atomic_exchange_n(&c->shared, &fresh->value, __ATOMIC_SEQ_CST);
        if (old != NULL) {
            if (__atomic_load_n(old, __ATOMIC_RELAXED) != 1) {
                __atomic_fetch_add(&c->bad, 1, __ATOMIC_RELAXED);
            }
            __atomic_fetch_add(&c->retired, 1, __ATOMIC_RELAXED);
            epoch_retire(c->rt, &CONTAINER_OF(old, struct cell, value)->item, sizeof(struct cell), free_cell);
        }
        epoch_exit(c->rt);
    }
}

static void read_cells(void *user)
{
    struct churn *c = user;
    for (unsigned i = 0; i < 20000; i++) {
        const uint32_t *seen;
        epoch_enter(c->rt);
        seen = __atomic_load_n(&c->shared, __ATOMIC_SEQ_CST);
        if (seen != NULL && __atomic_load_n(seen, __ATOMIC_RELAXED) != 1) {
            __atomic_fetch_add(&c->bad, 1, __ATOMIC_RELAXED);
        }
        epoch_exit(c->rt);
    }
}

static void readers_never_see_freed_memory(void)
{
    struct fixture f;
    struct churn c = {0};
    struct plat_thread *threads[4];
    REQUIRE(fixture_open(&f));
    c.rt = f.rt;
    for (int i = 0; i < 4; i++) {
        REQUIRE_OK(plat_thread_create(i < 2 ? swap_cells : read_cells, &c, &threads[i]));
    }
    for (int i = 0; i < 4; i++) {
        plat_thread_join(threads[i]);
    }
    CHECK_EQ(c.bad, 0);
    epoch_synchronize(f.rt);
    CHECK_EQ(c.freed, c.retired);
    plat_free(CONTAINER_OF(c.shared, struct cell, value));
    fixture_close(&f);
}

TEST_SUITE(epoch)
{
    RUN(synchronize_frees);
    RUN(exits_free_without_synchronize);
    RUN(a_reader_blocks_reclamation);
    RUN(synchronize_waits_for_runs);
    RUN(readers_never_see_freed_memory);
}
