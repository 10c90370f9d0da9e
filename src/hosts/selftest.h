// SPDX-License-Identifier: MIT
// selftest: the unit tests of the kernel-safe folders and of the platform, inside a Debug driver. Implemented
// by tests/kernel/selftest.c, which Debug drivers link.
#pragma once

#include "base/base.h"

// Runs the cases whose name contains `filter` (NULL or "": all) and writes what a test executable would
// print, with a NUL, into `out`. Returns the length without NUL. A report that does not fit ends with a
// sentence that says so and the totals. Wants a capacity of at least SELFTEST_CAPACITY_MIN, and plat_init
// done; returns 0 otherwise. One run at a time: a second one reports a failure. The tests count the driver's
// allocations: while other requests run, a leak may be seen where there is none. IRQL = PASSIVE, on a thread
// with at least 16 KB of stack left.
#define SELFTEST_CAPACITY_MIN 256u
size_t selftest_run(const char *filter, char *out, size_t capacity);
