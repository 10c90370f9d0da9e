// SPDX-License-Identifier: MIT
// spin: every form of spin lock, with its owner. KSPIN_LOCK holds the owner's thread block while it is taken,
// so that taking it twice and releasing what another thread holds are seen; drivers may not look into it.
#include "tests/wine/overlay/overlay.h"

// A lock that nobody gives back is a deadlock, not a slow machine.
#define SPIN_LIMIT_MS 60000

static void spin(unsigned *turn, const void *caller)
{
    if (++*turn % 64 != 0) {
        host_yield();
    } else if (*turn / 64 > SPIN_LIMIT_MS) {
        overlay_bugcheck("DPC_WATCHDOG_VIOLATION", caller, "a spin lock was not released for a minute");
    } else {
        host_sleep_ms(1);
    }
}

static void require_dispatch(const char *what, const void *caller)
{
    if (overlay_thread()->irql < DISPATCH_LEVEL) {
        overlay_bugcheck("IRQL_NOT_GREATER_OR_EQUAL", caller, "%s below DISPATCH_LEVEL", what);
    }
}

// --- one owner ---

static bool try_take(PKSPIN_LOCK lock, const void *caller)
{
    struct thread_state *state = overlay_thread();
    void *owner = InterlockedCompareExchangePointer((void *volatile *)lock, state, NULL);
    if (owner == state) {
        overlay_bugcheck("SPIN_LOCK_ALREADY_OWNED", caller, "lock %p", (void *)lock);
    }
    state->spin_locks += owner == NULL;
    return owner == NULL;
}

static void take(PKSPIN_LOCK lock, const void *caller)
{
    unsigned turn = 0;
    while (!try_take(lock, caller)) {
        spin(&turn, caller);
    }
}

static void give(PKSPIN_LOCK lock, const void *caller)
{
    struct thread_state *state = overlay_thread();
    if (*(void *volatile *)lock != state) {
        overlay_bugcheck("SPIN_LOCK_NOT_OWNED", caller, "lock %p", (void *)lock);
    }
    state->spin_locks--;
    InterlockedExchangePointer((void *volatile *)lock, NULL);
}

static KIRQL raise_to_dispatch(const char *what, const void *caller)
{
    KIRQL old = overlay_thread()->irql;
    overlay_require_irql(DISPATCH_LEVEL, what, caller);
    overlay_set_irql(DISPATCH_LEVEL, caller);
    return old;
}

static void lower(KIRQL irql, const char *what, const void *caller)
{
    if (irql > overlay_thread()->irql) {
        overlay_bugcheck("IRQL_NOT_LESS_OR_EQUAL", caller, "%s raises the level to %u", what, irql);
    }
    overlay_set_irql(irql, caller);
}

void overlay_KeInitializeSpinLock(PKSPIN_LOCK lock)
{
    *lock = 0;
}

KIRQL overlay_KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK lock)
{
    KIRQL old = raise_to_dispatch("KeAcquireSpinLock", CALLER);
    take(lock, CALLER);
    return old;
}

void overlay_KeReleaseSpinLock(PKSPIN_LOCK lock, KIRQL irql)
{
    give(lock, CALLER);
    lower(irql, "KeReleaseSpinLock", CALLER);
}

void overlay_KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK lock)
{
    require_dispatch("KeAcquireSpinLockAtDpcLevel", CALLER);
    take(lock, CALLER);
}

void overlay_KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK lock)
{
    require_dispatch("KeReleaseSpinLockFromDpcLevel", CALLER);
    give(lock, CALLER);
}

BOOLEAN overlay_KeTryToAcquireSpinLockAtDpcLevel(PKSPIN_LOCK lock)
{
    require_dispatch("KeTryToAcquireSpinLockAtDpcLevel", CALLER);
    return try_take(lock, CALLER);
}

BOOLEAN overlay_KeTestSpinLock(PKSPIN_LOCK lock)
{
    return *(void *volatile *)lock == NULL;
}

// --- in-stack queued: the same lock, which remembers in the caller's block what to undo ---

void overlay_KeAcquireInStackQueuedSpinLock(PKSPIN_LOCK lock, PKLOCK_QUEUE_HANDLE handle)
{
    handle->LockQueue.Lock = lock;
    handle->OldIrql = raise_to_dispatch("KeAcquireInStackQueuedSpinLock", CALLER);
    take(lock, CALLER);
}

void overlay_KeReleaseInStackQueuedSpinLock(PKLOCK_QUEUE_HANDLE handle)
{
    give((PKSPIN_LOCK)handle->LockQueue.Lock, CALLER);
    lower(handle->OldIrql, "KeReleaseInStackQueuedSpinLock", CALLER);
}

void overlay_KeAcquireInStackQueuedSpinLockAtDpcLevel(PKSPIN_LOCK lock, PKLOCK_QUEUE_HANDLE handle)
{
    require_dispatch("KeAcquireInStackQueuedSpinLockAtDpcLevel", CALLER);
    handle->LockQueue.Lock = lock;
    take(lock, CALLER);
}

void overlay_KeReleaseInStackQueuedSpinLockFromDpcLevel(PKLOCK_QUEUE_HANDLE handle)
{
    require_dispatch("KeReleaseInStackQueuedSpinLockFromDpcLevel", CALLER);
    give((PKSPIN_LOCK)handle->LockQueue.Lock, CALLER);
}

// --- readers and writers: EX_SPIN_LOCK counts readers, or is negative for a writer ---

static void take_exclusive(volatile LONG *lock, const void *caller)
{
    unsigned turn = 0;
    while (InterlockedCompareExchange(lock, LONG_MIN, 0) != 0) {
        spin(&turn, caller);
    }
    overlay_thread()->spin_locks++;
}

static void take_shared(volatile LONG *lock, const void *caller)
{
    unsigned turn = 0;
    for (;;) {
        LONG value = *lock;
        if (value >= 0 && InterlockedCompareExchange(lock, value + 1, value) == value) {
            break;
        }
        spin(&turn, caller);
    }
    overlay_thread()->spin_locks++;
}

static void give_exclusive(volatile LONG *lock, const void *caller)
{
    if (InterlockedExchange(lock, 0) != LONG_MIN) {
        overlay_bugcheck("SPIN_LOCK_NOT_OWNED", caller, "lock %p is not held exclusively",
                         (const void *)lock);
    }
    overlay_thread()->spin_locks--;
}

static void give_shared(volatile LONG *lock, const void *caller)
{
    if (InterlockedDecrement(lock) < 0) {
        overlay_bugcheck("SPIN_LOCK_NOT_OWNED", caller, "lock %p is not held shared", (const void *)lock);
    }
    overlay_thread()->spin_locks--;
}

KIRQL overlay_ExAcquireSpinLockExclusive(volatile LONG *lock)
{
    KIRQL old = raise_to_dispatch("ExAcquireSpinLockExclusive", CALLER);
    take_exclusive(lock, CALLER);
    return old;
}

void overlay_ExReleaseSpinLockExclusive(volatile LONG *lock, KIRQL irql)
{
    give_exclusive(lock, CALLER);
    lower(irql, "ExReleaseSpinLockExclusive", CALLER);
}

KIRQL overlay_ExAcquireSpinLockShared(volatile LONG *lock)
{
    KIRQL old = raise_to_dispatch("ExAcquireSpinLockShared", CALLER);
    take_shared(lock, CALLER);
    return old;
}

void overlay_ExReleaseSpinLockShared(volatile LONG *lock, KIRQL irql)
{
    give_shared(lock, CALLER);
    lower(irql, "ExReleaseSpinLockShared", CALLER);
}

void overlay_ExAcquireSpinLockExclusiveAtDpcLevel(volatile LONG *lock)
{
    require_dispatch("ExAcquireSpinLockExclusiveAtDpcLevel", CALLER);
    take_exclusive(lock, CALLER);
}

void overlay_ExReleaseSpinLockExclusiveFromDpcLevel(volatile LONG *lock)
{
    give_exclusive(lock, CALLER);
}

void overlay_ExAcquireSpinLockSharedAtDpcLevel(volatile LONG *lock)
{
    require_dispatch("ExAcquireSpinLockSharedAtDpcLevel", CALLER);
    take_shared(lock, CALLER);
}

void overlay_ExReleaseSpinLockSharedFromDpcLevel(volatile LONG *lock)
{
    give_shared(lock, CALLER);
}

// --- the cancel lock is Wine's, which takes it itself around IoCancelIrp; here it only raises the level ---

void overlay_IoAcquireCancelSpinLock(PKIRQL irql)
{
    KIRQL old = raise_to_dispatch("IoAcquireCancelSpinLock", CALLER), wine;
    IoAcquireCancelSpinLock(&wine);
    overlay_thread()->holds_cancel_lock = true;
    overlay_thread()->spin_locks++;
    *irql = old;
}

// Inside a cancel routine Wine holds the lock for the driver, at PASSIVE_LEVEL.
void overlay_IoReleaseCancelSpinLock(KIRQL irql)
{
    struct thread_state *state = overlay_thread();
    IoReleaseCancelSpinLock(irql);
    if (state->holds_cancel_lock) {
        state->holds_cancel_lock = false;
        state->spin_locks--;
        lower(irql, "IoReleaseCancelSpinLock", CALLER);
    }
}
