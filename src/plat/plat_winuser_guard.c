// SPDX-License-Identifier: MIT
// plat_winuser_guard: see plat_guard.h. The guard is set before main and before any thread of ours.
#include <windows.h>
#include <bcrypt.h>
#include <intrin.h>

#include "plat/plat_guard.h"

#define FAIL_FAST_STACK_COOKIE 2 // FAST_FAIL_STACK_COOKIE_CHECK_FAILURE of winnt.h

uintptr_t __stack_chk_guard = GUARD_AT_FIRST;

__attribute__((constructor)) static void set_guard(void)
{
    uintptr_t random = (uintptr_t)__rdtsc();
    BCryptGenRandom(NULL, (PUCHAR)&random, sizeof(random), BCRYPT_USE_SYSTEM_PREFERRED_RNG);
    __stack_chk_guard = GUARD_OF(random);
}

_Noreturn void __stack_chk_fail(void)
{
    __asm__ volatile("int $0x29" : : "c"(FAIL_FAST_STACK_COOKIE)); // __fastfail
    __builtin_unreachable();
}
