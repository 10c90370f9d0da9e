// SPDX-License-Identifier: MIT
// plat: the whole contract with the operating system, on one page. One implementation per platform:
// plat_linux.c, plat_winuser.c, plat_winkernel*.c; plat_sim.c (not in Release drivers) adds the simulator.
//
// Preconditions, checked by nobody: pointers are not NULL unless said so, sizes are > 0, objects are
// initialised once before use and finished once after. "IRQL <= n" is the highest level a call may be made
// at; the simulator asserts it, in user builds and Debug drivers. Nothing here logs.
#pragma once

#include "base/base.h"

enum plat_irql { PLAT_PASSIVE = 0, PLAT_APC = 1, PLAT_DISPATCH = 2 };

enum pool_tag {
    POOL_TAG_NONE,
#define POOL_TAG(id, ...) POOL_TAG_##id,
#include "plat/pool_tags.def"
#undef POOL_TAG
    POOL_TAG_COUNT
};

// The four characters of a tag, the first in the lowest byte, as Windows' pool calls want them.
uint32_t pool_tag_code(enum pool_tag tag);

// --- process-wide bring-up -----------------------------------------------------------------------

ebpf_result_t plat_init(void) MUST_CHECK; // IRQL = PASSIVE. Idempotent by count.
void plat_fini(void);

// --- memory. IRQL <= DISPATCH --------------------------------------------------------------------

// Zeroed memory, aligned to 16 bytes (64 for sizes >= 4096), or NULL. May fail.
void *plat_alloc(size_t size, enum pool_tag tag);
void plat_free(void *ptr); // NULL allowed
// Zeroed whole pages, page aligned, or NULL. IRQL = PASSIVE. `size` is rounded up.
void *plat_alloc_pages(size_t size, enum pool_tag tag);
void plat_free_pages(void *ptr, size_t size);
// A mem_source over plat_alloc, for arenas.
const struct mem_source *plat_mem_source(void);

// --- shared memory: pages that user mode may map. IRQL = PASSIVE unless said otherwise ----------

// Zeroed whole pages that this address space sees, at any IRQL, and that can be mapped into the process on
// whose behalf the calling thread runs.
struct plat_shared;
ebpf_result_t plat_shared_create(size_t size, enum pool_tag tag, struct plat_shared **out) MUST_CHECK;
void plat_shared_destroy(struct plat_shared *s); // NULL allowed. Views stay valid until they are unmapped
void *plat_shared_address(const struct plat_shared *s); // any IRQL
// A further view, in the caller's process. A read-only one cannot be made writable by its owner. The view is
// unmapped by plat_shared_unmap, by munmap or UnmapViewOfFile, or by the end of the process.
ebpf_result_t plat_shared_map(struct plat_shared *s, bool writable, void **address) MUST_CHECK;
void plat_shared_unmap(void *address, size_t size); // in the process that has the view
// A descriptor of the memory that another process can map, for the caller to close; -1 where there are none.
// One that is not `writable` cannot be mapped writable.
int plat_shared_fd(struct plat_shared *s, bool writable);

// --- machine code: pages of their own. IRQL = PASSIVE --------------------------------------------

// What compiled C functions look like here, and so what they can call.
enum plat_machine { PLAT_X86_64_SYSV, PLAT_X86_64_WINDOWS, PLAT_ARM64 };
enum plat_machine plat_machine(void); // any IRQL

// At first `size` bytes at `address` can be written and not run; from plat_code_publish on they can be run
// and not written, for ever, and there is no other mapping of them. What lies around them cannot be run.
struct plat_code {
    uint8_t *address; // page aligned
    size_t size;
    intptr_t handle; // of the system file
    const void *functions;
};
// What tells the system how to get out of a function: offsets from the code's address, the last one of its
// unwind information. Source: Microsoft, "x64 exception handling", struct RUNTIME_FUNCTION.
struct plat_code_function {
    uint32_t start, end, unwind;
};
// Marks functions that call such code: a sanitizer would look for a type in front of it, where nobody may
// look.
#if defined(__clang__)
#define PLAT_CALLS_CODE __attribute__((no_sanitize("function")))
#else
#define PLAT_CALLS_CODE
#endif
// Filled with instructions that trap.
ebpf_result_t plat_code_create(size_t size, struct plat_code *out) MUST_CHECK;
// `functions` lie in the code, sorted; systems without such tables take no notice (count 0: there are none).
// EBPF_NO_MEMORY, or EBPF_BLOCKED_BY_POLICY (the system makes no pages executable): the code is still to be
// destroyed.
ebpf_result_t plat_code_publish(struct plat_code *code, const struct plat_code_function *functions,
                                uint32_t count) MUST_CHECK;
void plat_code_destroy(struct plat_code *code); // nobody runs in it any more

// --- locks ---------------------------------------------------------------------------------------

// Spin lock: raises to DISPATCH while held; never nested in itself. IRQL <= DISPATCH. Cannot fail.
struct plat_spinlock {
    uint64_t state[2];
};
void plat_spinlock_init(struct plat_spinlock *lock);
void plat_spinlock_acquire(struct plat_spinlock *lock);
void plat_spinlock_release(struct plat_spinlock *lock);

// Mutex: may sleep. IRQL = PASSIVE. Not recursive.
struct plat_mutex {
    void *impl[8];
};
void plat_mutex_init(struct plat_mutex *mutex);
void plat_mutex_fini(struct plat_mutex *mutex);
void plat_mutex_acquire(struct plat_mutex *mutex);
void plat_mutex_release(struct plat_mutex *mutex);

// --- threads. IRQL = PASSIVE ---------------------------------------------------------------------

struct plat_thread;
ebpf_result_t plat_thread_create(void (*body)(void *user), void *user, struct plat_thread **out) MUST_CHECK;
void plat_thread_join(struct plat_thread *thread); // waits and frees
void plat_yield(void);
void plat_sleep_us(uint32_t microseconds);

// --- CPUs. A "CPU" is a slot that a thread holds while a program runs ----------------------------

// Number of slots: possible CPUs of the machine, fixed from plat_init on.
uint32_t plat_cpu_count(void);
// Claims a slot for this thread, waiting while all are held; nested claims reuse the slot. In the kernel:
// raises to DISPATCH and takes the current processor. IRQL <= DISPATCH.
uint32_t plat_cpu_enter(void);
void plat_cpu_exit(void);
// Slot of this thread, or UINT32_MAX when it holds none.
uint32_t plat_cpu_current(void);

// --- time and randomness. IRQL <= DISPATCH -------------------------------------------------------

uint64_t plat_time_ns(void);                    // monotonic, without suspended time
uint64_t plat_boot_time_ns(void);               // monotonic, with suspended time
void plat_random_bytes(void *out, size_t size); // from the OS; for hash keys. IRQL = PASSIVE
uint32_t plat_random_u32(void);                 // fast, not for secrets
uint64_t plat_pid_tgid(void);                   // (process id << 32) | thread id of the caller

// --- IRQL ----------------------------------------------------------------------------------------

enum plat_irql plat_irql(void);

// --- simulator (plat_sim.c; user builds and Debug drivers, where it checks the real IRQL) --------

// Fails the `nth` allocation (1 = next) of this process once; 0 switches it off.
void plat_sim_fail_alloc(uint64_t nth);
bool plat_sim_fail_pending(void); // the allocation that is to fail was not reached yet
// Allocations made since plat_init, and those not freed yet.
uint64_t plat_sim_alloc_count(void);
uint64_t plat_sim_live_count(void);
// Aborts (a driver: bug check) with a sentence when the current IRQL is above `max`. `what` is the caller's
// name.
void plat_sim_check_irql(enum plat_irql max, const char *what);
// Calls `handler` with the sentence instead of aborting; NULL: abort again. For tests of the simulator.
void plat_sim_on_violation(void (*handler)(const char *text));
uint64_t plat_sim_violation_count(void); // broken IRQL contracts so far, handled ones too
void plat_sim_raise(enum plat_irql level, enum plat_irql *old);
void plat_sim_lower(enum plat_irql old);
