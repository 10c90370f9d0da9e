// SPDX-License-Identifier: MIT
// driver: ebpfcore.sys: the execution context in the kernel. Wires the pieces together; bring-up and unload
// are mirror images.
//
// Windows unloads a driver whose last handle has been closed; Wine at once. Either way every object vanishes,
// also those that are pinned or attached.
#include "hosts/driver.h"

#include "hosts/digest.h"
#include "hosts/driver_modules.h"
#include "hosts/driver_parameters.h"
#include "hosts/driver_policy.h"

DRIVER_INITIALIZE DriverEntry;

// --- small things --------------------------------------------------------------------------------

// Some results have a status that the system takes for success, or for a request that is not complete yet.
NTSTATUS driver_status(ebpf_result_t result)
{
    NTSTATUS status = (NTSTATUS)result_row(result)->ntstatus;
    return result != EBPF_SUCCESS && NT_SUCCESS(status) ? STATUS_UNSUCCESSFUL : status;
}

NTSTATUS driver_complete(IRP *irp, NTSTATUS status, size_t information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static void trace(void *user, const char *text)
{
    UNUSED(user);
    DRIVER_SAY("%s", text);
}

static ebpf_result_t hook_next(void *user, const struct proto_hook_next_request *request,
                               struct proto_hook_next_reply *reply)
{
    return hooks_next(((struct driver *)user)->hooks, request, reply);
}

// --- bring-up ------------------------------------------------------------------------------------

static ebpf_result_t make_core(struct driver *d)
{
    struct core_options options = {.runtime = {.spec = spec_builtin(), .jit = &d->jit, .trace = trace},
                                   .platform = DIALECT_WINDOWS,
                                   .execution = CORE_JIT,
                                   .integrity = driver_policy_facts(),
                                   .hasher = {.sha256 = digest_sha256},
                                   .hook_next = hook_next,
                                   .hook_user = d};
    return core_create(&options, &d->core);
}

// As many runs at once as there are processors, within bounds.
static unsigned run_workers(void)
{
    unsigned count = plat_cpu_count();
    return count < 2 ? 2 : min_u32(count, QUEUE_WORKERS);
}

// Before modules are let in: what is there now, is there whenever nobody has anything of the driver.
static void count_own(struct driver *d)
{
#if defined(EBPF_SELFTEST)
    d->own_allocations = (uint32_t)plat_sim_live_count();
#else
    UNUSED(d);
#endif
}

static ebpf_result_t start(struct driver *d)
{
    ebpf_result_t result;
    TRY(make_core(d));
    TRY_OR(result, hooks_create(core_runtime(d->core), &d->hooks), undo_core);
    TRY_OR(result, channels_create(d->core, &d->channels), undo_hooks);
    TRY_OR(result, modules_create(d->core, d->module_grace_ms, &d->modules), undo_channels);
    TRY_OR(result, queue_create(&d->queues[QUEUE_RUNS], d, run_workers()), undo_modules);
    TRY_OR(result, queue_create(&d->queues[QUEUE_SHORT], d, 2), undo_runs);
    count_own(d);
    TRY_OR(result, modules_open(d->modules), undo_short);
    return EBPF_SUCCESS;

undo_short:
    queue_destroy(&d->queues[QUEUE_SHORT]);
undo_runs:
    queue_destroy(&d->queues[QUEUE_RUNS]);
undo_modules:
    modules_destroy(d->modules);
undo_channels:
    channels_destroy(d->channels);
undo_hooks:
    hooks_destroy(d->hooks);
undo_core:
    core_destroy(d->core);
    return result;
}

// Native modules are unloaded; attached programs are detached by the hooks, pins are dropped by the core,
// handles that are still open lose what they held.
static void stop(struct driver *d)
{
    queue_destroy(&d->queues[QUEUE_SHORT]);
    queue_destroy(&d->queues[QUEUE_RUNS]);
    modules_destroy(d->modules);
    channels_destroy(d->channels);
    hooks_destroy(d->hooks);
    core_destroy(d->core);
}

// Wine unmaps the image as soon as the unload is done, also when its dispatch thread is still on the few
// instructions before or after the rundown.
#define GRACE_US 20000u

static void NTAPI unload(DRIVER_OBJECT *object)
{
    struct driver *d = driver_of(object->DeviceObject);
    device_unpublish();
    rundown_wait();
    stop(d);
#if defined(EBPF_SELFTEST)
    plat_sim_fail_alloc(0);
    if (plat_sim_live_count() != 0) {
        DbgPrint("ebpfcore: %u allocations were not freed\n", (unsigned)plat_sim_live_count());
    }
#endif
    device_destroy(d);
    plat_sleep_us(GRACE_US);
    plat_fini();
}

static void set_dispatch(DRIVER_OBJECT *object)
{
    object->MajorFunction[IRP_MJ_CREATE] = device_open;
    object->MajorFunction[IRP_MJ_CLEANUP] = device_cleanup;
    object->MajorFunction[IRP_MJ_CLOSE] = device_close;
    object->MajorFunction[IRP_MJ_QUERY_VOLUME_INFORMATION] = device_volume;
    object->MajorFunction[IRP_MJ_DEVICE_CONTROL] = control_dispatch;
    object->DriverUnload = unload;
}

#define MODULE_GRACE_MS 30000u // more than a client takes to open what it has started

// The device comes first: its name tells a second load of the driver that there is one already.
NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *object, UNICODE_STRING *service_key)
{
    struct driver *d = NULL;
    ebpf_result_t result = plat_init();
    if (result != EBPF_SUCCESS) {
        return driver_status(result);
    }
    NTSTATUS status = device_create(object, &d);
    if (!NT_SUCCESS(status)) {
        goto undo_plat;
    }
    d->verdict_from_administrators = parameters_read(service_key, L"VerdictFromAdministrators") == 1;
    d->jit = driver_policy_jit(service_key);
    d->module_grace_ms = MODULE_GRACE_MS;
#if defined(EBPF_SELFTEST)
    uint32_t grace_ms = parameters_read(service_key, L"ModuleGraceMs"); // so that a test need not wait
    d->module_grace_ms = grace_ms != 0 ? grace_ms : d->module_grace_ms;
    plat_sim_fail_alloc(parameters_read(service_key, L"FailAllocation")); // the n-th from here on, for a test
#endif
    status = driver_status(start(d));
    if (!NT_SUCCESS(status)) {
        goto undo_device;
    }
    set_dispatch(object);
    rundown_start();
    status = device_publish();
    if (NT_SUCCESS(status)) {
        return STATUS_SUCCESS;
    }
    rundown_wait();
    stop(d);
undo_device:
    device_destroy(d);
undo_plat:
    plat_fini();
    return status;
}
