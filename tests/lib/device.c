// SPDX-License-Identifier: MIT
// device: see device.h.
#include "tests/lib/device.h"

#include <stdio.h>
#include <string.h>

#include "tests/tiny_program.h"

enum { WAIT_TURNS = 1000, WAIT_STEP_MS = 10 };

HANDLE device_open(void)
{
    return CreateFileW(L"" NAME_DEVICE_USER, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                       NULL, OPEN_EXISTING, 0, NULL);
}

bool device_control(HANDLE device, uint32_t function, const void *input, size_t input_size, void *output,
                    size_t capacity, size_t *output_size)
{
    DWORD written = 0;
    if (!DeviceIoControl(device, PROTO_CONTROL_CODE(function), (void *)(uintptr_t)input, (DWORD)input_size,
                         output, (DWORD)capacity, &written, NULL)) {
        return false;
    }
    *output_size = written;
    return true;
}

static size_t build(uint8_t *bytes, uint16_t op, const void *fixed, size_t fixed_size, unsigned objects)
{
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = op,
                                  .size = (uint32_t)(sizeof(header) + fixed_size),
                                  .objects = objects};
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), fixed, fixed_size);
    return header.size;
}

ebpf_result_t device_request(HANDLE device, uint16_t op, const void *fixed, unsigned objects)
{
    uint8_t request[1024], reply[4096];
    struct proto_header header;
    size_t written = 0, size = build(request, op, fixed, proto_op_row(op)->request_size, objects);
    if (!device_control(device, PROTO_CONTROL_REQUEST, request, size, reply, sizeof(reply), &written) ||
        written < sizeof(header)) {
        return EBPF_RPC_EXCEPTION;
    }
    memcpy(&header, reply, sizeof(header));
    return (ebpf_result_t)header.result;
}

bool device_offer(HANDLE device, struct proto_token *token)
{
    size_t written = 0;
    return device_control(device, PROTO_CONTROL_OFFER, NULL, 0, token, sizeof(*token), &written) &&
           written == sizeof(*token);
}

bool device_lend(HANDLE device, const struct proto_token *token)
{
    size_t written = 0;
    return device_control(device, PROTO_CONTROL_LEND, token, sizeof(*token), NULL, 0, &written);
}

static const struct map_def small_map = {
    .type = MAP_TYPE_ARRAY, .number = 2, .key_size = 4, .value_size = 8, .max_entries = 1, .name = "m"};

HANDLE device_make_map(void)
{
    struct proto_map_create_request fixed = {.def = small_map};
    HANDLE device = device_open();
    if (device != INVALID_HANDLE_VALUE &&
        device_request(device, PROTO_MAP_CREATE, &fixed, 0) != EBPF_SUCCESS) {
        CloseHandle(device);
        device = INVALID_HANDLE_VALUE;
    }
    return device;
}

size_t device_load_request(unsigned maps, uint8_t *bytes, size_t capacity)
{
    static const struct insn insns[] = {{.id = INSN_MOV64_IMM, .imm = 1}, {.id = INSN_EXIT}};
    static const struct proto_prog_load_request fixed;
    struct map_def defs[SPEC_MAX_MAPS];
    struct program p = tiny_program(insns, "one");
    for (unsigned i = 0; i < maps; i++) {
        defs[i] = small_map;
    }
    p.maps = defs;
    p.map_count = maps;
    size_t head = build(bytes, PROTO_PROG_LOAD, &fixed, sizeof(fixed), maps);
    size_t size = head + proto_program_encode(&p, bytes + head, capacity - head);
    ((struct proto_header *)bytes)->size = (uint32_t)size;
    return size;
}

bool device_witness(struct proto_witness *out)
{
    HANDLE device = device_open();
    size_t written = 0;
    if (device == INVALID_HANDLE_VALUE) {
        printf("the device cannot be opened: error %lu\n", GetLastError());
        return false;
    }
    bool good = device_control(device, PROTO_CONTROL_WITNESS, NULL, 0, out, sizeof(*out), &written) &&
                written == sizeof(*out);
    if (!good) {
        printf("the driver does not count: error %lu\n", GetLastError());
    }
    CloseHandle(device);
    return good;
}

static void print_witness(const char *what, const struct proto_witness *w)
{
    printf("%s: %llu channels, %llu allocations (%u the driver's own), %u maps, %u programs, %u links, "
           "%u modules, %u pending, %u violations\n",
           what, (unsigned long long)w->channels, (unsigned long long)w->live_allocations, w->own_allocations,
           w->objects[PROTO_KIND_MAP], w->objects[PROTO_KIND_PROGRAM], w->objects[PROTO_KIND_LINK],
           w->objects[PROTO_KIND_MODULE], w->pending_requests, w->violations);
}

// One channel asks, and is one allocation. Violations are no matter of time.
static bool is_quiet(const struct proto_witness *w)
{
    static const uint32_t none[ARRAY_SIZE(w->objects)];
    return w->channels == 1 && w->live_allocations == w->own_allocations + 1u && w->pending_requests == 0 &&
           memcmp(w->objects, none, sizeof(none)) == 0;
}

bool device_wait_quiet(struct proto_witness *out)
{
    for (int i = 0; i < WAIT_TURNS; i++) {
        if (!device_witness(out)) {
            return false;
        }
        if (is_quiet(out)) {
            return true;
        }
        Sleep(WAIT_STEP_MS);
    }
    print_witness("not quiet", out);
    return false;
}

bool device_wait_witness(const struct proto_witness *expected)
{
    struct proto_witness now = {0};
    for (int i = 0; i < WAIT_TURNS; i++) {
        if (!device_witness(&now)) {
            return false;
        }
        if (memcmp(&now, expected, sizeof(now)) == 0) {
            return true;
        }
        Sleep(WAIT_STEP_MS);
    }
    print_witness("expected", expected);
    print_witness("found", &now);
    return false;
}
