// SPDX-License-Identifier: MIT
// plat_linux: the platform on Linux in user mode (any architecture). Sources: POSIX.1-2017; getrandom(2),
// clock_gettime(2), Documentation/ABI/testing/sysfs-devices-system-cpu.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "plat/plat_int.h"

ebpf_result_t raw_init(void)
{
    return EBPF_SUCCESS;
}

// --- CPUs ----------------------------------------------------------------------------------------

// "0-7" or "0,2-5": the number after the last '-' or ',' is the highest CPU.
static long highest_possible(void)
{
    char text[256];
    long highest = -1;
    FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
    if (file == NULL) {
        return -1;
    }
    if (fgets(text, sizeof(text), file) != NULL) {
        for (char *at = text; *at != '\0';) {
            char *end = at;
            long value = strtol(at, &end, 10);
            highest = end != at && value > highest ? value : highest;
            at = *end == '\0' || *end == '\n' ? end + (*end == '\n') : end + 1;
        }
    }
    fclose(file);
    return highest;
}

uint32_t raw_cpu_count(void)
{
    long count = highest_possible() + 1;
    if (count <= 0) {
        count = sysconf(_SC_NPROCESSORS_CONF);
    }
    return count > 0 ? (uint32_t)count : 1;
}

// --- memory --------------------------------------------------------------------------------------

void *raw_alloc(size_t size, size_t alignment, enum pool_tag tag)
{
    size_t whole;
    UNUSED(tag);
    if (alignment <= _Alignof(max_align_t)) {
        return calloc(1, size);
    }
    if (!add_size(size, alignment - 1, &whole)) {
        return NULL;
    }
    whole &= ~(alignment - 1);
    void *ptr = aligned_alloc(alignment, whole);
    return ptr == NULL ? NULL : memset(ptr, 0, whole);
}

void raw_free(void *ptr)
{
    free(ptr);
}

// Large pages for what is large: fewer faults, and fewer misses of the TLB. A wish that may be refused.
// Source: madvise(2).
#define LARGE_FROM ((size_t)4 << 20)

void *raw_alloc_pages(size_t size, enum pool_tag tag)
{
    UNUSED(tag);
    void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ptr == MAP_FAILED) {
        return NULL;
    }
    if (tag == POOL_TAG_PROGRAM && size >= LARGE_FROM) {
        (void)madvise(ptr, size, MADV_HUGEPAGE);
    }
    return ptr;
}

void raw_free_pages(void *ptr, size_t size)
{
    munmap(ptr, size);
}

// --- shared memory -------------------------------------------------------------------------------

// Sealed so that nobody who has a descriptor can cut it short, which would be a signal in this process when
// it looks; the mode keeps strangers from opening for writing what they were given for reading. Source:
// memfd_create(2), fcntl(2).
bool raw_shared_open(size_t size, intptr_t *handle)
{
    int fd = memfd_create("ebpf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return false;
    }
    if (size > INT64_MAX || ftruncate(fd, (off_t)size) != 0 || fchmod(fd, 0600) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        close(fd);
        return false;
    }
    *handle = fd;
    return true;
}

void raw_shared_close(intptr_t handle)
{
    close((int)handle);
}

// An opening of its own for reading: what is mapped through it can never be made writable.
int raw_shared_fd(intptr_t handle, bool writable)
{
    char path[40];
    if (writable) {
        return fcntl((int)handle, F_DUPFD_CLOEXEC, 3);
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", (int)handle);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void *map_fd(int fd, size_t size, bool writable)
{
    void *view = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    return view == MAP_FAILED ? NULL : view;
}

void *raw_shared_map(intptr_t handle, size_t size, bool writable)
{
    if (writable) {
        return map_fd((int)handle, size, true);
    }
    int fd = raw_shared_fd(handle, false);
    if (fd < 0) {
        return NULL;
    }
    void *view = map_fd(fd, size, false);
    close(fd);
    return view;
}

void raw_shared_unmap(void *view, size_t size)
{
    munmap(view, size);
}

// --- machine code --------------------------------------------------------------------------------

#define CODE_NEAREST ((uintptr_t)16 << 20) // images are smaller
#define CODE_WINDOW  ((uintptr_t)96 << 20) // so that a call reaches the image on every architecture

static size_t system_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

// Where code would be near enough to the functions that it calls: somewhere below this image, never twice
// the same. Only a wish: what is taken is not given.
static void *near_image(size_t size)
{
    static uintptr_t used;
    uintptr_t here = (uintptr_t)&near_image & ~(uintptr_t)0xfffff;
    uintptr_t at = __atomic_fetch_add(&used, size, __ATOMIC_RELAXED) % CODE_WINDOW;
    return (void *)(here - CODE_NEAREST - at - size);
}

// Between two pages that cannot be touched.
bool raw_code_open(size_t whole, struct plat_code *c)
{
    size_t page = system_page(), inner = (size_t)align_up(whole, page);
    uint8_t *base =
        mmap(near_image(inner + 2 * page), inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return false;
    }
    if (mprotect(base + page, inner, PROT_READ | PROT_WRITE) != 0) {
        munmap(base, inner + 2 * page);
        return false;
    }
    c->address = base + page;
    return true;
}

ebpf_result_t raw_code_publish(struct plat_code *c, size_t whole, const struct plat_code_function *functions,
                               uint32_t count)
{
    UNUSED(functions);
    UNUSED(count);
    __builtin___clear_cache((char *)c->address, (char *)c->address + whole);
    if (mprotect(c->address, (size_t)align_up(whole, system_page()), PROT_READ | PROT_EXEC) == 0) {
        return EBPF_SUCCESS;
    }
    return errno == ENOMEM ? EBPF_NO_MEMORY
                           : EBPF_BLOCKED_BY_POLICY; // of a security module, seccomp or prctl
}

void raw_code_close(struct plat_code *c, size_t whole)
{
    size_t page = system_page();
    munmap(c->address - page, (size_t)align_up(whole, page) + 2 * page);
}

// --- mutex ---------------------------------------------------------------------------------------

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct plat_mutex), "a mutex fits in its place");

static pthread_mutex_t *native_mutex(struct plat_mutex *mutex)
{
    return (pthread_mutex_t *)mutex->impl;
}

void plat_mutex_init(struct plat_mutex *mutex)
{
    pthread_mutex_init(native_mutex(mutex), NULL);
}

void plat_mutex_fini(struct plat_mutex *mutex)
{
    pthread_mutex_destroy(native_mutex(mutex));
}

void plat_mutex_acquire(struct plat_mutex *mutex)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_mutex_acquire");
    pthread_mutex_lock(native_mutex(mutex));
}

void plat_mutex_release(struct plat_mutex *mutex)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_mutex_release");
    pthread_mutex_unlock(native_mutex(mutex));
}

// --- threads -------------------------------------------------------------------------------------

struct plat_thread {
    pthread_t native;
    void (*body)(void *user);
    void *user;
};

static void *thread_main(void *argument)
{
    struct plat_thread *thread = argument;
    thread->body(thread->user);
    return NULL;
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
    if (pthread_create(&thread->native, NULL, thread_main, thread) != 0) {
        plat_free(thread);
        return EBPF_NO_MEMORY;
    }
    *out = thread;
    return EBPF_SUCCESS;
}

void plat_thread_join(struct plat_thread *thread)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_thread_join");
    pthread_join(thread->native, NULL);
    plat_free(thread);
}

void raw_yield(void)
{
    sched_yield();
}

void raw_sleep_us(uint32_t microseconds)
{
    struct timespec left = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000};
    while (nanosleep(&left, &left) != 0) {
    }
}

// --- time, randomness, ids -----------------------------------------------------------------------

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t plat_time_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t plat_boot_time_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

void plat_random_bytes(void *out, size_t size)
{
    uint8_t *at = out;
    plat_sim_check_irql(PLAT_PASSIVE, "plat_random_bytes");
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

uint64_t plat_pid_tgid(void)
{
    return (uint64_t)(uint32_t)getpid() << 32 | (uint32_t)syscall(SYS_gettid);
}
