// SPDX-License-Identifier: MIT
// setup_probe: asks the driver and the service for an answer, and the system for its code integrity.
#include <stdlib.h>
#include <winternl.h>

#include "hosts/setup.h"
#include "lib/rpc_client.h"

#define SYSTEM_CODE_INTEGRITY_INFORMATION 103 // Source: Microsoft's documentation of NtQuerySystemInformation
#define REPLY_ROOM                        256u

struct version_request {
    struct proto_header header;
    struct proto_version_request fixed;
};

static DWORD exchange(HANDLE device, uint8_t *reply, DWORD *size)
{
    struct version_request request = {
        .header = {.magic = PROTO_MAGIC,
                   .version = PROTO_WIRE_VERSION,
                   .op = PROTO_VERSION,
                   .size = sizeof(struct proto_header) + sizeof(struct proto_version_request)},
        .fixed = {.version = PROTO_WIRE_VERSION}};
    return DeviceIoControl(device, PROTO_CONTROL_CODE(PROTO_CONTROL_REQUEST), &request, request.header.size,
                           reply, REPLY_ROOM, size, NULL)
               ? 0
               : GetLastError();
}

static DWORD read_reply(const uint8_t *reply, DWORD size, struct setup_facts *out)
{
    struct proto_version_reply version;
    struct proto_header header;
    const void *fixed;
    const uint8_t *tail;
    size_t tail_size;
    if (proto_reply_check(PROTO_VERSION, reply, size, &header, &fixed, &tail, &tail_size) != EBPF_SUCCESS) {
        return ERROR_INVALID_DATA;
    }
    if (header.result != EBPF_SUCCESS || fixed == NULL) {
        return result_row((ebpf_result_t)header.result)->win32;
    }
    memcpy(&version, fixed, sizeof(version));
    out->protocol = version.version;
    out->cpu_count = version.cpu_count;
    return 0;
}

static DWORD probe_driver(struct setup_facts *out)
{
    uint8_t reply[REPLY_ROOM];
    DWORD size = 0;
    HANDLE device = CreateFileW(L"" NAME_DEVICE_USER, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                                FILE_ATTRIBUTE_NORMAL, NULL);
    if (device == INVALID_HANDLE_VALUE) {
        return GetLastError();
    }
    DWORD error = exchange(device, reply, &size);
    CloseHandle(device);
    return error != 0 ? error : read_reply(reply, size, out);
}

// A request that is none: the service says so, and that is an answer.
static DWORD probe_service(void)
{
    static const struct proto_token nobody;
    static const uint8_t request[sizeof(struct proto_header)];
    ebpf_result_t result;
    size_t reply_size = 0;
    void *reply = NULL;
    DWORD error = rpc_client_load(&nobody, request, sizeof(request), &result, &reply, &reply_size);
    free(reply);
    return error;
}

static bool ask_integrity(uint32_t *options)
{
    ULONG answer[2] = {sizeof(answer), 0}; // length, options
    NTSTATUS status = NtQuerySystemInformation((SYSTEM_INFORMATION_CLASS)SYSTEM_CODE_INTEGRITY_INFORMATION,
                                               answer, sizeof(answer), NULL);
    *options = answer[1];
    return NT_SUCCESS(status);
}

void setup_probe(struct setup_facts *out)
{
    memset(out, 0, sizeof(*out));
    out->driver_error = probe_driver(out);
    out->driver_answers = out->driver_error == 0;
    out->service_error = probe_service();
    out->service_answers = out->service_error == 0;
    out->integrity_known = ask_integrity(&out->integrity_options);
}
