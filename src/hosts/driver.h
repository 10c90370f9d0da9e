// SPDX-License-Identifier: MIT
// driver: ebpfcore.sys from within. Everything that the driver has lives in the extension of its one device,
// so that a second load of the image, which may share its memory with the first, disturbs nothing.
//
// Threads: dispatch routines run in whatever thread asks (Wine: one for all) and never wait; what may take
// long is done by the workers of two queues (driver_queue.c).
#pragma once

#include <ntifs.h>

#include "core/core.h"
#include "hooks/hooks.h"

// --- the rundown (driver_rundown.c): who is inside the driver, so that an unload waits for them --------

void rundown_start(void);
bool rundown_acquire(void); // false: closed; then nothing of the device may be touched
void rundown_release(void);
void rundown_wait(void); // waits for those inside. IRQL = PASSIVE

// --- queues (driver_queue.c): requests that wait for a worker --------------------------------------

struct driver;

#define QUEUE_WORKERS 4

// Invariant: a request is in `queued` and its IRP has a cancel routine, or it is in `running` and a worker
// owns its IRP, or it is in neither and whoever took it out completes the IRP.
struct queue {
    struct driver *driver;
    struct plat_spinlock lock;
    struct list queued, running; // of struct driver_request
    KSEMAPHORE ready;            // counts calls for a worker, and the workers that are to end
    uint32_t calls;              // not followed yet
    uint32_t requests;           // that exist
    bool stopping;
    unsigned worker_count;
    struct plat_thread *workers[QUEUE_WORKERS];
};
ebpf_result_t queue_create(struct queue *q, struct driver *driver, unsigned workers) MUST_CHECK;
// Cancels what waits, asks what runs to give up, and waits for the workers.
void queue_destroy(struct queue *q);
// Queues a request about `c`: the IRP is pending, or has been completed, when this returns STATUS_PENDING.
// Otherwise it is the caller's to complete with the status.
NTSTATUS queue_insert(struct queue *q, IRP *irp, struct channel *c);
// Cancels what waits, and asks to give up what runs, of one channel.
void queue_cancel(struct queue *q, struct channel *c);

// --- the driver ----------------------------------------------------------------------------------

// Runs of programs take as long as their caller wants; verdicts and links must not wait for them.
enum queue_kind { QUEUE_RUNS, QUEUE_SHORT, QUEUE_COUNT };

struct driver {
    DEVICE_OBJECT *device;
    struct core *core;
    struct hooks *hooks;
    struct channels *channels;
    struct driver_modules *modules;
    struct queue queues[QUEUE_COUNT];
    uint32_t module_grace_ms;
    uint32_t own_allocations; // Debug: what it holds when nobody has anything of it
    struct jit_options jit;
    uint32_t pending;                 // IRPs in queues
    bool verdict_from_administrators; // registry parameter
};

static inline struct driver *driver_of(DEVICE_OBJECT *device)
{
    return device->DeviceExtension;
}

// One line for whoever debugs the kernel. `fmt` is DbgPrint's.
#define DRIVER_SAY(fmt, ...)                                                                                 \
    ((void)DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "ebpfcore: " fmt "\n", ##__VA_ARGS__))

NTSTATUS driver_status(ebpf_result_t result);
// Completes with as many bytes of the IRP's system buffer as `information` says.
NTSTATUS driver_complete(IRP *irp, NTSTATUS status, size_t information);

// --- the device (driver_device.c) ----------------------------------------------------------------

// Makes the device with its descriptor; not reachable by name from user mode until device_publish.
NTSTATUS device_create(DRIVER_OBJECT *object, struct driver **out);
void device_destroy(struct driver *d); // frees `d`
NTSTATUS device_publish(void);
void device_unpublish(void);
// Dispatch routines for IRP_MJ_*.
NTSTATUS NTAPI device_open(DEVICE_OBJECT *device, IRP *irp);
NTSTATUS NTAPI device_cleanup(DEVICE_OBJECT *device, IRP *irp);
NTSTATUS NTAPI device_close(DEVICE_OBJECT *device, IRP *irp);
NTSTATUS NTAPI device_volume(DEVICE_OBJECT *device, IRP *irp);

// --- requests (driver_control.c) -----------------------------------------------------------------

NTSTATUS NTAPI control_dispatch(DEVICE_OBJECT *device, IRP *irp);
// Executes the IRP's control for a worker or in dispatch: what the IRP is to be completed with.
NTSTATUS control_execute(struct driver *d, IRP *irp, struct channel *c, bool (*is_abandoned)(void *user),
                         void *user, size_t *information);

// --- who asks (driver_caller.c) ------------------------------------------------------------------

// Channel rights of the thread that this IRP_MJ_CREATE comes from; 0: none.
uint32_t caller_rights(const struct driver *d);
