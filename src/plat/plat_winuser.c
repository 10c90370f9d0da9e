// SPDX-License-Identifier: MIT
// plat_winuser: the platform on Windows in user mode. Sources: Microsoft's Win32 API reference.
#include <windows.h>
#include <bcrypt.h>
#include <malloc.h>
#include <process.h>
#include <stdlib.h>

#include "plat/plat_int.h"

// Precise interrupt time is newer than some systems (and than some versions of Wine): looked up, with the
// performance counter as the substitute.
typedef void(WINAPI *interrupt_time_fn)(PULONGLONG);
static interrupt_time_fn unbiased_time, biased_time;
static uint64_t counter_frequency;

static interrupt_time_fn find_time(const char *name)
{
    HMODULE module = GetModuleHandleW(L"kernelbase.dll");
    FARPROC address = module != NULL ? GetProcAddress(module, name) : NULL;
    interrupt_time_fn fn = NULL;
    memcpy(&fn, &address, sizeof(fn));
    return fn;
}

ebpf_result_t raw_init(void)
{
    LARGE_INTEGER frequency;
    QueryPerformanceFrequency(&frequency);
    counter_frequency = (uint64_t)frequency.QuadPart;
    unbiased_time = find_time("QueryUnbiasedInterruptTimePrecise");
    biased_time = find_time("QueryInterruptTimePrecise");
    return EBPF_SUCCESS;
}

uint32_t raw_cpu_count(void)
{
    DWORD count = GetMaximumProcessorCount(ALL_PROCESSOR_GROUPS);
    return count > 0 ? (uint32_t)count : 1;
}

// --- memory --------------------------------------------------------------------------------------

void *raw_alloc(size_t size, size_t alignment, enum pool_tag tag)
{
    UNUSED(tag);
    void *ptr = _aligned_malloc(size, alignment);
    return ptr == NULL ? NULL : memset(ptr, 0, size);
}

void raw_free(void *ptr)
{
    _aligned_free(ptr);
}

void *raw_alloc_pages(size_t size, enum pool_tag tag)
{
    UNUSED(tag);
    return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

void raw_free_pages(void *ptr, size_t size)
{
    UNUSED(size);
    VirtualFree(ptr, 0, MEM_RELEASE);
}

// --- shared memory -------------------------------------------------------------------------------

// A section without a file. Source: Microsoft's CreateFileMapping, MapViewOfFile.
bool raw_shared_open(size_t size, intptr_t *handle)
{
    uint64_t whole = size;
    HANDLE section = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, (DWORD)(whole >> 32),
                                        (DWORD)whole, NULL);
    *handle = (intptr_t)section;
    return section != NULL;
}

void raw_shared_close(intptr_t handle)
{
    CloseHandle((HANDLE)handle);
}

// Through a handle that cannot write, so that no later change of the protection can.
static void *map_read_only(HANDLE section, size_t size)
{
    HANDLE reader;
    if (!DuplicateHandle(GetCurrentProcess(), section, GetCurrentProcess(), &reader, FILE_MAP_READ, FALSE,
                         0)) {
        return NULL;
    }
    void *view = MapViewOfFile(reader, FILE_MAP_READ, 0, 0, size);
    CloseHandle(reader);
    return view;
}

void *raw_shared_map(intptr_t handle, size_t size, bool writable)
{
    HANDLE section = (HANDLE)handle;
    return writable ? MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, size)
                    : map_read_only(section, size);
}

void raw_shared_unmap(void *view, size_t size)
{
    UNUSED(size);
    UnmapViewOfFile(view);
}

int raw_shared_fd(intptr_t handle, bool writable)
{
    UNUSED(handle);
    UNUSED(writable);
    return -1; // handles of sections are no descriptors
}

// --- machine code --------------------------------------------------------------------------------

// Reserved, but never committed: a page before and one behind. The table of functions is told to the system,
// so that stacks can be walked through the code. Source: Microsoft's VirtualAlloc, RtlAddFunctionTable.
bool raw_code_open(size_t whole, struct plat_code *c)
{
    uint8_t *base = VirtualAlloc(NULL, whole + 2 * PLAT_PAGE_SIZE, MEM_RESERVE, PAGE_NOACCESS);
    if (base == NULL) {
        return false;
    }
    c->address = VirtualAlloc(base + PLAT_PAGE_SIZE, whole, MEM_COMMIT, PAGE_READWRITE);
    if (c->address == NULL) {
        VirtualFree(base, 0, MEM_RELEASE);
        return false;
    }
    return true;
}

ebpf_result_t raw_code_publish(struct plat_code *c, size_t whole, const struct plat_code_function *functions,
                               uint32_t count)
{
    DWORD old;
    if (!VirtualProtect(c->address, whole, PAGE_EXECUTE_READ, &old)) {
        DWORD error = GetLastError();
        return error == ERROR_NOT_ENOUGH_MEMORY || error == ERROR_COMMITMENT_LIMIT
                   ? EBPF_NO_MEMORY
                   : EBPF_BLOCKED_BY_POLICY; // ERROR_DYNAMIC_CODE_BLOCKED
    }
    FlushInstructionCache(GetCurrentProcess(), c->address, whole);
    if (count > 0 &&
        RtlAddFunctionTable((PRUNTIME_FUNCTION)(uintptr_t)functions, count, (DWORD64)(uintptr_t)c->address)) {
        c->functions = functions;
    }
    return EBPF_SUCCESS;
}

void raw_code_close(struct plat_code *c, size_t whole)
{
    UNUSED(whole);
    if (c->functions != NULL) {
        RtlDeleteFunctionTable((PRUNTIME_FUNCTION)(uintptr_t)c->functions);
    }
    VirtualFree(c->address - PLAT_PAGE_SIZE, 0, MEM_RELEASE);
}

// --- mutex ---------------------------------------------------------------------------------------

_Static_assert(sizeof(SRWLOCK) <= sizeof(struct plat_mutex), "a mutex fits in its place");

static SRWLOCK *native_mutex(struct plat_mutex *mutex)
{
    return (SRWLOCK *)mutex->impl;
}

void plat_mutex_init(struct plat_mutex *mutex)
{
    InitializeSRWLock(native_mutex(mutex));
}

void plat_mutex_fini(struct plat_mutex *mutex)
{
    UNUSED(mutex);
}

void plat_mutex_acquire(struct plat_mutex *mutex)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_mutex_acquire");
    AcquireSRWLockExclusive(native_mutex(mutex));
}

void plat_mutex_release(struct plat_mutex *mutex)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_mutex_release");
    ReleaseSRWLockExclusive(native_mutex(mutex));
}

// --- threads -------------------------------------------------------------------------------------

struct plat_thread {
    HANDLE native;
    void (*body)(void *user);
    void *user;
};

static unsigned __stdcall thread_main(void *argument)
{
    struct plat_thread *thread = argument;
    thread->body(thread->user);
    return 0;
}

ebpf_result_t plat_thread_create(void (*body)(void *user), void *user, struct plat_thread **out)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_thread_create");
    struct plat_thread *thread = plat_alloc(sizeof(*thread), POOL_TAG_OBJECT);
    if (thread == NULL) {
        return EBPF_NO_MEMORY;
    }
    thread->body = body;
    thread->user = user;
    thread->native = (HANDLE)_beginthreadex(NULL, 0, thread_main, thread, 0, NULL);
    if (thread->native == NULL) {
        plat_free(thread);
        return EBPF_NO_MEMORY;
    }
    *out = thread;
    return EBPF_SUCCESS;
}

void plat_thread_join(struct plat_thread *thread)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_thread_join");
    WaitForSingleObject(thread->native, INFINITE);
    CloseHandle(thread->native);
    plat_free(thread);
}

void raw_yield(void)
{
    SwitchToThread();
}

void raw_sleep_us(uint32_t microseconds)
{
    Sleep((microseconds + 999) / 1000);
}

// --- time, randomness, ids -----------------------------------------------------------------------

static uint64_t counter_ns(void)
{
    LARGE_INTEGER now;
    QueryPerformanceCounter(&now);
    uint64_t ticks = (uint64_t)now.QuadPart;
    return ticks / counter_frequency * 1000000000u +
           ticks % counter_frequency * 1000000000u / counter_frequency;
}

static uint64_t interrupt_ns(interrupt_time_fn read)
{
    ULONGLONG units; // of 100 ns
    if (read == NULL) {
        return counter_ns();
    }
    read(&units);
    return (uint64_t)units * 100;
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
    if (BCryptGenRandom(NULL, out, (ULONG)size, BCRYPT_USE_SYSTEM_PREFERRED_RNG) < 0) {
        abort(); // a predictable key would be worse than no process
    }
}

uint64_t plat_pid_tgid(void)
{
    return (uint64_t)GetCurrentProcessId() << 32 | GetCurrentThreadId();
}
