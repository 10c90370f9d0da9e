// SPDX-License-Identifier: MIT
// wait: what may block. At DISPATCH_LEVEL only a wait of length zero is allowed; a fast mutex raises to
// APC_LEVEL.
#include "tests/wine/overlay/overlay.h"

static KIRQL wait_limit(const LARGE_INTEGER *timeout)
{
    return timeout != NULL && timeout->QuadPart == 0 ? DISPATCH_LEVEL : APC_LEVEL;
}

NTSTATUS overlay_KeWaitForSingleObject(PVOID object, KWAIT_REASON reason, KPROCESSOR_MODE mode,
                                       BOOLEAN alertable, PLARGE_INTEGER timeout)
{
    overlay_require_irql(wait_limit(timeout), "KeWaitForSingleObject", CALLER);
    return KeWaitForSingleObject(object, reason, mode, alertable, timeout);
}

NTSTATUS overlay_KeWaitForMutexObject(PVOID object, KWAIT_REASON reason, KPROCESSOR_MODE mode,
                                      BOOLEAN alertable, PLARGE_INTEGER timeout)
{
    overlay_require_irql(wait_limit(timeout), "KeWaitForMutexObject", CALLER);
    return KeWaitForSingleObject(object, reason, mode, alertable, timeout);
}

NTSTATUS overlay_KeWaitForMultipleObjects(ULONG count, PVOID objects[], WAIT_TYPE type, KWAIT_REASON reason,
                                          KPROCESSOR_MODE mode, BOOLEAN alertable, PLARGE_INTEGER timeout,
                                          PKWAIT_BLOCK blocks)
{
    overlay_require_irql(wait_limit(timeout), "KeWaitForMultipleObjects", CALLER);
    return KeWaitForMultipleObjects(count, objects, type, reason, mode, alertable, timeout, blocks);
}

NTSTATUS overlay_KeDelayExecutionThread(KPROCESSOR_MODE mode, BOOLEAN alertable, PLARGE_INTEGER interval)
{
    overlay_require_irql(APC_LEVEL, "KeDelayExecutionThread", CALLER);
    return KeDelayExecutionThread(mode, alertable, interval);
}

// --- fast mutexes: the level that was, is in the mutex ---

void overlay_ExAcquireFastMutex(PFAST_MUTEX mutex)
{
    KIRQL old = overlay_thread()->irql;
    overlay_require_irql(APC_LEVEL, "ExAcquireFastMutex", CALLER);
    overlay_set_irql(APC_LEVEL, CALLER);
    ExAcquireFastMutexUnsafe(mutex);
    mutex->OldIrql = old;
}

BOOLEAN overlay_ExTryToAcquireFastMutex(PFAST_MUTEX mutex)
{
    KIRQL old = overlay_thread()->irql;
    overlay_require_irql(APC_LEVEL, "ExTryToAcquireFastMutex", CALLER);
    if (InterlockedCompareExchange(&mutex->Count, 0, 1) != 1) {
        return FALSE;
    }
    mutex->Owner = KeGetCurrentThread();
    overlay_set_irql(APC_LEVEL, CALLER);
    mutex->OldIrql = old;
    return TRUE;
}

void overlay_ExReleaseFastMutex(PFAST_MUTEX mutex)
{
    KIRQL old = (KIRQL)mutex->OldIrql;
    if (overlay_thread()->irql != APC_LEVEL) {
        overlay_bugcheck("IRQL_UNEXPECTED_VALUE", CALLER, "ExReleaseFastMutex at level %u",
                         overlay_thread()->irql);
    }
    ExReleaseFastMutexUnsafe(mutex);
    overlay_set_irql(old, CALLER);
}

void overlay_ExAcquireFastMutexUnsafe(PFAST_MUTEX mutex)
{
    overlay_require_irql(APC_LEVEL, "ExAcquireFastMutexUnsafe", CALLER);
    ExAcquireFastMutexUnsafe(mutex);
}
