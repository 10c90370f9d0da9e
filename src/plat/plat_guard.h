// SPDX-License-Identifier: MIT
// plat_guard: what the compiler's stack protector wants on Windows, in user mode (plat_winuser_guard.c) and
// in a driver (plat_winkernel_guard.c). Both files are compiled without it: what sets the guard must not
// check it.
#pragma once

#include <stdint.h>

extern uintptr_t __stack_chk_guard;
_Noreturn void __stack_chk_fail(void);

#define GUARD_AT_FIRST ((uintptr_t)0x595e9fbd94fda700) // until it is set
// A guard ends with a zero byte, so that no string that overflows can write it.
#define GUARD_OF(random) ((random) & ~(uintptr_t)0xff)
