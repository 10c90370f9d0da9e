// SPDX-License-Identifier: MIT
// plat_winkernel_guard: see plat_guard.h. The entry point of every driver: sets the guard, then DriverEntry.
#include "plat/plat_winkernel.h"

#include "plat/plat_guard.h"

#define DRIVER_OVERRAN_STACK_BUFFER 0xf7u // bug check

uintptr_t __stack_chk_guard = GUARD_AT_FIRST;

NTSTATUS NTAPI driver_start(PDRIVER_OBJECT driver, PUNICODE_STRING path);
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);

NTSTATUS NTAPI driver_start(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    uintptr_t random = __rdtsc();
    winkernel_fill_random(&random, sizeof(random)); // without it, the time has to do
    __stack_chk_guard = GUARD_OF(random);
    return DriverEntry(driver, path);
}

_Noreturn void __stack_chk_fail(void)
{
    KeBugCheckEx(DRIVER_OVERRAN_STACK_BUFFER, 0, 0, 0, 0);
    __builtin_unreachable();
}
