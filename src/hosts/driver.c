// SPDX-License-Identifier: MIT
// driver: ebpfcore.sys: the execution context in the kernel. Wires the pieces together; bring-up and unload
// are mirror images.
//
// Windows unloads a driver whose last handle has been closed; Wine at once. Either way every object vanishes,
// also those that are pinned or attached.
#include "hosts/driver.h"

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

// --- parameters ----------------------------------------------------------------------------------

#define PARAMETERS L"\\Parameters"

static NTSTATUS open_parameters(UNICODE_STRING *service_key, HANDLE *out)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING path = {.MaximumLength = (USHORT)(service_key->Length + sizeof(PARAMETERS))};
    path.Buffer = plat_alloc(path.MaximumLength, POOL_TAG_CORE);
    if (path.Buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlCopyUnicodeString(&path, service_key);
    NTSTATUS status = RtlAppendUnicodeToString(&path, PARAMETERS);
    InitializeObjectAttributes(&attributes, &path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (NT_SUCCESS(status)) {
        status = ZwOpenKey(out, KEY_READ, &attributes);
    }
    plat_free(path.Buffer);
    return status;
}

// A REG_DWORD of the service's Parameters; 0 when it is not there.
static uint32_t read_parameter(UNICODE_STRING *service_key, const wchar_t *name)
{
    struct {
        KEY_VALUE_PARTIAL_INFORMATION info;
        uint32_t room;
    } value = {0};
    HANDLE key = NULL;
    UNICODE_STRING text;
    uint32_t number = 0;
    ULONG size = 0;
    if (!NT_SUCCESS(open_parameters(service_key, &key))) {
        return 0;
    }
    RtlInitUnicodeString(&text, name);
    NTSTATUS status = ZwQueryValueKey(key, &text, KeyValuePartialInformation, &value, sizeof(value), &size);
    if (NT_SUCCESS(status) && value.info.Type == REG_DWORD && value.info.DataLength == sizeof(number)) {
        memcpy(&number, value.info.Data, sizeof(number));
    }
    ZwClose(key);
    return number;
}

// --- bring-up ------------------------------------------------------------------------------------

static ebpf_result_t make_core(struct driver *d)
{
    struct core_options options = {.runtime = {.spec = spec_builtin(), .trace = trace},
                                   .platform = DIALECT_WINDOWS,
                                   .execution = CORE_JIT,
                                   .integrity = driver_policy_facts(),
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

static ebpf_result_t start(struct driver *d)
{
    ebpf_result_t result;
    TRY(make_core(d));
    TRY_OR(result, hooks_create(core_runtime(d->core), &d->hooks), undo_core);
    TRY_OR(result, channels_create(d->core, &d->channels), undo_hooks);
    TRY_OR(result, queue_create(&d->queues[QUEUE_RUNS], d, run_workers()), undo_channels);
    TRY_OR(result, queue_create(&d->queues[QUEUE_SHORT], d, 2), undo_runs);
    return EBPF_SUCCESS;

undo_runs:
    queue_destroy(&d->queues[QUEUE_RUNS]);
undo_channels:
    channels_destroy(d->channels);
undo_hooks:
    hooks_destroy(d->hooks);
undo_core:
    core_destroy(d->core);
    return result;
}

// Attached programs are detached by the hooks, pins are dropped by the core, handles that are still open lose
// what they held.
static void stop(struct driver *d)
{
    queue_destroy(&d->queues[QUEUE_SHORT]);
    queue_destroy(&d->queues[QUEUE_RUNS]);
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
    d->verdict_from_administrators = read_parameter(service_key, L"VerdictFromAdministrators") == 1;
#if defined(EBPF_SELFTEST)
    plat_sim_fail_alloc(read_parameter(service_key, L"FailAllocation")); // the n-th from here on, for a test
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
