// SPDX-License-Identifier: MIT
// plat_winkernel_thread: system threads that are joined, and a mutex that leaves its holder at PASSIVE.
#include "plat/plat_winkernel.h"

// --- mutex ---------------------------------------------------------------------------------------

// `users` counts the holder and those who wait; a holder who leaves somebody behind passes the mutex on
// through the event. A FAST_MUTEX would hold its owner at APC level, where sections and files cannot be used;
// a critical region only keeps the owner from being suspended.
struct native_mutex {
    uint32_t users;
    KEVENT passed_on;
};
_Static_assert(sizeof(struct native_mutex) <= sizeof(struct plat_mutex), "a mutex fits in its place");

static struct native_mutex *native_mutex(struct plat_mutex *mutex)
{
    return (struct native_mutex *)mutex->impl;
}

void plat_mutex_init(struct plat_mutex *mutex)
{
    native_mutex(mutex)->users = 0;
    KeInitializeEvent(&native_mutex(mutex)->passed_on, SynchronizationEvent, FALSE);
}

void plat_mutex_fini(struct plat_mutex *mutex)
{
    UNUSED(mutex);
}

void plat_mutex_acquire(struct plat_mutex *mutex)
{
    struct native_mutex *native = native_mutex(mutex);
    plat_sim_check_irql(PLAT_PASSIVE, "plat_mutex_acquire");
    KeEnterCriticalRegion();
    if (__atomic_fetch_add(&native->users, 1, __ATOMIC_ACQUIRE) > 0) {
        KeWaitForSingleObject(&native->passed_on, Executive, KernelMode, FALSE, NULL);
    }
}

void plat_mutex_release(struct plat_mutex *mutex)
{
    struct native_mutex *native = native_mutex(mutex);
    plat_sim_check_irql(PLAT_PASSIVE, "plat_mutex_release");
    if (__atomic_sub_fetch(&native->users, 1, __ATOMIC_RELEASE) > 0) {
        KeSetEvent(&native->passed_on, IO_NO_INCREMENT, FALSE);
    }
    KeLeaveCriticalRegion();
}

// --- threads -------------------------------------------------------------------------------------

struct plat_thread {
    HANDLE native; // of the kernel: valid in every process
    void (*body)(void *user);
    void *user;
};

static void NTAPI thread_main(void *argument)
{
    struct plat_thread *thread = argument;
    thread->body(thread->user);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS start_thread(struct plat_thread *thread)
{
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    return PsCreateSystemThread(&thread->native, THREAD_ALL_ACCESS, &attributes, NULL, NULL, thread_main,
                                thread);
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
    if (!NT_SUCCESS(start_thread(thread))) {
        plat_free(thread);
        return EBPF_NO_MEMORY;
    }
    *out = thread;
    return EBPF_SUCCESS;
}

// The handle is signaled after the thread has left the driver's code for good, so that a driver which joined
// its threads can be unloaded.
void plat_thread_join(struct plat_thread *thread)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_thread_join");
    ZwWaitForSingleObject(thread->native, FALSE, NULL);
    ZwClose(thread->native);
    plat_free(thread);
}
