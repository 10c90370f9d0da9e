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
    uintptr_t random = (uintptr_t)KeQueryPerformanceCounter(NULL).QuadPart << 8 ^ (uintptr_t)driver << 16;
    winkernel_fill_random(&random, sizeof(random)); // without it, time and place have to do
    if (__stack_chk_guard == GUARD_AT_FIRST) {      // a second load may share the memory of the first (Wine)
        __stack_chk_guard = GUARD_OF(random);
    }
    return DriverEntry(driver, path);
}

_Noreturn void __stack_chk_fail(void)
{
    KeBugCheckEx(DRIVER_OVERRAN_STACK_BUFFER, 0, 0, 0, 0);
    __builtin_unreachable();
}
