// SPDX-License-Identifier: MIT
// plat_user: the part of the platform that is the same on every user-mode system: spin locks, the CPU slots,
// and the IRQL that the simulator plays. Invariant: a thread with slot depth 0 holds no slot and runs at the
// IRQL that it had before.
#include <stdio.h>
#include <stdlib.h>

#include "plat/plat_int.h"

#define SPINS_BEFORE_YIELD 64u
#define YIELDS_BEFORE_NAP  64u
#define NAP_US             50u

// --- bring-up ------------------------------------------------------------------------------------

// One slot per cache line pair, so that claiming one does not disturb its neighbour.
struct cpu_slot {
    uint32_t held;
    uint8_t pad[124];
};

static struct cpu_slot *slots;
static uint32_t slot_count;
static uint32_t init_count; // guarded by init_lock
static struct plat_spinlock init_lock;

struct slot_claim {
    uint32_t depth;
    uint32_t slot; // held while depth > 0; otherwise the one to try first
    bool known;    // `slot` was set at least once
    enum plat_irql old_irql;
};
static PLAT_THREAD_LOCAL struct slot_claim claim;
static PLAT_THREAD_LOCAL uint32_t random_state;

static ebpf_result_t bring_up(void)
{
    TRY(raw_init());
    slot_count = raw_cpu_count();
    slots = raw_alloc(slot_count * sizeof(*slots), 64, POOL_TAG_EPOCH);
    return slots == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

ebpf_result_t plat_init(void)
{
    ebpf_result_t result = EBPF_SUCCESS;
    plat_sim_check_irql(PLAT_PASSIVE, "plat_init");
    plat_spinlock_acquire(&init_lock);
    if (init_count == 0) {
        result = bring_up();
    }
    if (result == EBPF_SUCCESS) {
        init_count++;
    }
    plat_spinlock_release(&init_lock);
    return result;
}

void plat_fini(void)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_fini");
    plat_spinlock_acquire(&init_lock);
    if (--init_count == 0) {
        raw_free(slots);
        slots = NULL;
    }
    plat_spinlock_release(&init_lock);
}

// --- spin lock: test, test-and-set, back off -----------------------------------------------------

// state[0]: 1 while held; state[1]: the holder's IRQL before.

static void back_off(uint32_t *round)
{
    (*round)++;
    if (*round < SPINS_BEFORE_YIELD) {
        return;
    }
    if (*round < SPINS_BEFORE_YIELD + YIELDS_BEFORE_NAP) {
        raw_yield();
    } else {
        raw_sleep_us(NAP_US);
    }
}

void plat_spinlock_init(struct plat_spinlock *lock)
{
    lock->state[0] = lock->state[1] = 0;
}

void plat_spinlock_acquire(struct plat_spinlock *lock)
{
    enum plat_irql old;
    uint32_t round = 0;
    plat_sim_raise(PLAT_DISPATCH, &old);
    while (__atomic_exchange_n(&lock->state[0], 1, __ATOMIC_ACQUIRE) != 0) {
        while (__atomic_load_n(&lock->state[0], __ATOMIC_RELAXED) != 0) {
            back_off(&round);
        }
    }
    lock->state[1] = (uint64_t)old;
}

void plat_spinlock_release(struct plat_spinlock *lock)
{
    enum plat_irql old = (enum plat_irql)lock->state[1];
    __atomic_store_n(&lock->state[0], 0, __ATOMIC_RELEASE);
    plat_sim_lower(old);
}

// --- CPU slots -----------------------------------------------------------------------------------

uint32_t plat_cpu_count(void)
{
    return slot_count;
}

static bool try_slot(uint32_t slot)
{
    return __atomic_load_n(&slots[slot].held, __ATOMIC_RELAXED) == 0 &&
           __atomic_exchange_n(&slots[slot].held, 1, __ATOMIC_ACQUIRE) == 0;
}

// The slot used last keeps its lines in this CPU's cache, so it is tried first.
static uint32_t claim_slot(uint32_t first)
{
    uint32_t round = 0;
    for (;;) {
        for (uint32_t i = 0; i < slot_count; i++) {
            uint32_t slot = (first + i) % slot_count;
            if (try_slot(slot)) {
                return slot;
            }
        }
        back_off(&round);
    }
}

static uint32_t first_slot(void)
{
    static uint32_t next;
    if (!claim.known) {
        claim.known = true;
        claim.slot = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % slot_count;
    }
    return claim.slot;
}

uint32_t plat_cpu_enter(void)
{
    if (claim.depth++ == 0) {
        claim.slot = claim_slot(first_slot());
        plat_sim_raise(PLAT_DISPATCH, &claim.old_irql);
    }
    return claim.slot;
}

void plat_cpu_exit(void)
{
    if (--claim.depth == 0) {
        __atomic_store_n(&slots[claim.slot].held, 0, __ATOMIC_RELEASE);
        plat_sim_lower(claim.old_irql);
    }
}

uint32_t plat_cpu_current(void)
{
    return claim.depth > 0 ? claim.slot : UINT32_MAX;
}

// --- shared memory: our own view is one like any other -------------------------------------------

void *raw_shared_hold(intptr_t handle, size_t size)
{
    return raw_shared_map(handle, size, true);
}

void raw_shared_drop(intptr_t handle, void *view, size_t size)
{
    UNUSED(handle);
    raw_shared_unmap(view, size);
}

// --- IRQL and randomness -------------------------------------------------------------------------

PLAT_THREAD_LOCAL enum plat_irql user_irql;

enum plat_irql plat_irql(void)
{
    return user_irql;
}

void raw_die(const char *text)
{
    fprintf(stderr, "%s\n", text);
    abort();
}

// xorshift32 (Marsaglia 2003), one state per thread.
uint32_t plat_random_u32(void)
{
    uint32_t x = random_state;
    if (x == 0) {
        x = (uint32_t)(plat_time_ns() ^ (uintptr_t)&random_state) | 1u;
    }
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    random_state = x;
    return x;
}
