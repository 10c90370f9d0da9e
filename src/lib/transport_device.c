// SPDX-License-Identifier: MIT
// transport_device: channels as handles of ebpfcore's device, and what a person is told where nobody is at
// the other end. Sources: Microsoft's Win32 and NT API reference.
//
// Handles are overlapped: on a synchronous one the system would let one thread at a time in, and a long test
// run of a program would hold up every other request about it. The control is the native one because it
// gives the driver's NTSTATUS as it is, which Win32 errors do not.
#include "lib/transport_ioctl.h"

#if defined(_WIN32)
#include <windows.h>
#include <winternl.h>
#include <stdlib.h>

#include "lib/lib_int.h"
#include "lib/rpc_client.h"

// --- errors --------------------------------------------------------------------------------------

// Errors of opening a device and of calling a service.
static ebpf_result_t from_win32(uint32_t error)
{
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_BAD_PATHNAME: return EBPF_OBJECT_NOT_FOUND;
    case ERROR_ACCESS_DENIED: return EBPF_ACCESS_DENIED;
    case ERROR_OUTOFMEMORY:
    case ERROR_NOT_ENOUGH_MEMORY: return EBPF_NO_MEMORY;
    case ERROR_TOO_MANY_OPEN_FILES:
    case ERROR_NO_SYSTEM_RESOURCES: return EBPF_OUT_OF_SPACE;
    default: return EBPF_RPC_EXCEPTION;
    }
}

// What channel_control may say, as the driver translates it.
static bool is_said_by_channels(NTSTATUS status, ebpf_result_t *result)
{
    static const ebpf_result_t said[] = {
        EBPF_OPERATION_NOT_SUPPORTED,
        EBPF_ACCESS_DENIED,
        EBPF_INVALID_ARGUMENT,
        EBPF_INSUFFICIENT_BUFFER,
        EBPF_INVALID_OBJECT,
        EBPF_OBJECT_NOT_FOUND,
        EBPF_OUT_OF_SPACE,
        EBPF_NO_MEMORY,
        EBPF_CANCELED,
    };
    for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
        if (result_row(said[i])->ntstatus == (uint32_t)status) {
            *result = said[i];
            return true;
        }
    }
    return false;
}

// Other statuses come from drivers and objects that are not ours, unless the driver has gone away: a channel
// that is shut, or a device that is being removed.
static ebpf_result_t from_status(NTSTATUS status)
{
    ebpf_result_t result;
    if (is_said_by_channels(status, &result)) {
        return result;
    }
    switch ((uint32_t)status) {
    case 0xC000000E: // STATUS_NO_SUCH_DEVICE
    case 0xC0000056: // STATUS_DELETE_PENDING
    case 0xC00000C0: // STATUS_DEVICE_DOES_NOT_EXIST
    case 0xC0000128: // STATUS_FILE_CLOSED
    case 0xC00002B6: // STATUS_DEVICE_REMOVED
        return EBPF_RPC_EXCEPTION;
    case 0xC0000005: return EBPF_INVALID_POINTER; // STATUS_ACCESS_VIOLATION
    case 0xC0000044: return EBPF_NO_MEMORY;       // STATUS_QUOTA_EXCEEDED
    default:
        return (uint32_t)status == result_row(EBPF_INVALID_STATE)->ntstatus ? EBPF_RPC_EXCEPTION
                                                                            : EBPF_INVALID_FD;
    }
}

// --- the device ----------------------------------------------------------------------------------

static ebpf_result_t open_device(void *user, intptr_t *channel)
{
    UNUSED(user);
    HANDLE handle =
        CreateFileW(L"" NAME_DEVICE_USER, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                    NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
    if (handle == INVALID_HANDLE_VALUE) {
        return from_win32(GetLastError());
    }
    *channel = (intptr_t)handle;
    return EBPF_SUCCESS;
}

static void close_device(void *user, intptr_t channel)
{
    UNUSED(user);
    CloseHandle((HANDLE)channel);
}

static ebpf_result_t control_device(void *user, intptr_t channel, uint32_t function, const void *input,
                                    size_t input_size, void *output, size_t capacity, size_t *output_size)
{
    IO_STATUS_BLOCK block = {0};
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    UNUSED(user);
    if (event == NULL) {
        return EBPF_NO_MEMORY;
    }
    NTSTATUS status =
        NtDeviceIoControlFile((HANDLE)channel, event, NULL, NULL, &block, PROTO_CONTROL_CODE(function),
                              (void *)(uintptr_t)input, (ULONG)input_size, output, (ULONG)capacity);
    if (status == STATUS_PENDING) {
        WaitForSingleObject(event, INFINITE);
        status = block.Status;
    }
    CloseHandle(event);
    if (status < 0) {
        return from_status(status);
    }
    *output_size = block.Information;
    return EBPF_SUCCESS;
}

static ebpf_result_t find_channel(void *user, int fd, intptr_t *channel)
{
    UNUSED(user);
    return transport_fd_handle(fd, channel);
}

static ebpf_result_t publish_channel(void *user, intptr_t channel, int *fd)
{
    UNUSED(user);
    return transport_fd_open(channel, fd);
}

static ebpf_result_t dup_channel(void *user, int fd, int *out)
{
    UNUSED(user);
    return transport_fd_dup(fd, out);
}

static void close_channel_fd(void *user, int fd)
{
    UNUSED(user);
    transport_fd_close(fd);
}

// --- the verification service --------------------------------------------------------------------

// Starting it is the administrator's decision, so that is only proposed.
static ebpf_result_t load_by_rpc(void *user, const struct proto_token *token, const void *request,
                                 size_t size, void **reply, size_t *reply_size)
{
    ebpf_result_t result = EBPF_RPC_EXCEPTION;
    UNUSED(user);
    uint32_t error = rpc_client_load(token, request, size, &result, reply, reply_size);
    if (error == RPC_S_SERVER_UNAVAILABLE) {
        lib_warn("the verification service " NAME_SERVICE
                 " is not running; start it with `sc start " NAME_SERVICE "`\n");
    } else if (error != 0) {
        lib_warn("the verification service " NAME_SERVICE " did not answer (error %u)\n", error);
    }
    return error != 0 ? from_win32(error) : result;
}

ebpf_result_t transport_open_ioctl(struct transport **out)
{
    static const struct channel_system system = {.open = open_device,
                                                 .close = close_device,
                                                 .control = control_device,
                                                 .load = load_by_rpc,
                                                 .find = find_channel,
                                                 .publish = publish_channel,
                                                 .dup_fd = dup_channel,
                                                 .close_fd = close_channel_fd,
                                                 .alloc = malloc};
    return transport_open_channels(&system, out);
}

#define NOT_FOUND                                                                                            \
    NAME_DRIVER " is not running; start it with `sc start " NAME_DRIVER "`, or set EBPF_TRANSPORT=inproc"
#define NOT_ALLOWED "only an administrator may open " NAME_DRIVER

#else

ebpf_result_t transport_open_ioctl(struct transport **out)
{
    UNUSED(out);
    return EBPF_OPERATION_NOT_SUPPORTED;
}

#define NOT_FOUND   "is ebpfd running? may this user talk to it?"
#define NOT_ALLOWED "this user may not talk to ebpfd"
#endif

const char *transport_advice(ebpf_result_t why)
{
    switch (why) {
    case EBPF_OBJECT_NOT_FOUND: return NOT_FOUND;
    case EBPF_ACCESS_DENIED: return NOT_ALLOWED;
    case EBPF_INVALID_ARGUMENT: return "EBPF_TRANSPORT must be inproc, ioctl, unix or unix:PATH";
    case EBPF_OPERATION_NOT_SUPPORTED: return "this build does not have the transport of EBPF_TRANSPORT";
    default: return "try again";
    }
}
