// SPDX-License-Identifier: MIT
// rundown: EX_RUNDOWN_REF. Bit 0: run down; the rest counts holders, twice. Waiting polls: it is rare.
#include "tests/wine/overlay/overlay.h"

#define RUN_DOWN   1
#define ONE_HOLDER 2

static volatile LONG64 *word_of(PEX_RUNDOWN_REF reference)
{
    return (volatile LONG64 *)&reference->Count;
}

void overlay_ExInitializeRundownProtection(PEX_RUNDOWN_REF reference)
{
    InterlockedExchange64(word_of(reference), 0);
}

void overlay_ExReInitializeRundownProtection(PEX_RUNDOWN_REF reference)
{
    InterlockedExchange64(word_of(reference), 0);
}

BOOLEAN overlay_ExAcquireRundownProtectionEx(PEX_RUNDOWN_REF reference, ULONG count)
{
    for (;;) {
        LONG64 value = *word_of(reference), more = value + (LONG64)ONE_HOLDER * count;
        if ((value & RUN_DOWN) != 0) {
            return FALSE;
        }
        if (InterlockedCompareExchange64(word_of(reference), more, value) == value) {
            return TRUE;
        }
    }
}

BOOLEAN overlay_ExAcquireRundownProtection(PEX_RUNDOWN_REF reference)
{
    return overlay_ExAcquireRundownProtectionEx(reference, 1);
}

static void release(PEX_RUNDOWN_REF reference, ULONG count, const void *caller)
{
    LONG64 value = InterlockedExchangeAdd64(word_of(reference), -(LONG64)ONE_HOLDER * count);
    if (value < (LONG64)ONE_HOLDER * count) {
        overlay_bugcheck("RUNDOWN_PROTECTION", caller, "reference %p released more often than acquired",
                         (void *)reference);
    }
}

void overlay_ExReleaseRundownProtectionEx(PEX_RUNDOWN_REF reference, ULONG count)
{
    release(reference, count, CALLER);
}

void overlay_ExReleaseRundownProtection(PEX_RUNDOWN_REF reference)
{
    release(reference, 1, CALLER);
}

void overlay_ExWaitForRundownProtectionRelease(PEX_RUNDOWN_REF reference)
{
    overlay_require_irql(APC_LEVEL, "ExWaitForRundownProtectionRelease", CALLER);
    InterlockedOr64(word_of(reference), RUN_DOWN);
    while (*word_of(reference) != RUN_DOWN) {
        host_sleep_ms(1);
    }
}

void overlay_ExRundownCompleted(PEX_RUNDOWN_REF reference)
{
    InterlockedExchange64(word_of(reference), RUN_DOWN);
}
