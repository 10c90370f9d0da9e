// SPDX-License-Identifier: MIT
// client: see client.h.
#include "tests/e2e/client.h"

#include <stdlib.h>

#include "tests/test.h"
#include "tests/tiny_program.h"

static void keep_reply(const void *fixed, const uint8_t *tail, size_t tail_size,
                       const struct proto_op_row *row, struct e2e_reply *out)
{
    size_t size = row->reply_size < sizeof(out->fixed) ? row->reply_size : sizeof(out->fixed);
    if (fixed != NULL) {
        memcpy(out->fixed, fixed, size);
    }
    size = tail_size < sizeof(out->text) - 1 ? tail_size : sizeof(out->text) - 1;
    memcpy(out->text, tail, size);
    out->text[size] = 0;
}

static ebpf_result_t take_reply(struct transport *t, uint16_t op, void *bytes, size_t size, int fd,
                                struct e2e_reply *out)
{
    struct e2e_reply reply = {.fd = fd};
    const void *fixed;
    const uint8_t *tail;
    size_t tail_size;
    ebpf_result_t result = proto_reply_check(op, bytes, size, &reply.header, &fixed, &tail, &tail_size);
    if (result != EBPF_SUCCESS || (reply.header.objects == 1) != (fd >= 0)) {
        test_fail(__FILE__, __LINE__, "malformed reply to operation %u", op);
        free(bytes);
        return EBPF_FAILED;
    }
    keep_reply(fixed, tail, tail_size, proto_op_row(op), &reply);
    free(bytes);
    if (out != NULL) {
        *out = reply;
    } else if (fd >= 0) {
        t->ops->close_fd(t, fd);
    }
    return (ebpf_result_t)reply.header.result;
}

ebpf_result_t e2e_call(struct transport *t, uint16_t op, const void *fixed, const void *tail,
                       size_t tail_size, const int *fds, unsigned fd_count, struct e2e_reply *out)
{
    uint8_t bytes[2048];
    void *reply = NULL;
    size_t reply_size = 0, fixed_size = proto_op_row(op)->request_size;
    int fd = -1;
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = op,
                                  .size = (uint32_t)(sizeof(header) + fixed_size + tail_size),
                                  .objects = fd_count};
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), fixed, fixed_size);
    if (tail_size != 0) {
        memcpy(bytes + sizeof(header) + fixed_size, tail, tail_size);
    }
    TRY(t->ops->call(t, bytes, header.size, fds, fd_count, &reply, &reply_size, &fd));
    return take_reply(t, op, reply, reply_size, fd, out);
}

ebpf_result_t e2e_version(struct transport *t)
{
    struct proto_version_request fixed = {PROTO_WIRE_VERSION};
    return e2e_call(t, PROTO_VERSION, &fixed, NULL, 0, NULL, 0, NULL);
}

ebpf_result_t e2e_create_map(struct transport *t, int *fd)
{
    struct proto_map_create_request fixed = {.def = {.type = MAP_TYPE_ARRAY,
                                                     .number = 2,
                                                     .key_size = 4,
                                                     .value_size = 8,
                                                     .max_entries = 1,
                                                     .name = "m"}};
    struct e2e_reply reply;
    TRY(e2e_call(t, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0, &reply));
    *fd = reply.fd;
    return EBPF_SUCCESS;
}

static ebpf_result_t load(struct transport *t, const struct program *p, int *fd, char text[512])
{
    struct proto_prog_load_request fixed = {0};
    struct e2e_reply reply = {.fd = -1};
    uint8_t bytes[512];
    size_t size = proto_program_encode(p, bytes, sizeof(bytes));
    ebpf_result_t result = e2e_call(t, PROTO_PROG_LOAD, &fixed, bytes, size, NULL, 0, &reply);
    if (text != NULL) {
        str_copy(text, 512, reply.text);
    }
    if (result == EBPF_SUCCESS) {
        *fd = reply.fd;
    }
    return result;
}

// --- programs that verify, from a native module where the environment says so --------------------

ebpf_result_t (*e2e_install_module)(const char *path, int *fd);

ebpf_result_t e2e_load_module(struct transport *t, const char *path, int *fd, char text[512])
{
    static const struct proto_module_load_request fixed;
    struct e2e_reply reply = {.fd = -1};
    ebpf_result_t result = e2e_call(t, PROTO_MODULE_LOAD, &fixed, path, str_len(path) + 1, NULL, 0, &reply);
    if (text != NULL) {
        str_copy(text, 512, reply.text);
    }
    *fd = reply.fd;
    if (result == EBPF_OPERATION_NOT_SUPPORTED && e2e_install_module != NULL) {
        result = e2e_install_module(path, fd);
    }
    return result;
}

ebpf_result_t e2e_open_module(struct transport *t, const char *name, int *fd)
{
    char path[1024], text[512];
    str_format(path, sizeof(path), "%s/%s.so", getenv("EBPF_TEST_MODULES"), name);
    ebpf_result_t result = e2e_load_module(t, path, fd, text);
    if (result != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "module %s: %s", path, text);
    }
    return result;
}

static ebpf_result_t load_first(struct transport *t, int module, int *fd, char text[512])
{
    static const struct proto_module_program_request first;
    struct proto_prog_load_request fixed = {.native = 1};
    struct proto_module_program_reply row;
    struct e2e_reply program, reply = {.fd = -1};
    TRY(e2e_call(t, PROTO_MODULE_PROGRAM, &first, NULL, 0, &module, 1, &program));
    memcpy(&row, program.fixed, sizeof(row));
    CHECK(row.canonical_size < sizeof(program.text)); // all of it is there
    ebpf_result_t result =
        e2e_call(t, PROTO_PROG_LOAD, &fixed, program.text, row.canonical_size, &module, 1, &reply);
    if (text != NULL) {
        str_copy(text, 512, reply.text);
    }
    if (result == EBPF_SUCCESS) {
        *fd = reply.fd;
    }
    return result;
}

// The program stays when the module's descriptor goes.
static ebpf_result_t load_native(struct transport *t, const char *name, int *fd, char text[512])
{
    int module = -1;
    TRY(e2e_open_module(t, name, &module));
    ebpf_result_t result = load_first(t, module, fd, text);
    t->ops->close_fd(t, module);
    return result;
}

ebpf_result_t e2e_load(struct transport *t, bool good, int *fd, char text[512])
{
    if (good && getenv("EBPF_TEST_MODULES") != NULL) {
        return load_native(t, "one", fd, text);
    }
    const struct insn insns[] = {good ? (struct insn){.id = INSN_MOV64_IMM, .imm = 1}
                                      : (struct insn){.id = INSN_MOV64_REG, .src = 7}, // r7 was never written
                                 {.id = INSN_EXIT}};
    struct program p = tiny_program(insns, "one");
    return load(t, &p, fd, text);
}

ebpf_result_t e2e_load_insn(struct transport *t, struct insn first, int *fd)
{
    const struct insn insns[] = {first, {.id = INSN_EXIT}};
    struct program p = tiny_program(insns, "insn");
    return load(t, &p, fd, NULL);
}

ebpf_result_t e2e_code(struct transport *t, int prog, uint8_t *code, size_t room, size_t *size)
{
    struct proto_prog_dump_request fixed = {.what = PROTO_DUMP_CODE, .size = 512};
    struct proto_prog_dump_reply dump;
    struct e2e_reply reply;
    TRY(e2e_call(t, PROTO_PROG_DUMP, &fixed, NULL, 0, &prog, 1, &reply));
    memcpy(&dump, reply.fixed, sizeof(dump));
    if (dump.total > sizeof(reply.text) || dump.total > room) {
        return EBPF_INSUFFICIENT_BUFFER;
    }
    memcpy(code, reply.text, (size_t)dump.total);
    *size = (size_t)dump.total;
    return EBPF_SUCCESS;
}

ebpf_result_t e2e_load_bind(struct transport *t, int *fd)
{
    static const struct insn insns[] = {{.id = INSN_MOV64_IMM, .imm = 0}, {.id = INSN_EXIT}};
    if (getenv("EBPF_TEST_MODULES") != NULL) {
        return load_native(t, "permit", fd, NULL);
    }
    struct program p = tiny_program(insns, "permit");
    p.type = PROG_TYPE_BIND;
    p.attach_type = ATTACH_TYPE_BIND;
    p.dialect = DIALECT_WINDOWS;
    return load(t, &p, fd, NULL);
}

ebpf_result_t e2e_attach_bind(struct transport *t, int prog, int *link)
{
    struct proto_link_create_request fixed = {.attach_type = ATTACH_TYPE_BIND};
    struct e2e_reply reply;
    TRY(e2e_call(t, PROTO_LINK_CREATE, &fixed, NULL, 0, &prog, 1, &reply));
    *link = reply.fd;
    return EBPF_SUCCESS;
}

ebpf_result_t e2e_run(struct transport *t, int prog, uint32_t repeat, uint64_t *r0)
{
    struct proto_prog_test_run_request fixed = {.repeat = repeat, .data_in_size = 4};
    struct e2e_reply reply;
    TRY(e2e_call(t, PROTO_PROG_TEST_RUN, &fixed, "data", 4, &prog, 1, &reply));
    memcpy(r0, reply.fixed, sizeof(*r0));
    return EBPF_SUCCESS;
}

ebpf_result_t e2e_set_element(struct transport *t, int map, uint64_t value)
{
    struct proto_map_update_request fixed = {.key_size = 4};
    uint8_t tail[12] = {0};
    memcpy(tail + 4, &value, sizeof(value));
    return e2e_call(t, PROTO_MAP_UPDATE, &fixed, tail, sizeof(tail), &map, 1, NULL);
}

ebpf_result_t e2e_get_element(struct transport *t, int map, uint64_t *value)
{
    static const struct proto_map_lookup_request fixed;
    static const uint32_t key;
    struct e2e_reply reply;
    TRY(e2e_call(t, PROTO_MAP_LOOKUP, &fixed, &key, sizeof(key), &map, 1, &reply));
    memcpy(value, reply.text, sizeof(*value));
    return EBPF_SUCCESS;
}

ebpf_result_t e2e_info(struct transport *t, int fd, struct proto_object_info_reply *out)
{
    static const struct proto_empty fixed;
    struct e2e_reply reply;
    TRY(e2e_call(t, PROTO_OBJECT_INFO, &fixed, NULL, 0, &fd, 1, &reply));
    memcpy(out, reply.fixed, sizeof(*out));
    return EBPF_SUCCESS;
}

ebpf_result_t e2e_first(struct transport *t, uint32_t kind, int *fd)
{
    struct proto_next_id_request first = {.kind = kind};
    struct proto_open_id_request open = {.kind = kind};
    struct e2e_reply reply;
    TRY(e2e_call(t, PROTO_NEXT_ID, &first, NULL, 0, NULL, 0, &reply));
    memcpy(&open.id, reply.fixed, sizeof(open.id));
    TRY(e2e_call(t, PROTO_OPEN_ID, &open, NULL, 0, NULL, 0, &reply));
    *fd = reply.fd;
    return EBPF_SUCCESS;
}

ebpf_result_t e2e_path(struct transport *t, uint16_t op, const char *path, int fd, struct e2e_reply *out)
{
    struct proto_path_request fixed = {{0}};
    str_copy(fixed.path, sizeof(fixed.path), path);
    return e2e_call(t, op, &fixed, NULL, 0, &fd, fd >= 0, out);
}

unsigned e2e_object_count(struct transport *t, uint32_t kind)
{
    struct proto_next_id_request fixed = {.kind = kind};
    unsigned count = 0;
    for (;;) {
        struct e2e_reply reply;
        ebpf_result_t result = e2e_call(t, PROTO_NEXT_ID, &fixed, NULL, 0, NULL, 0, &reply);
        if (result != EBPF_SUCCESS) {
            return result == EBPF_NO_MORE_KEYS ? count : UINT_MAX;
        }
        memcpy(&fixed.start, reply.fixed, sizeof(fixed.start));
        count++;
    }
}

unsigned e2e_pin_count(struct transport *t)
{
    struct proto_path_request fixed = {{0}};
    unsigned count = 0;
    for (;;) {
        struct e2e_reply reply;
        ebpf_result_t result = e2e_call(t, PROTO_PIN_NEXT, &fixed, NULL, 0, NULL, 0, &reply);
        if (result != EBPF_SUCCESS) {
            return result == EBPF_NO_MORE_KEYS ? count : UINT_MAX;
        }
        memcpy(fixed.path, reply.fixed, sizeof(fixed.path));
        count++;
    }
}

ebpf_result_t e2e_send_bytes(struct transport *t, const void *bytes, size_t size, const int *fds,
                             unsigned fd_count)
{
    struct proto_header header = {0};
    void *reply = NULL;
    size_t reply_size = 0;
    int fd = -1;
    TRY(t->ops->call(t, bytes, size, fds, fd_count, &reply, &reply_size, &fd));
    if (reply_size >= sizeof(header)) {
        memcpy(&header, reply, sizeof(header));
    }
    if (header.magic != PROTO_MAGIC || header.size != reply_size || header.result >= EBPF_RESULT_COUNT) {
        test_fail(__FILE__, __LINE__, "malformed reply of %zu bytes", reply_size);
    }
    free(reply);
    if (fd >= 0) {
        t->ops->close_fd(t, fd);
    }
    return (ebpf_result_t)header.result;
}
