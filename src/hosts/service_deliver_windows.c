// SPDX-License-Identifier: MIT
// service_deliver: one VERDICT control on a fresh handle of the device.
#include "hosts/service_deliver.h"

#include <stdlib.h>
#include <windows.h>

#define REPLY_SLACK 65536 // for what the execution context says of its own

static ebpf_result_t from_error(DWORD error)
{
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_BAD_DEVICE: return EBPF_OBJECT_NOT_FOUND; // no device
    default: break;
    }
    for (uint32_t i = 1; i < EBPF_RESULT_COUNT; i++) {
        if (result_row((ebpf_result_t)i)->win32 == error) {
            return (ebpf_result_t)i;
        }
    }
    return EBPF_FAILED;
}

static struct proto_verdict_parts parts_of(const struct proto_token *token, const struct core_verdict *v,
                                           const void *request, size_t request_size)
{
    return (struct proto_verdict_parts){.head = {.token = *token,
                                                 .result = v->result,
                                                 .evidence_size = (uint32_t)v->evidence.size,
                                                 .text_size = (uint32_t)str_len(v->text) + 1,
                                                 .json_size = (uint32_t)str_len(v->json) + 1,
                                                 .request_size = (uint32_t)request_size,
                                                 .states = v->states,
                                                 .peak_kb = v->peak_kb,
                                                 .time_us = v->time_us},
                                        .evidence = v->evidence.bytes,
                                        .text = v->text,
                                        .json = v->json,
                                        .request = request};
}

static ebpf_result_t control(const void *input, size_t size, void *output, size_t capacity, size_t *got)
{
    DWORD returned = 0, error = ERROR_SUCCESS;
    HANDLE device = CreateFileW(L"" NAME_DEVICE_USER, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                                SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
    if (device == INVALID_HANDLE_VALUE) {
        return from_error(GetLastError());
    }
    if (!DeviceIoControl(device, PROTO_CONTROL_CODE(PROTO_CONTROL_VERDICT), (void *)(uintptr_t)input,
                         (DWORD)size, output, (DWORD)capacity, &returned, NULL)) {
        error = GetLastError();
    }
    CloseHandle(device);
    *got = returned;
    return error == ERROR_SUCCESS ? EBPF_SUCCESS : from_error(error);
}

static ebpf_result_t exchange(const void *input, size_t size, size_t capacity, void **reply,
                              size_t *reply_size)
{
    void *output = malloc(capacity);
    if (output == NULL) {
        return EBPF_NO_MEMORY;
    }
    ebpf_result_t result = control(input, size, output, capacity, reply_size);
    if (result != EBPF_SUCCESS) {
        free(output);
        return result;
    }
    *reply = output;
    return EBPF_SUCCESS;
}

ebpf_result_t service_deliver(const struct proto_token *token, const struct core_verdict *verdict,
                              const void *request, size_t size, void **reply, size_t *reply_size)
{
    struct proto_verdict_parts parts = parts_of(token, verdict, request, size);
    size_t input_size = proto_verdict_encode(&parts, NULL, 0);
    size_t capacity = sizeof(struct proto_header) + sizeof(struct proto_prog_load_reply) +
                      parts.head.text_size + parts.head.json_size + REPLY_SLACK;
    if (input_size > PROTO_MAX_VERDICT) {
        return EBPF_PROGRAM_TOO_LARGE;
    }
    void *input = malloc(input_size);
    if (input == NULL) {
        return EBPF_NO_MEMORY;
    }
    proto_verdict_encode(&parts, input, input_size);
    ebpf_result_t result = exchange(input, input_size, capacity, reply, reply_size);
    free(input);
    return result;
}
