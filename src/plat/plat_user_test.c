// SPDX-License-Identifier: MIT
// Tests of the promises of plat.h, in user mode and inside a driver.
#include "plat/plat.h"
#include "tests/test.h"

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void alloc_zeroes_and_aligns(void)
{
    static const size_t sizes[] = {1, 15, 16, 100, 4095, 4096, 70000};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint8_t *ptr = plat_alloc(sizes[i], POOL_TAG_TEST);
        REQUIRE(ptr != NULL);
        CHECK(is_zero(ptr, sizes[i]));
        CHECK_EQ((uintptr_t)ptr % (sizes[i] >= 4096 ? 64 : 16), 0);
        memset(ptr, 0xa5, sizes[i]);
        plat_free(ptr);
    }
    plat_free(NULL);
}

static void alloc_refuses_absurd_sizes(void)
{
    uint64_t live = plat_sim_live_count();
    volatile size_t absurd = SIZE_MAX / 2; // volatile: compilers warn about a constant
    CHECK(plat_alloc_pages(SIZE_MAX - 10, POOL_TAG_TEST) == NULL);
    CHECK(plat_alloc_pages(absurd, POOL_TAG_TEST) == NULL);
    CHECK_EQ(plat_sim_live_count(), live);
}

static void pages_are_aligned(void)
{
    uint8_t *ptr = plat_alloc_pages(5000, POOL_TAG_TEST);
    REQUIRE(ptr != NULL);
    CHECK_EQ((uintptr_t)ptr % 4096, 0);
    CHECK(is_zero(ptr, 8192));
    ptr[8191] = 1;
    plat_free_pages(ptr, 5000);
}

static void init_counts(void)
{
    uint32_t count = plat_cpu_count();
    REQUIRE_OK(plat_init());
    CHECK_EQ(plat_cpu_count(), count);
    plat_fini();
    CHECK(plat_cpu_enter() < count); // still up
    plat_cpu_exit();
}

// --- locks ---------------------------------------------------------------------------------------

#define LOCK_ROUNDS 3000u
struct shared {
    struct plat_spinlock spin;
    struct plat_mutex mutex;
    uint32_t spin_sum, mutex_sum;
    uint32_t arrived; // threads at the start line
};

// Threads that start one after another would hardly meet.
static void wait_for_all(uint32_t *arrived, uint32_t count)
{
    __atomic_fetch_add(arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < count) {
        plat_yield();
    }
}

// Work inside a critical section: long enough that threads are also interrupted there, even on one CPU.
static void linger(void)
{
    for (volatile unsigned i = 0; i < 1500; i++) {
    }
}

static void add_one(uint32_t *sum)
{
    uint32_t old = __atomic_load_n(sum, __ATOMIC_RELAXED);
    linger();
    __atomic_store_n(sum, old + 1, __ATOMIC_RELAXED);
}

static void add_under_locks(void *user)
{
    struct shared *s = user;
    wait_for_all(&s->arrived, 4);
    for (unsigned i = 0; i < LOCK_ROUNDS; i++) {
        plat_spinlock_acquire(&s->spin);
        add_one(&s->spin_sum);
        plat_spinlock_release(&s->spin);
        plat_mutex_acquire(&s->mutex);
        add_one(&s->mutex_sum);
        plat_mutex_release(&s->mutex);
    }
}

static void locks_exclude(void)
{
    struct shared s = {0};
    struct plat_thread *threads[4];
    plat_spinlock_init(&s.spin);
    plat_mutex_init(&s.mutex);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        REQUIRE_OK(plat_thread_create(add_under_locks, &s, &threads[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        plat_thread_join(threads[i]);
    }
    CHECK_EQ(s.spin_sum, 4 * LOCK_ROUNDS);
    CHECK_EQ(s.mutex_sum, 4 * LOCK_ROUNDS);
    plat_mutex_fini(&s.mutex);
}

// --- CPU slots -----------------------------------------------------------------------------------

static void slots_nest(void)
{
    CHECK_EQ(plat_cpu_current(), UINT32_MAX);
    uint32_t slot = plat_cpu_enter();
    CHECK(slot < plat_cpu_count());
    CHECK_EQ(plat_irql(), PLAT_DISPATCH);
    CHECK_EQ(plat_cpu_enter(), slot);
    plat_cpu_exit();
    CHECK_EQ(plat_cpu_current(), slot);
    plat_cpu_exit();
    CHECK_EQ(plat_cpu_current(), UINT32_MAX);
    CHECK_EQ(plat_irql(), PLAT_PASSIVE);
}

#if !defined(_KERNEL_MODE) // where the system moves threads between CPUs as it likes
static void the_slot_used_last_is_tried_first(void)
{
    uint32_t slot = plat_cpu_enter();
    plat_cpu_exit();
    CHECK_EQ(plat_cpu_enter(), slot);
    plat_cpu_exit();
}
#endif

// More threads than slots: each slot has one owner at a time, and everybody gets a turn.
#define TURNS 5000u
struct turns {
    uint32_t *owners; // by slot
    uint32_t conflicts, taken;
    uint32_t arrived, threads;
};

static void take_turns(void *user)
{
    struct turns *t = user;
    wait_for_all(&t->arrived, t->threads);
    for (unsigned i = 0; i < TURNS; i++) {
        uint32_t slot = plat_cpu_enter();
        if (__atomic_fetch_add(&t->owners[slot], 1, __ATOMIC_SEQ_CST) != 0) {
            __atomic_fetch_add(&t->conflicts, 1, __ATOMIC_SEQ_CST);
        }
        linger();
        __atomic_fetch_add(&t->taken, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_sub(&t->owners[slot], 1, __ATOMIC_SEQ_CST);
        plat_cpu_exit();
    }
}

static void slots_have_one_owner(void)
{
    struct turns t = {0};
    struct plat_thread *threads[16];
    uint32_t count = min_u32(plat_cpu_count() * 2, ARRAY_SIZE(threads));
    t.owners = plat_alloc(plat_cpu_count() * sizeof(uint32_t), POOL_TAG_TEST);
    t.threads = count;
    REQUIRE(t.owners != NULL);
    for (uint32_t i = 0; i < count; i++) {
        REQUIRE_OK(plat_thread_create(take_turns, &t, &threads[i]));
    }
    for (uint32_t i = 0; i < count; i++) {
        plat_thread_join(threads[i]);
    }
    CHECK_EQ(t.conflicts, 0);
    CHECK_EQ(t.taken, count * TURNS);
    plat_free(t.owners);
}

// --- time and randomness -------------------------------------------------------------------------

static void time_does_not_go_back(void)
{
    uint64_t last = plat_time_ns(), last_boot = plat_boot_time_ns();
    CHECK(last != 0);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = plat_time_ns(), boot = plat_boot_time_ns();
        CHECK(now >= last);
        CHECK(boot >= last_boot);
        last = now;
        last_boot = boot;
    }
    plat_sleep_us(1000);
    CHECK(plat_time_ns() > last);
}

static void randomness_varies(void)
{
    uint8_t a[32] = {0}, b[32] = {0};
    uint32_t seen = 0;
    plat_random_bytes(a, sizeof(a));
    plat_random_bytes(b, sizeof(b));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    for (unsigned i = 0; i < 200; i++) {
        seen |= plat_random_u32();
    }
    CHECK_EQ(seen, UINT32_MAX);
}

static void pid_is_ours(void)
{
    uint64_t id = plat_pid_tgid();
    CHECK(id >> 32 != 0);
    CHECK((uint32_t)id != 0);
    CHECK_EQ(plat_pid_tgid(), id);
}

TEST_SUITE(plat_user)
{
    REQUIRE_OK(plat_init());
    RUN(alloc_zeroes_and_aligns);
    RUN(alloc_refuses_absurd_sizes);
    RUN(pages_are_aligned);
    RUN(init_counts);
    RUN(locks_exclude);
    RUN(slots_nest);
#if !defined(_KERNEL_MODE)
    RUN(the_slot_used_last_is_tried_first);
#endif
    RUN(slots_have_one_owner);
    RUN(time_does_not_go_back);
    RUN(randomness_varies);
    RUN(pid_is_ours);
    plat_fini();
}
