// SPDX-License-Identifier: MIT
// plat_winkernel: the kernel's headers together with plat's own, and what the plat_winkernel*.c files show to
// each other and to their tests.
#pragma once

#include <ntifs.h>

#include "plat/plat_int.h"

// Looks up what only newer systems have; not `newer`: does as if none of it were there.
void winkernel_find_routines(bool newer);
// From the system; false: it has none. IRQL = PASSIVE.
bool winkernel_fill_random(void *out, size_t size);
// MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess), whose exception becomes a status.
NTSTATUS winkernel_lock_pages(PMDL mdl);
