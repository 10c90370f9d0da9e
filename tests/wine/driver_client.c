// SPDX-License-Identifier: MIT
// driver_client: see driver_client.h. No allocation, no threads: what a test sees is the driver's doing.
#include "tests/wine/driver_client.h"

#include <winsvc.h>

#include "spec/spec.h"
#include "tests/test.h"
#include "tests/tiny_program.h"

uint8_t client_reply[CLIENT_ROOM];
size_t client_reply_size;

HANDLE client_open(DWORD flags)
{
    return CreateFileA(NAME_DEVICE_USER, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE,
                       NULL, OPEN_EXISTING, flags, NULL);
}

DWORD client_control(HANDLE h, uint32_t function, const void *in, size_t in_size, void *out, size_t out_size,
                     size_t *size)
{
    *size = 0;
    return device_control(h, function, in, in_size, out, out_size, size) ? 0 : GetLastError();
}

// --- requests ------------------------------------------------------------------------------------

size_t client_build(uint8_t *out, uint16_t op, const void *fixed, const void *tail, size_t tail_size,
                    unsigned objects)
{
    const struct proto_op_row *row = proto_op_row(op);
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = op,
                                  .size = (uint32_t)(sizeof(header) + row->request_size + tail_size),
                                  .objects = objects};
    memcpy(out, &header, sizeof(header));
    memcpy(out + sizeof(header), fixed, row->request_size);
    if (tail_size != 0) {
        memcpy(out + sizeof(header) + row->request_size, tail, tail_size);
    }
    return header.size;
}

static ebpf_result_t reply_result(DWORD error)
{
    struct proto_header header;
    if (error != 0 || client_reply_size < sizeof(header)) {
        SetLastError(error);
        return EBPF_RPC_EXCEPTION;
    }
    memcpy(&header, client_reply, sizeof(header));
    return (ebpf_result_t)header.result;
}

ebpf_result_t client_ask(HANDLE h, uint16_t op, const void *fixed, const void *tail, size_t tail_size,
                         unsigned objects)
{
    uint8_t message[CLIENT_ROOM];
    size_t size = client_build(message, op, fixed, tail, tail_size, objects);
    return reply_result(client_control(h, PROTO_CONTROL_REQUEST, message, size, client_reply,
                                       sizeof(client_reply), &client_reply_size));
}

// --- objects -------------------------------------------------------------------------------------

ebpf_result_t client_make_array(HANDLE h, uint32_t elements, uint32_t value_size)
{
    struct proto_map_create_request fixed = {.def = {.type = MAP_TYPE_ARRAY,
                                                     .number = MAP_TYPE_ARRAY,
                                                     .key_size = 4,
                                                     .value_size = value_size,
                                                     .max_entries = elements,
                                                     .name = "m"}};
    return client_ask(h, PROTO_MAP_CREATE, &fixed, NULL, 0, 0);
}

static size_t build_verdict(uint8_t out[CLIENT_ROOM], const struct proto_token *token, uint32_t prog_type,
                            uint32_t attach_type, struct insn first)
{
    const struct insn insns[] = {first, {.id = INSN_EXIT}};
    static const uint32_t evidence[] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, ARRAY_SIZE(insns), 0};
    static const struct proto_prog_load_request fixed;
    struct program p = tiny_program(insns, "answer");
    uint8_t program[1024], request[2048];
    p.type = prog_type;
    p.attach_type = attach_type;
    p.dialect = DIALECT_WINDOWS;
    size_t size = proto_program_encode(&p, program, sizeof(program));
    size = client_build(request, PROTO_PROG_LOAD, &fixed, program, size, 0);
    struct proto_verdict_parts parts = {.head = {.token = *token,
                                                 .evidence_size = sizeof(evidence),
                                                 .text_size = 1,
                                                 .json_size = 3,
                                                 .request_size = (uint32_t)size},
                                        .evidence = (const uint8_t *)evidence,
                                        .text = "",
                                        .json = "[]",
                                        .request = request};
    return proto_verdict_encode(&parts, out, CLIENT_ROOM);
}

#define ANSWER ((struct insn){.id = INSN_MOV64_IMM, .imm = 42})

size_t client_build_verdict(uint8_t out[CLIENT_ROOM], const struct proto_token *token, uint32_t prog_type,
                            uint32_t attach_type)
{
    return build_verdict(out, token, prog_type, attach_type, ANSWER);
}

static ebpf_result_t make_program(HANDLE h, uint32_t prog_type, uint32_t attach_type, struct insn first)
{
    static uint8_t verdict[CLIENT_ROOM];
    struct proto_token token;
    if (!device_offer(h, &token)) {
        return reply_result(GetLastError());
    }
    size_t size = build_verdict(verdict, &token, prog_type, attach_type, first);
    return reply_result(client_control(h, PROTO_CONTROL_VERDICT, verdict, size, client_reply,
                                       sizeof(client_reply), &client_reply_size));
}

ebpf_result_t client_make_program(HANDLE h, uint32_t prog_type, uint32_t attach_type)
{
    return make_program(h, prog_type, attach_type, ANSWER);
}

ebpf_result_t client_make_insn(HANDLE h, struct insn first)
{
    return make_program(h, PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY, first);
}

ebpf_result_t client_make_link(HANDLE h, HANDLE prog)
{
    struct proto_link_create_request fixed = {.attach_type = ATTACH_TYPE_BIND};
    struct proto_token token;
    if (!device_offer(h, &token) || !device_lend(prog, &token)) {
        return reply_result(GetLastError());
    }
    return client_ask(h, PROTO_LINK_CREATE, &fixed, NULL, 0, 1);
}

DWORD client_try(void)
{
    struct proto_token token;
    HANDLE h = client_open(0);
    if (h == INVALID_HANDLE_VALUE) {
        return GetLastError();
    }
    DWORD error = device_offer(h, &token) ? 0 : GetLastError();
    CloseHandle(h);
    return error;
}

// --- what is left --------------------------------------------------------------------------------

struct proto_witness client_witness(void)
{
    struct proto_witness w = {0};
    return device_witness(&w) ? w : (struct proto_witness){0};
}

// --- the service of the driver -------------------------------------------------------------------

static SC_HANDLE open_service(const wchar_t *name)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_ALL_ACCESS);
    SC_HANDLE service = OpenServiceW(manager, name, SERVICE_ALL_ACCESS);
    CloseServiceHandle(manager);
    return service;
}

DWORD driver_clone(const wchar_t *name)
{
    static uint64_t room[1024];
    QUERY_SERVICE_CONFIGW *config = (QUERY_SERVICE_CONFIGW *)room;
    DWORD size = 0, error = 0;
    SC_HANDLE original = open_service(L"" NAME_DRIVER), clone = NULL;
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_ALL_ACCESS);
    if (QueryServiceConfigW(original, config, sizeof(room), &size)) {
        clone = CreateServiceW(manager, name, name, SERVICE_ALL_ACCESS, SERVICE_KERNEL_DRIVER,
                               SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL, config->lpBinaryPathName,
                               L"" NAME_LOAD_GROUP, NULL, NULL, NULL, NULL);
    }
    error = clone == NULL ? GetLastError() : 0;
    CloseServiceHandle(clone);
    CloseServiceHandle(original);
    CloseServiceHandle(manager);
    return error;
}

void driver_remove(const wchar_t *name)
{
    SC_HANDLE service = open_service(name);
    (void)DeleteService(service);
    CloseServiceHandle(service);
}

void driver_set_parameter(const wchar_t *name, DWORD value)
{
    (void)RegSetKeyValueW(HKEY_LOCAL_MACHINE,
                          L"System\\CurrentControlSet\\Services\\" NAME_DRIVER "\\Parameters", name,
                          REG_DWORD, &value, sizeof(value));
}
