// SPDX-License-Identifier: MIT
// plat_int: what the user-mode implementation files of plat share. plat_user.c is common to all systems, the
// system's own file gives the raw_ functions, and plat_sim.c watches both.
#pragma once

#include "plat/plat.h"

// --- system file (plat_linux.c, plat_winuser.c) --------------------------------------------------

ebpf_result_t raw_init(void) MUST_CHECK;
uint32_t raw_cpu_count(void);                   // possible CPUs, at least 1
void *raw_alloc(size_t size, size_t alignment); // zeroed; alignment 16 or 64
void raw_free(void *ptr);
void *raw_alloc_pages(size_t size); // zeroed; `size` is a multiple of PLAT_PAGE_SIZE
void raw_free_pages(void *ptr, size_t size);
void raw_yield(void);
void raw_sleep_us(uint32_t microseconds);

#define PLAT_PAGE_SIZE 4096u

// Thread-local state is read several times a run; without this, position-independent code calls a function
// for it.
#if defined(__linux__)
#define PLAT_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define PLAT_THREAD_LOCAL _Thread_local
#endif

// --- simulator (plat_sim.c) ----------------------------------------------------------------------

// Counts an allocation that is about to be made; false when it has to fail.
bool sim_admit_alloc(void);
void sim_count_alloc(void); // it was made
void sim_count_free(void);
