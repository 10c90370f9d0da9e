// SPDX-License-Identifier: MIT
// plat_int: what the implementation files of plat share. plat_memory.c is common to all systems and
// plat_user.c to those in user mode; the system's own files give the raw_ functions, and plat_sim.c watches
// them all.
#pragma once

#include "plat/plat.h"

// --- system file (plat_linux.c, plat_winuser.c, plat_winkernel*.c) -------------------------------

ebpf_result_t raw_init(void) MUST_CHECK;
uint32_t raw_cpu_count(void);                                      // possible CPUs, at least 1
void *raw_alloc(size_t size, size_t alignment, enum pool_tag tag); // zeroed; alignment 16 or 64
void raw_free(void *ptr);
void *raw_alloc_pages(size_t size, enum pool_tag tag); // zeroed; `size` is a multiple of PLAT_PAGE_SIZE
void raw_free_pages(void *ptr, size_t size);
// Memory that can be mapped several times, by a handle of the system's own. A view is page aligned; one that
// is not `writable` cannot be made writable. NULL: no memory.
bool raw_shared_open(size_t size, intptr_t *handle);
void raw_shared_close(intptr_t handle);              // views of processes stay
void *raw_shared_hold(intptr_t handle, size_t size); // our own view, at any IRQL. NULL: no memory
void raw_shared_drop(intptr_t handle, void *view, size_t size);
// Views of the process on whose behalf the calling thread runs.
void *raw_shared_map(intptr_t handle, size_t size, bool writable);
void raw_shared_unmap(void *view, size_t size);
int raw_shared_fd(intptr_t handle, bool writable); // a new descriptor, or -1
// Machine code. `whole` is c->size rounded up to pages; sets address and handle. Guards are the system's.
bool raw_code_open(size_t whole, struct plat_code *c);
// EBPF_BLOCKED_BY_POLICY where the system forbids it, EBPF_NO_MEMORY where only memory is short.
ebpf_result_t raw_code_publish(struct plat_code *c, size_t whole, const struct plat_code_function *functions,
                               uint32_t count);
void raw_code_close(struct plat_code *c, size_t whole);
void raw_yield(void);
void raw_sleep_us(uint32_t microseconds);

#define PLAT_PAGE_SIZE 4096u

// --- the IRQL that the simulator sees ------------------------------------------------------------

// Drivers have a real one; a process plays one per thread (plat_user.c).
#if defined(_KERNEL_MODE)
enum plat_irql raw_irql(void);
void raw_set_irql(enum plat_irql level);
#else
// Thread-local state is read several times a run; without this, position-independent code calls a function
// for it.
#if defined(__linux__)
#define PLAT_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) _Thread_local
#else
#define PLAT_THREAD_LOCAL _Thread_local
#endif

extern PLAT_THREAD_LOCAL enum plat_irql user_irql;
static inline enum plat_irql raw_irql(void)
{
    return user_irql;
}
static inline void raw_set_irql(enum plat_irql level)
{
    user_irql = level;
}
#endif
_Noreturn void raw_die(const char *text); // prints the sentence and ends the process, or the machine

// --- simulator (plat_sim.c) ----------------------------------------------------------------------

// A Release driver has none of it and pays nothing.
#if defined(_KERNEL_MODE) && defined(NDEBUG)
#define sim_admit_alloc()              true
#define sim_count_alloc()              ((void)0)
#define sim_count_free()               ((void)0)
#define plat_sim_check_irql(max, what) ((void)0)
#else
// Counts an allocation that is about to be made; false when it has to fail.
bool sim_admit_alloc(void);
void sim_count_alloc(void); // it was made
void sim_count_free(void);
#endif
