// SPDX-License-Identifier: MIT
// driver: the overlay's test driver from within.
#pragma once

#include <ntifs.h>
#include <stdbool.h>

#include "tests/wine/selftest/facts.h"

#define TAG 0x74736554 // 'Test'

// Returns the text of the first condition that does not hold.
#define STRING_OF(x) #x
#define LINE_OF(x)   STRING_OF(x)
#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            return LINE_OF(__LINE__) ": " #condition;                                                        \
        }                                                                                                    \
    } while (0)

// POOL_FLAG_*: Microsoft's documentation of ExAllocatePool2; not in the headers.
#define POOL_FLAG_UNINITIALIZED 0x02ull
#define POOL_FLAG_CACHE_ALIGNED 0x08ull
#define POOL_FLAG_NON_PAGED     0x40ull
#define POOL_FLAG_PAGED         0x100ull
NTKERNELAPI PVOID NTAPI ExAllocatePool2(ULONG64 flags, SIZE_T size, ULONG tag);
NTKERNELAPI VOID NTAPI KeQuerySystemTimePrecise(PLARGE_INTEGER time);
NTKERNELAPI ULONGLONG NTAPI KeQueryInterruptTimePrecise(PULONG64 counter);
NTKERNELAPI ULONGLONG NTAPI KeQueryUnbiasedInterruptTimePrecise(PULONG64 counter);
NTKERNELAPI VOID NTAPI KeGenericCallDpc(PKDEFERRED_ROUTINE routine, PVOID context);
NTKERNELAPI VOID NTAPI KeSignalCallDpcDone(PVOID argument1);
NTKERNELAPI LOGICAL NTAPI KeSignalCallDpcSynchronize(PVOID argument2);
NTKERNELAPI KIRQL NTAPI ExAcquireSpinLockExclusive(volatile LONG *lock);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockExclusive(volatile LONG *lock, KIRQL irql);
NTKERNELAPI KIRQL NTAPI ExAcquireSpinLockShared(volatile LONG *lock);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockShared(volatile LONG *lock, KIRQL irql);
NTKERNELAPI KPROCESSOR_MODE NTAPI ExGetPreviousMode(VOID);
NTKERNELAPI NTSTATUS NTAPI MmMapViewInSystemSpace(PVOID section, PVOID *base, PSIZE_T size);
NTKERNELAPI NTSTATUS NTAPI MmUnmapViewInSystemSpace(PVOID base);

// cases_*.c, named by cases.def.
#define CASE(name)                  const char *case_##name(void);
#define VIOLATION(name, code, when) void violate_##name(void);
#include "tests/wine/selftest/cases.def"
#undef CASE
#undef VIOLATION

// Runs a body in a system thread and waits for its end. False: no thread.
bool run_in_thread(PKSTART_ROUTINE body, void *context);
// Runs it in `count` threads at once (at most 8).
bool run_in_threads(PKSTART_ROUTINE body, void *context, unsigned count);
// A section of one page, as an object; NULL when there is none. ObDereferenceObject frees it.
void *make_section(void);
// Pages of their own, to be freed with free_pages; NULL when there are none.
PMDL make_pages(SIZE_T size);
void free_pages(PMDL mdl);
