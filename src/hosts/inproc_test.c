// SPDX-License-Identifier: MIT
// The whole product in one process: map, program, verification, pins, descriptors. The same on every
// platform.
#include "hosts/inproc.h"

#include <stdlib.h>

#include "plat/plat.h"
#include "tests/test.h"
#include "tests/tiny_program.h"

struct answer {
    ebpf_result_t result;
    struct proto_header header;
    uint8_t fixed[64];
    char text[256]; // first part of the tail
    int fd;
};

static struct answer take(uint16_t op, void *bytes, size_t size, int fd)
{
    struct answer a = {.fd = fd};
    const void *fixed;
    const uint8_t *tail;
    size_t tail_size;
    a.result = proto_reply_check(op, bytes, size, &a.header, &fixed, &tail, &tail_size);
    if (a.result == EBPF_SUCCESS) {
        size_t fixed_size = min_u32(proto_op_row(op)->reply_size, sizeof(a.fixed));
        memcpy(a.fixed, fixed != NULL ? fixed : a.fixed, fixed_size);
        memcpy(a.text, tail, tail_size < sizeof(a.text) ? tail_size : sizeof(a.text) - 1);
        a.result = (ebpf_result_t)a.header.result;
    }
    free(bytes);
    return a;
}

static struct answer call(struct transport *t, uint16_t op, const void *fixed, const void *tail,
                          size_t tail_size, const int *fds, unsigned fd_count)
{
    uint8_t bytes[2048];
    size_t fixed_size = proto_op_row(op)->request_size, reply_size = 0;
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = op,
                                  .size = (uint32_t)(sizeof(header) + fixed_size + tail_size),
                                  .objects = fd_count};
    void *reply = NULL;
    int fd = -1;
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), fixed, fixed_size);
    if (tail_size != 0) {
        memcpy(bytes + sizeof(header) + fixed_size, tail, tail_size);
    }
    ebpf_result_t result = t->ops->call(t, bytes, header.size, fds, fd_count, &reply, &reply_size, &fd);
    return result == EBPF_SUCCESS ? take(op, reply, reply_size, fd)
                                  : (struct answer){.result = result, .fd = -1};
}

static struct answer create_map(struct transport *t)
{
    struct proto_map_create_request fixed = {.def = {.type = MAP_TYPE_HASH,
                                                     .number = 1,
                                                     .key_size = 4,
                                                     .value_size = 4,
                                                     .max_entries = 3,
                                                     .name = "m"}};
    return call(t, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0);
}

static struct answer load(struct transport *t, uint8_t source)
{
    struct insn insns[] = {{.id = INSN_MOV64_REG, .src = source}, {.id = INSN_EXIT}};
    struct program p = tiny_program(insns, "size");
    struct proto_prog_load_request fixed = {0};
    uint8_t bytes[512];
    return call(t, PROTO_PROG_LOAD, &fixed, bytes, proto_program_encode(&p, bytes, sizeof(bytes)), NULL, 0);
}

static unsigned count(struct transport *t, uint32_t kind)
{
    struct proto_next_id_request fixed = {.kind = kind};
    unsigned n = 0;
    for (;; n++) {
        struct answer a = call(t, PROTO_NEXT_ID, &fixed, NULL, 0, NULL, 0);
        if (a.result != EBPF_SUCCESS) {
            return a.result == EBPF_NO_MORE_KEYS ? n : UINT_MAX;
        }
        memcpy(&fixed.start, a.fixed, sizeof(fixed.start));
    }
}

#define WITH_TRANSPORT(name)                                                                                 \
    static void name##_body(struct transport *t);                                                            \
    static void name(void)                                                                                   \
    {                                                                                                        \
        struct transport *t = NULL;                                                                          \
        REQUIRE_OK(inproc_open(&t));                                                                         \
        name##_body(t);                                                                                      \
        t->ops->close(t);                                                                                    \
        CHECK_EQ(plat_sim_live_count(), 0);                                                                  \
    }                                                                                                        \
    static void name##_body(struct transport *t)

WITH_TRANSPORT(programs_run)
{
    struct answer a = load(t, 2); // r0 = r2, the length of the memory
    struct proto_prog_test_run_request run = {.data_in_size = 7};
    uint64_t retval = 0;
    REQUIRE_OK(a.result);
    REQUIRE(a.fd >= 0);
    struct answer ran = call(t, PROTO_PROG_TEST_RUN, &run, "1234567", 7, &a.fd, 1);
    CHECK_OK(ran.result);
    memcpy(&retval, ran.fixed, sizeof(retval));
    CHECK_EQ(retval, 7);
    t->ops->close_fd(t, a.fd);
    CHECK_EQ(count(t, PROTO_KIND_PROGRAM), 0);
}

WITH_TRANSPORT(bad_programs_are_refused)
{
    struct answer a = load(t, 6); // r6 was never written
    CHECK_EQ(a.result, EBPF_VERIFICATION_FAILED);
    CHECK(a.fd < 0 && a.text[0] != 0);
    CHECK_EQ(count(t, PROTO_KIND_PROGRAM), 0);
}

// Looks up in what the first look-up in the map found, as if that were a map.
static struct answer load_nested(struct transport *t, const struct map_def *def, int map)
{
    static const struct insn insns[] = {{.id = INSN_STW, .dst = 10, .off = -4},
                                        {.id = INSN_LDDW_MAP, .dst = 1},
                                        {0},
                                        {.id = INSN_MOV64_REG, .dst = 2, .src = 10},
                                        {.id = INSN_ADD64_IMM, .dst = 2, .imm = -4},
                                        {.id = INSN_CALL, .imm = HELPER_MAP_LOOKUP_ELEM},
                                        {.id = INSN_JEQ64_IMM, .off = 4},
                                        {.id = INSN_MOV64_REG, .dst = 1},
                                        {.id = INSN_MOV64_REG, .dst = 2, .src = 10},
                                        {.id = INSN_ADD64_IMM, .dst = 2, .imm = -4},
                                        {.id = INSN_CALL, .imm = HELPER_MAP_LOOKUP_ELEM},
                                        {.id = INSN_MOV64_IMM},
                                        {.id = INSN_EXIT}};
    static const struct func func = {0, ARRAY_SIZE(insns), 0, "main"};
    static const struct map_facts facts = {.has_inner = true};
    struct proto_prog_load_request fixed = {0};
    struct program p = tiny_program(insns, "nested");
    uint8_t bytes[1024];
    p.insn_count = ARRAY_SIZE(insns);
    p.funcs = &func;
    p.maps = def;
    p.map_facts = &facts;
    p.map_count = 1;
    return call(t, PROTO_PROG_LOAD, &fixed, bytes, proto_program_encode(&p, bytes, sizeof(bytes)), &map, 1);
}

// What a client says about a map does not make addresses of what user mode wrote into it.
WITH_TRANSPORT(values_are_no_maps)
{
    static const uint32_t types[] = {MAP_TYPE_ARRAY, MAP_TYPE_HASH, MAP_TYPE_PERCPU_ARRAY};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        struct proto_map_create_request fixed = {
            .def = {.type = types[i], .key_size = 4, .value_size = 64, .max_entries = 1, .name = "m"}};
        struct answer map = call(t, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0);
        REQUIRE_OK(map.result);
        struct answer a = load_nested(t, &fixed.def, map.fd);
        CHECK(a.result != EBPF_SUCCESS && a.fd < 0);
        CHECK_EQ(count(t, PROTO_KIND_PROGRAM), 0);
        t->ops->close_fd(t, map.fd);
    }
}

WITH_TRANSPORT(descriptors_hold_maps)
{
    struct answer a = create_map(t);
    struct proto_empty info = {0};
    int copy = -1;
    REQUIRE_OK(a.result);
    REQUIRE_OK(t->ops->dup_fd(t, a.fd, &copy));
    t->ops->close_fd(t, a.fd);
    CHECK_EQ(call(t, PROTO_OBJECT_INFO, &info, NULL, 0, &a.fd, 1).result, EBPF_INVALID_FD);
    CHECK_OK(call(t, PROTO_OBJECT_INFO, &info, NULL, 0, &copy, 1).result);
    CHECK_EQ(count(t, PROTO_KIND_MAP), 1);
    t->ops->close_fd(t, copy);
    CHECK_EQ(count(t, PROTO_KIND_MAP), 0);
    int strangers[] = {-1, 0, 999, 123456};
    for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
        CHECK_EQ(call(t, PROTO_OBJECT_INFO, &info, NULL, 0, &strangers[i], 1).result, EBPF_INVALID_FD);
    }
}

WITH_TRANSPORT(pins_outlive_descriptors)
{
    struct answer a = create_map(t);
    struct proto_path_request path = {"kept"};
    REQUIRE_OK(a.result);
    CHECK_OK(call(t, PROTO_OBJECT_PIN, &path, NULL, 0, &a.fd, 1).result);
    t->ops->close_fd(t, a.fd);
    CHECK_EQ(count(t, PROTO_KIND_MAP), 1);
    a = call(t, PROTO_OBJECT_GET, &path, NULL, 0, NULL, 0);
    CHECK_OK(a.result);
    CHECK(a.fd >= 0);
} // closing the transport releases both

WITH_TRANSPORT(malformed_requests_get_replies)
{
    uint8_t junk[64] = {1, 2, 3};
    void *reply = NULL;
    size_t size = 0;
    int fd = -1;
    for (size_t n = 0; n < sizeof(junk); n++) {
        REQUIRE_OK(t->ops->call(t, junk, n, NULL, 0, &reply, &size, &fd));
        struct proto_header header;
        memcpy(&header, reply, sizeof(header));
        CHECK(header.result != EBPF_SUCCESS && fd < 0);
        free(reply);
    }
}

static void opening_may_fail(void)
{
    unsigned failures = 0;
    for (uint64_t nth = 1; nth < 1000; nth++) {
        struct transport *t = NULL;
        plat_sim_fail_alloc(nth);
        ebpf_result_t result = inproc_open(&t);
        plat_sim_fail_alloc(0);
        if (result == EBPF_SUCCESS) {
            t->ops->close(t);
            CHECK_EQ(plat_sim_live_count(), 0);
            break;
        }
        CHECK_EQ(result, EBPF_NO_MEMORY);
        CHECK_EQ(plat_sim_live_count(), 0);
        failures++;
    }
    CHECK(failures > 5);
}

static void the_environment_chooses_it(void)
{
    struct transport *t = NULL;
    static char inproc[] = "EBPF_TRANSPORT=inproc", nonsense[] = "EBPF_TRANSPORT=pigeon";
    putenv(nonsense);
    CHECK_EQ(transport_get(&t), EBPF_INVALID_ARGUMENT);
    putenv(inproc);
    CHECK_EQ(transport_get(&t), EBPF_OPERATION_NOT_SUPPORTED); // not installed yet
    inproc_install();
    REQUIRE_OK(transport_get(&t));
    CHECK_STR(t->ops->name, "inproc");
    struct transport *again = NULL;
    REQUIRE_OK(transport_get(&again));
    CHECK(again == t);
    t->ops->close(t); // the end of the process for this suite
}

TEST_SUITE(inproc)
{
    RUN(programs_run);
    RUN(bad_programs_are_refused);
    RUN(values_are_no_maps);
    RUN(descriptors_hold_maps);
    RUN(pins_outlive_descriptors);
    RUN(malformed_requests_get_replies);
    RUN(opening_may_fail);
    RUN(the_environment_chooses_it);
}
