// SPDX-License-Identifier: MIT
// cases_level: levels, spin locks, processors, DPCs, waits, clocks.
#include "tests/wine/selftest/driver.h"

#define MS(n) (-10000ll * (n)) // relative time in 100 ns

// --- threads ---

bool run_in_threads(PKSTART_ROUTINE body, void *context, unsigned count)
{
    void *threads[8];
    unsigned made = 0;
    for (HANDLE handle; made < count && made < RTL_NUMBER_OF(threads); made++) {
        if (!NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, body, context))) {
            break;
        }
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &threads[made], NULL);
        ZwClose(handle);
    }
    for (unsigned i = 0; i < made; i++) {
        KeWaitForSingleObject(threads[i], Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(threads[i]);
    }
    return made == count;
}

bool run_in_thread(PKSTART_ROUTINE body, void *context)
{
    return run_in_threads(body, context, 1);
}

// --- levels and spin locks ---

static VOID NTAPI read_level(PVOID context)
{
    *(KIRQL *)context = KeGetCurrentIrql();
    PsTerminateSystemThread(STATUS_SUCCESS);
}

const char *case_levels_are_kept_per_thread(void)
{
    KIRQL old, other = HIGH_LEVEL;
    EXPECT(KeGetCurrentIrql() == PASSIVE_LEVEL);
    EXPECT(run_in_thread(read_level, &other));
    EXPECT(other == PASSIVE_LEVEL);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KIRQL now = KeGetCurrentIrql();
    KeLowerIrql(old);
    EXPECT(now == DISPATCH_LEVEL && old == PASSIVE_LEVEL && KeGetCurrentIrql() == PASSIVE_LEVEL);
    KeRaiseIrql(APC_LEVEL, &old);
    now = KeGetCurrentIrql();
    KeLowerIrql(old);
    EXPECT(now == APC_LEVEL);
    return NULL;
}

const char *case_spin_locks_raise(void)
{
    KSPIN_LOCK a, b;
    KIRQL old;
    KeInitializeSpinLock(&a);
    KeInitializeSpinLock(&b);
    KeAcquireSpinLock(&a, &old);
    KeAcquireSpinLockAtDpcLevel(&b);
    KIRQL inside = KeGetCurrentIrql();
    KeReleaseSpinLockFromDpcLevel(&b);
    BOOLEAN taken = KeTryToAcquireSpinLockAtDpcLevel(&b);
    KeReleaseSpinLockFromDpcLevel(&b);
    KeReleaseSpinLock(&a, old);
    EXPECT(taken && inside == DISPATCH_LEVEL && KeGetCurrentIrql() == PASSIVE_LEVEL);
    return NULL;
}

const char *case_queued_spin_locks_raise(void)
{
    KSPIN_LOCK lock;
    KLOCK_QUEUE_HANDLE handle;
    KeInitializeSpinLock(&lock);
    KeAcquireInStackQueuedSpinLock(&lock, &handle);
    KIRQL inside = KeGetCurrentIrql();
    KeReleaseInStackQueuedSpinLock(&handle);
    EXPECT(inside == DISPATCH_LEVEL && KeGetCurrentIrql() == PASSIVE_LEVEL);
    return NULL;
}

struct readers {
    volatile LONG lock;
    volatile LONG inside, together;
};

static VOID NTAPI read_together(PVOID context)
{
    struct readers *readers = context;
    KIRQL old = ExAcquireSpinLockShared(&readers->lock);
    InterlockedIncrement(&readers->inside);
    for (unsigned i = 0; i < 100000000 && readers->inside < 2; i++) {
        YieldProcessor();
    }
    InterlockedExchangeAdd(&readers->together, readers->inside >= 2);
    ExReleaseSpinLockShared(&readers->lock, old);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

const char *case_reader_spin_locks_raise(void)
{
    struct readers readers = {0};
    KIRQL old = ExAcquireSpinLockExclusive(&readers.lock), inside = KeGetCurrentIrql();
    ExReleaseSpinLockExclusive(&readers.lock, old);
    EXPECT(inside == DISPATCH_LEVEL && KeGetCurrentIrql() == PASSIVE_LEVEL);
    if (KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS) >= 2) { // both need one while they are inside
        EXPECT(run_in_threads(read_together, &readers, 2));
        EXPECT(readers.together == 2);
    }
    EXPECT(readers.lock == 0);
    return NULL;
}

static KSPIN_LOCK test_lock;

void violate_spin_lock_twice(void)
{
    KIRQL old;
    KeInitializeSpinLock(&test_lock);
    KeAcquireSpinLock(&test_lock, &old);
    KeAcquireSpinLock(&test_lock, &old);
}

void violate_spin_lock_not_held(void)
{
    KIRQL old;
    KeInitializeSpinLock(&test_lock);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeReleaseSpinLock(&test_lock, old);
}

static VOID NTAPI release_test_lock(PVOID context)
{
    KIRQL old;
    UNREFERENCED_PARAMETER(context);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeReleaseSpinLock(&test_lock, old);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

void violate_spin_lock_of_another(void)
{
    HANDLE handle;
    KIRQL old;
    KeInitializeSpinLock(&test_lock);
    PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, release_test_lock, NULL);
    KeAcquireSpinLock(&test_lock, &old);
    for (;;) {
        YieldProcessor();
    }
}

void violate_spin_lock_below_dispatch(void)
{
    KeInitializeSpinLock(&test_lock);
    KeAcquireSpinLockAtDpcLevel(&test_lock);
}

void violate_lower_while_held(void)
{
    KIRQL old;
    KeInitializeSpinLock(&test_lock);
    KeAcquireSpinLock(&test_lock, &old);
    KeLowerIrql(PASSIVE_LEVEL);
}

void violate_release_raises(void)
{
    KIRQL old;
    KeInitializeSpinLock(&test_lock);
    KeAcquireSpinLock(&test_lock, &old);
    KeReleaseSpinLock(&test_lock, DISPATCH_LEVEL + 1);
}

void violate_request_left_raised(void)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
}

// --- processors ---

#define ROUNDS 2000
static volatile LONG users[64], clashes;

static VOID NTAPI use_processors(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    for (unsigned i = 0; i < ROUNDS; i++) {
        KSPIN_LOCK lock = 0;
        KIRQL old = KeAcquireSpinLockRaiseToDpc(&lock);
        ULONG processor = KeGetCurrentProcessorNumberEx(NULL);
        LONG inside = InterlockedIncrement(&users[processor]);
        InterlockedExchangeAdd(&clashes, inside != 1 || KeGetCurrentProcessorNumberEx(NULL) != processor);
        InterlockedDecrement(&users[processor]);
        KeReleaseSpinLock(&lock, old);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

const char *case_processors_are_exclusive(void)
{
    clashes = 0;
    EXPECT(run_in_threads(use_processors, NULL, 8));
    EXPECT(clashes == 0);
    return NULL;
}

const char *case_processors_have_numbers(void)
{
    PROCESSOR_NUMBER number;
    ULONG count = KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS);
    EXPECT(count >= 1 && count == KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS));
    for (ULONG i = 0; i < count; i++) {
        EXPECT(NT_SUCCESS(KeGetProcessorNumberFromIndex(i, &number)));
        EXPECT(KeGetProcessorIndexFromNumber(&number) == i);
    }
    EXPECT(!NT_SUCCESS(KeGetProcessorNumberFromIndex(count, &number)));
    EXPECT(KeGetCurrentProcessorNumberEx(&number) < count && number.Group == 0);
    return NULL;
}

static ULONG processor_at_dispatch(void)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    ULONG processor = KeGetCurrentProcessorNumberEx(NULL);
    KeLowerIrql(old);
    return processor;
}

const char *case_affinity_chooses_the_processor(void)
{
    ULONG count = KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS);
    for (ULONG i = 0; i < count; i++) {
        KAFFINITY old = KeSetSystemAffinityThreadEx((KAFFINITY)1 << i);
        ULONG below = KeGetCurrentProcessorNumberEx(NULL), at = processor_at_dispatch();
        KeRevertToUserAffinityThreadEx(old);
        EXPECT(below == i && at == i);
    }
    return NULL;
}

// --- DPCs ---

struct seen {
    KEVENT done;
    ULONG processor;
    KIRQL irql;
    volatile LONG count;
    void *argument1, *argument2;
};

static VOID NTAPI see(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct seen *seen = context;
    UNREFERENCED_PARAMETER(dpc);
    seen->processor = KeGetCurrentProcessorNumberEx(NULL);
    seen->irql = KeGetCurrentIrql();
    seen->argument1 = argument1;
    seen->argument2 = argument2;
    InterlockedIncrement(&seen->count);
    KeSetEvent(&seen->done, IO_NO_INCREMENT, FALSE);
}

static bool wait_for(PKEVENT event)
{
    LARGE_INTEGER limit = {.QuadPart = MS(20000)};
    return KeWaitForSingleObject(event, Executive, KernelMode, FALSE, &limit) == STATUS_SUCCESS;
}

static void target(PKDPC dpc, ULONG processor)
{
    PROCESSOR_NUMBER number = {.Number = (UCHAR)processor};
    KeSetTargetProcessorDpcEx(dpc, &number);
}

const char *case_dpcs_run_where_they_are_sent(void)
{
    ULONG count = KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS);
    for (ULONG i = 0; i < count; i++) {
        struct seen seen = {0};
        KDPC dpc;
        KeInitializeEvent(&seen.done, NotificationEvent, FALSE);
        KeInitializeDpc(&dpc, see, &seen);
        target(&dpc, i);
        EXPECT(KeInsertQueueDpc(&dpc, &dpc, &seen));
        EXPECT(wait_for(&seen.done));
        KeFlushQueuedDpcs();
        EXPECT(seen.processor == i && seen.irql == DISPATCH_LEVEL && seen.count == 1);
        EXPECT(seen.argument1 == &dpc && seen.argument2 == &seen);
    }
    PROCESSOR_NUMBER absent = {.Number = (UCHAR)count};
    KDPC dpc;
    KeInitializeDpc(&dpc, see, NULL);
    EXPECT(!NT_SUCCESS(KeSetTargetProcessorDpcEx(&dpc, &absent)));
    return NULL;
}

// While this thread is at DISPATCH_LEVEL on a processor, its DPCs wait.
static bool queue_and_remove(PKDPC dpc, bool *first, bool *second)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    target(dpc, KeGetCurrentProcessorNumberEx(NULL));
    *first = KeInsertQueueDpc(dpc, NULL, NULL);
    *second = KeInsertQueueDpc(dpc, NULL, NULL);
    bool removed = KeRemoveQueueDpc(dpc);
    KeLowerIrql(old);
    return removed;
}

const char *case_dpcs_can_be_removed(void)
{
    struct seen seen = {0};
    KDPC dpc;
    bool first, second;
    KeInitializeEvent(&seen.done, NotificationEvent, FALSE);
    KeInitializeDpc(&dpc, see, &seen);
    bool removed = queue_and_remove(&dpc, &first, &second);
    KeFlushQueuedDpcs();
    EXPECT(first && !second && removed && seen.count == 0);
    EXPECT(!KeRemoveQueueDpc(&dpc));
    return NULL;
}

const char *case_dpcs_wait_for_their_processor(void)
{
    struct seen seen = {0};
    KDPC dpc;
    KIRQL old;
    KeInitializeEvent(&seen.done, NotificationEvent, FALSE);
    KeInitializeDpc(&dpc, see, &seen);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    target(&dpc, KeGetCurrentProcessorNumberEx(NULL));
    KeInsertQueueDpc(&dpc, NULL, NULL);
    ULONGLONG until = KeQueryInterruptTimePrecise(&(ULONG64){0}) + 100000; // 10 ms
    while (KeQueryInterruptTimePrecise(&(ULONG64){0}) < until) {
        YieldProcessor();
    }
    LONG meanwhile = seen.count;
    KeLowerIrql(old);
    KeFlushQueuedDpcs();
    EXPECT(meanwhile == 0 && seen.count == 1);
    return NULL;
}

static volatile LONG generic_calls, generic_masters;

static VOID NTAPI count_generic(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    InterlockedIncrement(&users[KeGetCurrentProcessorNumberEx(NULL)]);
    InterlockedIncrement(&generic_calls);
    if (KeSignalCallDpcSynchronize(argument2)) {
        InterlockedExchangeAdd(&generic_masters,
                               generic_calls == (LONG)KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS));
    }
    KeSignalCallDpcDone(argument1);
}

const char *case_generic_calls_run_everywhere(void)
{
    ULONG count = KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS);
    generic_calls = generic_masters = 0;
    KeGenericCallDpc(count_generic, NULL);
    EXPECT(generic_calls == (LONG)count && generic_masters == 1);
    for (ULONG i = 0; i < count; i++) {
        EXPECT(InterlockedExchange(&users[i], 0) == 1);
    }
    return NULL;
}

const char *case_timers_call_at_dispatch(void)
{
    struct seen seen = {0};
    KDPC dpc;
    KTIMER timer;
    LARGE_INTEGER due = {.QuadPart = MS(5)};
    KeInitializeEvent(&seen.done, NotificationEvent, FALSE);
    KeInitializeDpc(&dpc, see, &seen);
    KeInitializeTimer(&timer);
    KeSetTimer(&timer, due, &dpc);
    EXPECT(wait_for(&seen.done));
    KeFlushQueuedDpcs();
    EXPECT(seen.irql == DISPATCH_LEVEL && seen.count == 1);
    return NULL;
}

static VOID NTAPI leave_locked(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(argument1);
    UNREFERENCED_PARAMETER(argument2);
    KeAcquireSpinLockAtDpcLevel(&test_lock);
}

void violate_dpc_left_locked(void)
{
    static KDPC dpc;
    KeInitializeSpinLock(&test_lock);
    KeInitializeDpc(&dpc, leave_locked, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    KeFlushQueuedDpcs();
}

// --- waits ---

const char *case_waits_of_no_length_are_allowed(void)
{
    KEVENT event;
    LARGE_INTEGER none = {.QuadPart = 0};
    KIRQL old;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    NTSTATUS before = KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &none);
    KeSetEvent(&event, IO_NO_INCREMENT, FALSE);
    NTSTATUS after = KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &none);
    KeLowerIrql(old);
    EXPECT(before == STATUS_TIMEOUT && after == STATUS_SUCCESS);
    return NULL;
}

const char *case_fast_mutexes_raise(void)
{
    FAST_MUTEX mutex;
    ExInitializeFastMutex(&mutex);
    ExAcquireFastMutex(&mutex);
    KIRQL inside = KeGetCurrentIrql();
    ExReleaseFastMutex(&mutex);
    EXPECT(inside == APC_LEVEL && KeGetCurrentIrql() == PASSIVE_LEVEL);
    EXPECT(ExTryToAcquireFastMutex(&mutex));
    inside = KeGetCurrentIrql();
    ExReleaseFastMutex(&mutex);
    EXPECT(inside == APC_LEVEL && KeGetCurrentIrql() == PASSIVE_LEVEL);
    return NULL;
}

static void raise(void)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
}

void violate_wait_at_dispatch(void)
{
    KEVENT event;
    LARGE_INTEGER little = {.QuadPart = -1};
    KeInitializeEvent(&event, NotificationEvent, TRUE);
    raise();
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &little);
}

void violate_wait_for_many_at_dispatch(void)
{
    KEVENT event;
    void *objects[] = {&event};
    KeInitializeEvent(&event, NotificationEvent, TRUE);
    raise();
    KeWaitForMultipleObjects(1, objects, WaitAny, Executive, KernelMode, FALSE, NULL, NULL);
}

void violate_delay_at_dispatch(void)
{
    LARGE_INTEGER none = {.QuadPart = 0};
    raise();
    KeDelayExecutionThread(KernelMode, FALSE, &none);
}

void violate_fast_mutex_at_dispatch(void)
{
    FAST_MUTEX mutex;
    ExInitializeFastMutex(&mutex);
    raise();
    ExAcquireFastMutex(&mutex);
}

void violate_system_call_at_dispatch(void)
{
    raise();
    ZwClose(NULL);
}

void violate_string_function_at_dispatch(void)
{
    UNICODE_STRING text = RTL_CONSTANT_STRING(L"text");
    raise();
    RtlEqualUnicodeString(&text, &text, TRUE);
}

// --- faults ---

static VOID NTAPI read_null(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    (void)*(volatile int *)(ULONG_PTR)8;
    PsTerminateSystemThread(STATUS_SUCCESS);
}

void violate_null_read(void)
{
    (void)*(volatile int *)(ULONG_PTR)8;
}

void violate_null_read_in_a_thread(void)
{
    run_in_thread(read_null, NULL);
}

// Declared, in the import library, exported by nobody under Wine: what a driver meets that relies on too new
// a Windows.
void violate_missing_function(void)
{
    KeSaveExtendedProcessorState(0, NULL);
}

void violate_stop_code(void)
{
    KeBugCheckEx(0xe2, 1, 2, 3, 4);
}

// --- clocks and rundown ---

#define TICKS 1000000 // 100 ms: what is not precise is some ticks late

const char *case_clocks_advance(void)
{
    LARGE_INTEGER precise, coarse, pause = {.QuadPart = MS(2)};
    ULONG64 counter;
    KeQuerySystemTimePrecise(&precise);
    KeQuerySystemTime(&coarse);
    LONGLONG apart = precise.QuadPart - coarse.QuadPart;
    EXPECT(apart < 10000000 && apart > -10000000);
    ULONGLONG boot = KeQueryInterruptTimePrecise(&counter),
              awake = KeQueryUnbiasedInterruptTimePrecise(&counter);
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    EXPECT(KeQueryInterruptTimePrecise(&counter) > boot && KeQueryInterruptTime() + TICKS > boot);
    EXPECT(KeQueryUnbiasedInterruptTimePrecise(&counter) > awake &&
           KeQueryUnbiasedInterruptTime() + TICKS > awake);
    return NULL;
}

static EX_RUNDOWN_REF rundown;
static volatile LONG rundown_released;

static VOID NTAPI release_later(PVOID context)
{
    LARGE_INTEGER pause = {.QuadPart = MS(20)};
    UNREFERENCED_PARAMETER(context);
    KeDelayExecutionThread(KernelMode, FALSE, &pause);
    InterlockedIncrement(&rundown_released);
    ExReleaseRundownProtection(&rundown);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

const char *case_rundown_waits(void)
{
    HANDLE handle;
    ExInitializeRundownProtection(&rundown);
    rundown_released = 0;
    EXPECT(ExAcquireRundownProtection(&rundown));
    EXPECT(
        NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, release_later, NULL)));
    ZwClose(handle);
    ExWaitForRundownProtectionRelease(&rundown);
    EXPECT(rundown_released == 1);
    EXPECT(!ExAcquireRundownProtection(&rundown));
    return NULL;
}

void violate_rundown_released_twice(void)
{
    ExInitializeRundownProtection(&rundown);
    ExAcquireRundownProtection(&rundown);
    ExReleaseRundownProtection(&rundown);
    ExReleaseRundownProtection(&rundown);
}
