// SPDX-License-Identifier: MIT
// driver_control: IRP_MJ_DEVICE_CONTROL. Sizes and the control's right are checked before anything is read;
// the system buffer is the kernel's copy of what the caller sent and becomes what the caller gets.
#include "hosts/driver.h"

#if defined(EBPF_SELFTEST)
#include "hosts/selftest.h"
#endif

#define FILTER_SIZE 64 // of SELFTEST, with its NUL

_Static_assert(PROTO_CONTROL_CODE(PROTO_CONTROL_REQUEST) == CTL_CODE(FILE_DEVICE_NULL, PROTO_CONTROL_REQUEST,
                                                                     METHOD_BUFFERED,
                                                                     FILE_READ_ACCESS | FILE_WRITE_ACCESS),
               "control codes are those of the system's macro");

// --- the call ------------------------------------------------------------------------------------

static ULONG function_of(ULONG code)
{
    return code >> 2 & 0xfff;
}

// The call of an IRP, or why there is none: another method, device type or access than ours, or too large.
static ebpf_result_t make_call(IRP *irp, struct channel_call *call)
{
    const IO_STACK_LOCATION *at = IoGetCurrentIrpStackLocation(irp);
    ULONG code = at->Parameters.DeviceIoControl.IoControlCode;
    *call = (struct channel_call){.function = function_of(code),
                                  .input = irp->AssociatedIrp.SystemBuffer,
                                  .input_size = at->Parameters.DeviceIoControl.InputBufferLength,
                                  .output_capacity = at->Parameters.DeviceIoControl.OutputBufferLength};
    if (code != PROTO_CONTROL_CODE(call->function)) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if (call->input_size > PROTO_MAX_VERDICT || call->output_capacity > PROTO_MAX_SIZE) {
        return EBPF_INVALID_ARGUMENT;
    }
    return call->input == NULL && (call->input_size != 0 || call->output_capacity != 0)
               ? EBPF_INVALID_ARGUMENT
               : EBPF_SUCCESS;
}

// --- controls of Debug drivers -------------------------------------------------------------------

#if defined(EBPF_SELFTEST)
// For tests that nothing is left behind; allocates nothing itself.
static ebpf_result_t witness(struct driver *d, struct channel_call *call)
{
    struct proto_witness w = {.live_allocations = plat_sim_live_count(),
                              .pending_requests = __atomic_load_n(&d->pending, __ATOMIC_SEQ_CST),
                              .violations = (uint32_t)plat_sim_violation_count(),
                              .own_allocations = d->own_allocations};
    if (call->output_capacity < sizeof(w)) {
        return EBPF_INSUFFICIENT_BUFFER;
    }
    channels_witness(d->channels, &w);
    memcpy((void *)(uintptr_t)call->input, &w, sizeof(w));
    call->output = call->input;
    call->output_size = sizeof(w);
    return EBPF_SUCCESS;
}

static ebpf_result_t selftest(struct channel_call *call)
{
    char filter[FILTER_SIZE] = {0};
    if (call->input_size >= sizeof(filter)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (call->output_capacity == 0) {
        return EBPF_INSUFFICIENT_BUFFER;
    }
    if (call->input_size != 0) {
        memcpy(filter, call->input, call->input_size);
    }
    char *out = (char *)(uintptr_t)call->input;
    size_t size = selftest_run(filter[0] != '\0' ? filter : NULL, out, call->output_capacity);
    call->output = out;
    call->output_size = size < call->output_capacity ? size : call->output_capacity;
    return EBPF_SUCCESS;
}
#endif

static ebpf_result_t execute(struct driver *d, struct channel *c, struct channel_call *call)
{
#if defined(EBPF_SELFTEST)
    if (call->function == PROTO_CONTROL_WITNESS) {
        return witness(d, call);
    }
    if (call->function == PROTO_CONTROL_SELFTEST) {
        return selftest(call);
    }
#else
    UNUSED(d);
#endif
    return channel_control(c, call);
}

// --- execution -----------------------------------------------------------------------------------

// A reply that says that the request was given up, because nobody waited for it.
static bool is_cancelled_reply(const struct channel_call *call)
{
    struct proto_header header = {0};
    if (call->function == PROTO_CONTROL_REQUEST && call->output_size >= sizeof(header)) {
        memcpy(&header, call->output, sizeof(header));
    }
    return header.result == EBPF_CANCELED;
}

// Puts the output into the system buffer, which is as large as the output may be.
static NTSTATUS deliver(IRP *irp, const struct channel_call *call, size_t *information)
{
    if (is_cancelled_reply(call)) {
        return STATUS_CANCELLED;
    }
    if (call->output_size > call->output_capacity) {
        return STATUS_INTERNAL_ERROR;
    }
    if (call->output_size != 0) {
        memmove(irp->AssociatedIrp.SystemBuffer, call->output, call->output_size);
    }
    *information = call->output_size;
    return STATUS_SUCCESS;
}

NTSTATUS control_execute(struct driver *d, IRP *irp, struct channel *c, bool (*is_abandoned)(void *user),
                         void *user, size_t *information)
{
    struct channel_call call;
    struct arena arena;
    NTSTATUS status;
    ebpf_result_t result = make_call(irp, &call);
    if (result != EBPF_SUCCESS) {
        return driver_status(result);
    }
    arena_init(&arena, plat_mem_source(), 0);
    call.arena = &arena;
    call.is_abandoned = is_abandoned;
    call.user = user;
    result = execute(d, c, &call);
    status = result == EBPF_SUCCESS ? deliver(irp, &call, information) : driver_status(result);
    arena_fini(&arena);
    return status;
}

// --- dispatch ------------------------------------------------------------------------------------

static enum queue_kind queue_of(const struct channel_call *call)
{
    struct proto_header header = {0};
    if (call->function == PROTO_CONTROL_REQUEST) {
        memcpy(&header, call->input, sizeof(header)); // it waits, so it has one
    }
    return call->function == PROTO_CONTROL_SELFTEST || header.op == PROTO_PROG_TEST_RUN ? QUEUE_RUNS
                                                                                        : QUEUE_SHORT;
}

// STATUS_PENDING: somebody else completes it.
static NTSTATUS dispatch(struct driver *d, IRP *irp, size_t *information)
{
    struct channel *c = IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext;
    struct channel_call call;
    if (c == NULL) {
        return STATUS_ACCESS_DENIED; // Wine gives out a handle although the open was refused
    }
    ebpf_result_t result = make_call(irp, &call);
    if (result != EBPF_SUCCESS) {
        return driver_status(result);
    }
    if (channel_call_waits(&call)) {
        return queue_insert(&d->queues[queue_of(&call)], irp, c);
    }
    return control_execute(d, irp, c, NULL, NULL, information);
}

NTSTATUS NTAPI control_dispatch(DEVICE_OBJECT *device, IRP *irp)
{
    size_t information = 0;
    if (!rundown_acquire()) {
        return driver_complete(irp, STATUS_DELETE_PENDING, 0);
    }
    NTSTATUS status = dispatch(driver_of(device), irp, &information);
    if (status != STATUS_PENDING) {
        (void)driver_complete(irp, status, information);
    }
    rundown_release();
    return status;
}
