// SPDX-License-Identifier: MIT
// irql: the level of each thread, and virtual processors. The headers' inline functions read and write cr8,
// which user mode may not: the exception ends up here. A thread at DISPATCH_LEVEL or above holds one virtual
// processor, as on Windows, where nothing else runs on its processor; below, threads are many and processors
// are a preference.
#include "tests/wine/overlay/overlay.h"

#define YIELDS_BEFORE_SLEEP 64

static unsigned processor_count;
static struct thread_state *volatile holders[64];
static volatile LONG dpcs_waiting[64]; // threads that wait to run this processor's DPCs: they go first

static bool may_run_on(const struct thread_state *state, unsigned processor)
{
    return state->affinity == 0 || (state->affinity >> processor & 1) != 0;
}

static bool try_claim(struct thread_state *state, unsigned processor)
{
    if (!may_run_on(state, processor) || (dpcs_waiting[processor] != 0 && !state->runs_dpc) ||
        InterlockedCompareExchangePointer((void *volatile *)&holders[processor], state, NULL) != NULL) {
        return false;
    }
    state->processor = processor;
    state->holds_processor = true;
    return true;
}

// The last one first: a thread that comes back finds what it left per processor.
static bool try_claim_any(struct thread_state *state)
{
    if (try_claim(state, state->processor)) {
        return true;
    }
    for (unsigned i = 0; i < processor_count; i++) {
        if (try_claim(state, i)) {
            return true;
        }
    }
    return false;
}

static void wait_a_little(unsigned *turn)
{
    if (++*turn % YIELDS_BEFORE_SLEEP == 0) {
        host_sleep_ms(1);
    } else {
        host_yield();
    }
}

static void release_processor(struct thread_state *state)
{
    state->holds_processor = false;
    InterlockedExchangePointer((void *volatile *)&holders[state->processor], NULL);
}

void overlay_set_irql(KIRQL irql, const void *caller)
{
    struct thread_state *state = overlay_thread();
    unsigned turn = 0;
    if (irql > HIGH_LEVEL) {
        overlay_bugcheck("IRQL_NOT_GREATER_OR_EQUAL", caller, "there is no level %u", irql);
    }
    if (irql < DISPATCH_LEVEL && state->spin_locks != 0) {
        overlay_bugcheck("IRQL_NOT_GREATER_OR_EQUAL", caller, "level %u while holding %u spin locks", irql,
                         state->spin_locks);
    }
    if (irql < DISPATCH_LEVEL && state->runs_dpc) {
        overlay_bugcheck("IRQL_NOT_GREATER_OR_EQUAL", caller, "level %u in a DPC", irql);
    }
    while (irql >= DISPATCH_LEVEL && !state->holds_processor && !try_claim_any(state)) {
        wait_a_little(&turn);
    }
    state->irql = irql;
    if (irql < DISPATCH_LEVEL && state->holds_processor) {
        release_processor(state);
    }
}

void overlay_enter_dpc(unsigned processor)
{
    struct thread_state *state = overlay_thread();
    unsigned turn = 0;
    state->runs_dpc = true;
    InterlockedIncrement(&dpcs_waiting[processor]);
    while (!try_claim(state, processor)) {
        wait_a_little(&turn);
    }
    InterlockedDecrement(&dpcs_waiting[processor]);
    state->irql = DISPATCH_LEVEL;
}

void overlay_leave_dpc(void)
{
    struct thread_state *state = overlay_thread();
    state->irql = PASSIVE_LEVEL;
    state->runs_dpc = false;
    release_processor(state);
}

unsigned overlay_processor(void)
{
    struct thread_state *state = overlay_thread();
    return state->processor < processor_count ? state->processor : 0;
}

// --- mov cr8 ---

// mov reg, cr8 is REX.R 0F 20 /r, mov cr8, reg is REX.R 0F 22 /r: Intel SDM, "MOV - Move to/from Control
// Registers".
static unsigned emulate_cr8(const uint8_t *code, uint64_t *registers)
{
    if ((code[0] & 0xf4) != 0x44 || code[1] != 0x0f || (code[2] != 0x20 && code[2] != 0x22)) {
        return 0;
    }
    if ((code[3] & 0xf8) != 0xc0) { // cr8 is number 0 with REX.R
        return 0;
    }
    unsigned which = (code[3] & 7) | (code[0] & 1) << 3;
    if (code[2] == 0x20) {
        registers[which] = overlay_thread()->irql;
    } else {
        overlay_set_irql((KIRQL)registers[which], code);
    }
    return 4;
}

void overlay_start_irql(void)
{
    processor_count = host_processor_count();
    host_on_privileged(emulate_cr8);
}

// --- the exported forms ---

KIRQL overlay_KeGetCurrentIrql(void)
{
    return overlay_thread()->irql;
}

KIRQL overlay_KfRaiseIrql(KIRQL irql)
{
    KIRQL old = overlay_thread()->irql;
    if (irql < old) {
        overlay_bugcheck("IRQL_NOT_GREATER_OR_EQUAL", CALLER, "raising from level %u to %u", old, irql);
    }
    overlay_set_irql(irql, CALLER);
    return old;
}

void overlay_KeLowerIrql(KIRQL irql)
{
    if (irql > overlay_thread()->irql) {
        overlay_bugcheck("IRQL_NOT_LESS_OR_EQUAL", CALLER, "lowering from level %u to %u",
                         overlay_thread()->irql, irql);
    }
    overlay_set_irql(irql, CALLER);
}

// Below DISPATCH_LEVEL the answer may be old when it arrives, as on Windows.
ULONG overlay_KeGetCurrentProcessorNumberEx(PPROCESSOR_NUMBER number)
{
    unsigned processor = overlay_processor();
    if (number != NULL) {
        *number = (PROCESSOR_NUMBER){.Number = (UCHAR)processor};
    }
    return processor;
}

ULONG overlay_KeGetCurrentProcessorNumber(void)
{
    return overlay_processor();
}

ULONG overlay_KeGetProcessorIndexFromNumber(PPROCESSOR_NUMBER number)
{
    return number->Group == 0 && number->Number < processor_count ? number->Number : INVALID_PROCESSOR_INDEX;
}

NTSTATUS overlay_KeGetProcessorNumberFromIndex(ULONG index, PPROCESSOR_NUMBER number)
{
    if (index >= processor_count) {
        return STATUS_INVALID_PARAMETER;
    }
    *number = (PROCESSOR_NUMBER){.Number = (UCHAR)index};
    return STATUS_SUCCESS;
}

ULONG overlay_KeQueryMaximumProcessorCountEx(USHORT group)
{
    return group == 0 || group == ALL_PROCESSOR_GROUPS ? processor_count : 0;
}

ULONG overlay_KeQueryActiveProcessorCountEx(USHORT group)
{
    return overlay_KeQueryMaximumProcessorCountEx(group);
}

// --- affinity: a thread below DISPATCH_LEVEL "is" on the first processor that it may run on ---

static KAFFINITY set_affinity(KAFFINITY affinity)
{
    struct thread_state *state = overlay_thread();
    KAFFINITY old = state->affinity;
    state->affinity = affinity;
    for (unsigned i = 0; i < processor_count && !may_run_on(state, state->processor); i++) {
        state->processor = i;
    }
    return old;
}

KAFFINITY overlay_KeSetSystemAffinityThreadEx(KAFFINITY affinity)
{
    overlay_require_irql(APC_LEVEL, "KeSetSystemAffinityThreadEx", CALLER);
    return set_affinity(affinity);
}

void overlay_KeRevertToUserAffinityThreadEx(KAFFINITY affinity)
{
    overlay_require_irql(APC_LEVEL, "KeRevertToUserAffinityThreadEx", CALLER);
    set_affinity(affinity);
}

void overlay_KeSetSystemGroupAffinityThread(PGROUP_AFFINITY affinity, PGROUP_AFFINITY previous)
{
    overlay_require_irql(APC_LEVEL, "KeSetSystemGroupAffinityThread", CALLER);
    KAFFINITY old = set_affinity(affinity->Mask);
    if (previous != NULL) {
        *previous = (GROUP_AFFINITY){.Mask = old};
    }
}

void overlay_KeRevertToUserGroupAffinityThread(PGROUP_AFFINITY previous)
{
    overlay_require_irql(APC_LEVEL, "KeRevertToUserGroupAffinityThread", CALLER);
    set_affinity(previous->Mask);
}
