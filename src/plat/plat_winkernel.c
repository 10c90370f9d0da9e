// SPDX-License-Identifier: MIT
// plat_winkernel: the platform inside a driver: bring-up, pool, CPUs, spin locks, time, randomness,
// IRQL. Threads and mutexes are in plat_winkernel_thread.c, shared memory in plat_winkernel_shared.c.
//
// The first plat_init and the last plat_fini are DriverEntry's and DriverUnload's, when no other code of the
// driver runs; those between only count. A CPU's `depth` and `old_irql` are touched at DISPATCH on that CPU
// alone. Sources: Microsoft's documentation of wdm.h, ntddk.h and bcrypt.h.
#include "plat/plat_winkernel.h"

// The headers have no user-mode bcrypt.h beside them; these two are all that is wanted of it.
#define BCRYPT_USE_SYSTEM_PREFERRED_RNG 2u
__declspec(dllimport) NTSTATUS NTAPI BCryptGenRandom(void *algorithm, PUCHAR out, ULONG size, ULONG flags);

#define POOL_FLAG_NON_PAGED     0x40u
#define DRIVER_VIOLATION        0x121u // bug check: a driver broke a rule
#define CRYPTO_LIBRARY_INTERNAL 0x1eau // bug check: no randomness; a predictable key would be worse

// Newer than some systems (and than some versions of Wine): looked up, with a substitute.
typedef PVOID(NTAPI *allocate_fn)(ULONG64 flags, SIZE_T size, ULONG tag);
typedef ULONG64(NTAPI *interrupt_time_fn)(PULONG64 counter);
static allocate_fn allocate_pool2;
static interrupt_time_fn unbiased_time, biased_time;
static uint64_t counter_frequency;

// Two cache lines, so that one CPU does not disturb its neighbour.
struct cpu {
    uint32_t depth; // claims of the slot
    KIRQL old_irql; // before the first claim
    uint32_t random;
    uint8_t pad[116];
};
_Static_assert(sizeof(struct cpu) == 128, "two cache lines");

static struct cpu *cpus;
static uint32_t cpu_count;
static uint32_t init_count;

// --- bring-up ------------------------------------------------------------------------------------

static void *find_routine(PCWSTR name)
{
    UNICODE_STRING text;
    RtlInitUnicodeString(&text, name);
    return MmGetSystemRoutineAddress(&text);
}

void winkernel_find_routines(bool newer)
{
    LARGE_INTEGER frequency;
    KeQueryPerformanceCounter(&frequency);
    counter_frequency = (uint64_t)frequency.QuadPart;
    allocate_pool2 = newer ? (allocate_fn)find_routine(L"ExAllocatePool2") : NULL;
    unbiased_time = newer ? (interrupt_time_fn)find_routine(L"KeQueryUnbiasedInterruptTimePrecise") : NULL;
    biased_time = newer ? (interrupt_time_fn)find_routine(L"KeQueryInterruptTimePrecise") : NULL;
}

bool winkernel_fill_random(void *out, size_t size)
{
    return NT_SUCCESS(BCryptGenRandom(NULL, out, (ULONG)size, BCRYPT_USE_SYSTEM_PREFERRED_RNG));
}

static ebpf_result_t init_cpus(void)
{
    cpu_count = KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS);
    cpus = raw_alloc_pages(cpu_count * sizeof(*cpus), POOL_TAG_EPOCH);
    if (cpus == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < cpu_count; i++) {
        if (!winkernel_fill_random(&cpus[i].random, sizeof(cpus[i].random))) {
            raw_free_pages(cpus, cpu_count * sizeof(*cpus));
            return EBPF_OPERATION_NOT_SUPPORTED;
        }
        cpus[i].random |= 1; // 0 would stay 0
    }
    return EBPF_SUCCESS;
}

ebpf_result_t plat_init(void)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_init");
    if (__atomic_load_n(&init_count, __ATOMIC_ACQUIRE) == 0) {
        winkernel_find_routines(true);
        TRY(init_cpus());
    }
    __atomic_fetch_add(&init_count, 1, __ATOMIC_RELEASE);
    return EBPF_SUCCESS;
}

void plat_fini(void)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_fini");
    if (__atomic_sub_fetch(&init_count, 1, __ATOMIC_ACQ_REL) == 0) {
        raw_free_pages(cpus, cpu_count * sizeof(*cpus));
        cpus = NULL;
    }
}

// --- memory --------------------------------------------------------------------------------------

// The pool aligns to 16 bytes, and to a page what has the size of one or more.
void *raw_alloc(size_t size, size_t alignment, enum pool_tag tag)
{
    UNUSED(alignment);
    if (allocate_pool2 != NULL) {
        return allocate_pool2(POOL_FLAG_NON_PAGED, size, pool_tag_code(tag));
    }
    void *ptr = ExAllocatePoolWithTag(NonPagedPoolNx, size, pool_tag_code(tag));
    return ptr == NULL ? NULL : memset(ptr, 0, size);
}

void raw_free(void *ptr)
{
    ExFreePoolWithTag(ptr, 0); // 0: whatever the tag was
}

void *raw_alloc_pages(size_t size, enum pool_tag tag)
{
    return raw_alloc((size_t)align_up(size, PLAT_PAGE_SIZE), PLAT_PAGE_SIZE, tag);
}

void raw_free_pages(void *ptr, size_t size)
{
    UNUSED(size);
    raw_free(ptr);
}

// --- spin lock: state[0] is the KSPIN_LOCK, state[1] the holder's IRQL before --------------------

_Static_assert(sizeof(KSPIN_LOCK) == sizeof(uint64_t), "a spin lock fits in its place");

void plat_spinlock_init(struct plat_spinlock *lock)
{
    lock->state[0] = lock->state[1] = 0;
}

void plat_spinlock_acquire(struct plat_spinlock *lock)
{
    KIRQL old = KeAcquireSpinLockRaiseToDpc((PKSPIN_LOCK)&lock->state[0]);
    lock->state[1] = old;
}

void plat_spinlock_release(struct plat_spinlock *lock)
{
    KIRQL old = (KIRQL)lock->state[1];
    KeReleaseSpinLock((PKSPIN_LOCK)&lock->state[0], old);
}

// --- CPUs ----------------------------------------------------------------------------------------

uint32_t plat_cpu_count(void)
{
    return cpu_count;
}

static uint32_t current_index(void)
{
    return KeGetCurrentProcessorNumberEx(NULL); // over all groups, as the count is
}

uint32_t plat_cpu_enter(void)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    uint32_t index = current_index();
    struct cpu *cpu = &cpus[index];
    if (cpu->depth++ == 0) {
        cpu->old_irql = old;
    }
    return index;
}

void plat_cpu_exit(void)
{
    struct cpu *cpu = &cpus[current_index()];
    if (--cpu->depth == 0) {
        KeLowerIrql(cpu->old_irql);
    }
}

// Below DISPATCH the thread could move, and the slot of whatever CPU it is on now is not its own.
uint32_t plat_cpu_current(void)
{
    if (KeGetCurrentIrql() < DISPATCH_LEVEL) {
        return UINT32_MAX;
    }
    uint32_t index = current_index();
    return cpus[index].depth > 0 ? index : UINT32_MAX;
}

// --- small calls ---------------------------------------------------------------------------------

void raw_sleep_us(uint32_t microseconds)
{
    LARGE_INTEGER relative = {.QuadPart = -10 * (LONGLONG)microseconds};
    KeDelayExecutionThread(KernelMode, FALSE, &relative);
}

void raw_yield(void)
{
    raw_sleep_us(0); // gives the rest of the time slice away
}

uint64_t plat_pid_tgid(void)
{
    uint64_t process = (uintptr_t)PsGetCurrentProcessId(), thread = (uintptr_t)PsGetCurrentThreadId();
    return process << 32 | (uint32_t)thread;
}

// --- time and randomness -------------------------------------------------------------------------

static uint64_t counter_ns(void)
{
    uint64_t ticks = (uint64_t)KeQueryPerformanceCounter(NULL).QuadPart;
    return ticks / counter_frequency * 1000000000u +
           ticks % counter_frequency * 1000000000u / counter_frequency;
}

static uint64_t interrupt_ns(interrupt_time_fn read)
{
    ULONG64 counter;
    return read == NULL ? counter_ns() : read(&counter) * 100; // units of 100 ns
}

uint64_t plat_time_ns(void)
{
    return interrupt_ns(unbiased_time);
}

uint64_t plat_boot_time_ns(void)
{
    return interrupt_ns(biased_time);
}

void plat_random_bytes(void *out, size_t size)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_random_bytes");
    if (!winkernel_fill_random(out, size)) {
        KeBugCheckEx(CRYPTO_LIBRARY_INTERNAL, 0, 0, 0, 0);
    }
}

// xorshift32 (Marsaglia 2003), one state per CPU. Two threads of a CPU that meet here get the same number at
// worst, which is random all the same.
uint32_t plat_random_u32(void)
{
    uint32_t *state = &cpus[current_index()].random;
    uint32_t x = __atomic_load_n(state, __ATOMIC_RELAXED);
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    __atomic_store_n(state, x, __ATOMIC_RELAXED);
    return x;
}

// --- IRQL ----------------------------------------------------------------------------------------

enum plat_irql plat_irql(void)
{
    return (enum plat_irql)KeGetCurrentIrql();
}

enum plat_irql raw_irql(void)
{
    return plat_irql();
}

void raw_set_irql(enum plat_irql level)
{
    KIRQL old;
    if ((KIRQL)level > KeGetCurrentIrql()) {
        KeRaiseIrql((KIRQL)level, &old);
    } else {
        KeLowerIrql((KIRQL)level);
    }
}

void raw_die(const char *text)
{
    DbgPrint("ebpf: %s\n", text);
    KeBugCheckEx(DRIVER_VIOLATION, (ULONG_PTR)text, 0, 0, 0);
    __builtin_unreachable();
}
