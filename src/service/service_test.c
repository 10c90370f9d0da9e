// SPDX-License-Identifier: MIT
// Requests in, verdicts out, and verdicts as bytes that nobody trusts.
#include "service/service.h"

#include "tests/test.h"
#include "tests/tiny_program.h"

enum { ROOM = 4096, HEAD = sizeof(struct proto_header) + sizeof(struct proto_prog_load_request) };

static const struct insn good[] = {{.id = INSN_MOV64_IMM, .imm = 1}, {.id = INSN_EXIT}};
static const struct insn bad[] = {{.id = INSN_MOV64_REG, .src = 5},
                                  {.id = INSN_EXIT}}; // r5 was never written

struct request {
    uint8_t bytes[ROOM];
    size_t size;
};

static void set_header(struct request *r, uint16_t op, uint32_t objects)
{
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = op,
                                  .size = (uint32_t)r->size,
                                  .cookie = 5,
                                  .objects = objects};
    memcpy(r->bytes, &header, sizeof(header));
}

static void make_request(struct request *r, const struct insn *insns)
{
    struct program p = tiny_program(insns, "p");
    memset(r, 0, sizeof(*r));
    r->size = HEAD + proto_program_encode(&p, r->bytes + HEAD, ROOM - HEAD);
    set_header(r, PROTO_PROG_LOAD, 0);
}

static void verify(const struct request *r, struct arena *arena, struct service_verdict *v)
{
    arena_init(arena, test_mem_source(), 0);
    service_verify(spec_builtin(), r->bytes, r->size, arena, v);
}

static void good_programs_get_evidence(void)
{
    struct request r;
    struct arena arena;
    struct service_verdict v;
    uint32_t head[2];
    make_request(&r, good);
    verify(&r, &arena, &v);
    CHECK_EQ(v.result, EBPF_SUCCESS);
    REQUIRE(v.evidence_size >= 16);
    memcpy(head, v.evidence, sizeof(head));
    CHECK(head[0] == EVIDENCE_MAGIC && head[1] == EVIDENCE_FORMAT);
    CHECK(v.json != NULL && v.json[0] == '[' && v.text != NULL);
    arena_fini(&arena);
}

static void bad_programs_get_findings(void)
{
    struct request r;
    struct arena arena;
    struct service_verdict v;
    make_request(&r, bad);
    verify(&r, &arena, &v);
    CHECK_EQ(v.result, EBPF_VERIFICATION_FAILED);
    CHECK_EQ(v.evidence_size, 0);
    CHECK(v.text[0] != 0);
    CHECK(v.json[0] == '[' && v.json[1] == '{');
    arena_fini(&arena);
}

static void requests_with_objects_are_taken(void)
{
    struct request r;
    struct arena arena;
    struct service_verdict v;
    make_request(&r, good);
    set_header(&r, PROTO_PROG_LOAD, 3);
    verify(&r, &arena, &v);
    CHECK_EQ(v.result, EBPF_SUCCESS);
    arena_fini(&arena);
}

static void malformed_requests_get_a_text(void)
{
    struct request r;
    struct arena arena;
    struct service_verdict v;
    make_request(&r, good);
    size_t whole = r.size;
    for (size_t size = 0; size < whole; size++) {
        r.size = size;
        if (size >= sizeof(struct proto_header)) {
            set_header(&r, PROTO_PROG_LOAD, 0);
        }
        verify(&r, &arena, &v);
        CHECK_EQ(v.result, EBPF_INVALID_ARGUMENT);
        CHECK(v.text[0] != 0 && v.evidence_size == 0);
        CHECK_STR(v.json, "[]");
        arena_fini(&arena);
    }
    make_request(&r, good);
    set_header(&r, PROTO_VERSION, 0);
    verify(&r, &arena, &v);
    CHECK_EQ(v.result, EBPF_INVALID_ARGUMENT);
    set_header(&r, PROTO_PROG_LOAD, PROTO_MAX_OBJECTS + 1);
    verify(&r, &arena, &v);
    CHECK_EQ(v.result, EBPF_INVALID_ARGUMENT);
}

static void ill_formed_programs_are_refused(void)
{
    static const struct insn falls_off[] = {{.id = INSN_JA, .off = 7}, {.id = INSN_EXIT}};
    struct request r;
    struct arena arena;
    struct service_verdict v;
    make_request(&r, falls_off);
    verify(&r, &arena, &v);
    CHECK(v.result != EBPF_SUCCESS);
    CHECK(v.text[0] != 0 && v.evidence_size == 0);
    arena_fini(&arena);
}

static void memory_may_run_out(void)
{
    struct request r;
    struct service_verdict v = {.result = EBPF_FAILED};
    unsigned failures = 0;
    make_request(&r, good);
    for (size_t limit = 64; limit < (size_t)256 << 20; limit += limit / 2) {
        struct arena arena;
        arena_init(&arena, test_mem_source(), limit);
        service_verify(spec_builtin(), r.bytes, r.size, &arena, &v);
        arena_fini(&arena);
        CHECK_EQ(test_mem_live(), 0);
        if (v.result == EBPF_SUCCESS) {
            break;
        }
        CHECK_EQ(v.result, EBPF_NO_MEMORY);
        failures++;
    }
    CHECK_EQ(v.result, EBPF_SUCCESS);
    CHECK(failures > 1);
}

// --- verdicts as bytes ---------------------------------------------------------------------------

static const struct service_verdict sample = {.result = EBPF_SUCCESS,
                                              .evidence = (const uint8_t *)"0123456789abcdef",
                                              .evidence_size = 16,
                                              .text = "text\n",
                                              .json = "[]",
                                              .states = 4,
                                              .peak_kb = 5,
                                              .time_us = 6};

static void verdicts_travel(void)
{
    struct arena arena;
    struct service_verdict v;
    size_t size = 0;
    arena_init(&arena, test_mem_source(), 0);
    uint8_t *bytes = service_encode(&sample, 9, &arena, &size);
    REQUIRE(bytes != NULL);
    REQUIRE_OK(service_decode(bytes, size, &v));
    CHECK(v.result == EBPF_SUCCESS && v.evidence_size == 16 && memcmp(v.evidence, sample.evidence, 16) == 0);
    CHECK_STR(v.text, "text\n");
    CHECK_STR(v.json, "[]");
    CHECK(v.states == 4 && v.peak_kb == 5 && v.time_us == 6);
    for (size_t cut = 0; cut < size; cut++) {
        CHECK_EQ(service_decode(bytes, cut, &v), EBPF_INVALID_ARGUMENT);
    }
    arena_fini(&arena);
}

// Flips every byte: what is decoded stays inside the message, whatever it says.
static void flipped_verdicts_stay_inside(void)
{
    struct arena arena;
    size_t size = 0;
    arena_init(&arena, test_mem_source(), 0);
    uint8_t *bytes = service_encode(&sample, 9, &arena, &size);
    REQUIRE(bytes != NULL);
    for (size_t i = 0; i < size * 8; i++) {
        struct service_verdict v;
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        if (service_decode(bytes, size, &v) == EBPF_SUCCESS) {
            CHECK(v.evidence >= bytes && v.evidence + v.evidence_size <= bytes + size);
            CHECK((const uint8_t *)v.json + str_len(v.json) + 1 == bytes + size);
        }
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    arena_fini(&arena);
}

static void verdicts_must_make_sense(void)
{
    struct arena arena;
    struct service_verdict v = sample, out;
    size_t size = 0;
    uint8_t *bytes;
    arena_init(&arena, test_mem_source(), 0);
    v.evidence_size = 0; // accepted without evidence
    bytes = service_encode(&v, 1, &arena, &size);
    CHECK_EQ(service_decode(bytes, size, &out), EBPF_INVALID_ARGUMENT);
    v = sample;
    v.result = EBPF_VERIFICATION_FAILED; // refused with evidence
    bytes = service_encode(&v, 1, &arena, &size);
    CHECK_EQ(service_decode(bytes, size, &out), EBPF_INVALID_ARGUMENT);
    v.evidence_size = 0;
    bytes = service_encode(&v, 1, &arena, &size);
    CHECK_OK(service_decode(bytes, size, &out));
    v.result = EBPF_RESULT_COUNT;
    bytes = service_encode(&v, 1, &arena, &size);
    CHECK_EQ(service_decode(bytes, size, &out), EBPF_INVALID_ARGUMENT);
    arena_fini(&arena);
}

TEST_SUITE(service)
{
    RUN(good_programs_get_evidence);
    RUN(bad_programs_get_findings);
    RUN(requests_with_objects_are_taken);
    RUN(malformed_requests_get_a_text);
    RUN(ill_formed_programs_are_refused);
    RUN(memory_may_run_out);
    RUN(verdicts_travel);
    RUN(flipped_verdicts_stay_inside);
    RUN(verdicts_must_make_sense);
}
