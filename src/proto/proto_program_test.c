// SPDX-License-Identifier: MIT
// The wire form of programs: a round trip, every truncation, lying counts, and memory that runs out.
#include "proto/proto.h"
#include "tests/test.h"

enum { ROOM = 2048, HEAD_SIZE = 10 * 4 };

static const struct insn insns[] = {
    {.id = 1, .dst = 1, .src = 2, .off = -3, .imm = 0},
    {.id = 2, .dst = 10, .imm = -128},
    {.id = 3, .imm = 128},
    {.id = 4, .imm = -32769},
    {.id = 5, .imm = INT32_MIN},
    {.id = 6, .imm = INT64_MIN},
    {.id = 7, .off = INT16_MIN, .imm = 0xffffffff},
};
static const struct func funcs[] = {{0, 4, 0, "entry"}, {4, 7, 1, "second"}};
static const struct map_def maps[] = {{1, 1, 4, 8, 16, 0, "counts"}, {0, 77, 1, 2, 3, 8, ""}};
static const uint8_t contents[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static const struct map_facts facts[] = {
    {.has_inner = true,
     .inner = 1,
     .field_count = 2,
     .fields = {{0, 4, MAP_FIELD_SPIN_LOCK}, {4, 4, MAP_FIELD_OTHER}},
     .contents = contents},
    {.field_count = 0},
};
static const struct func_contract contracts[] = {
    {.known = false},
    {.known = true,
     .returns_void = true,
     .args = {{FUNC_ARG_CTX, 0}, {FUNC_ARG_MEM, 24}, {FUNC_ARG_SCALAR, 0}}},
};
static const struct line lines[] = {{0, 1, 5, 10, 2}, {4, 1, 9, 11, 0}};
static const char strings[] = "\0a.c\0x=1\0y=2";

static struct program sample(void)
{
    return (struct program){
        .type = 1,
        .attach_type = 1,
        .dialect = DIALECT_LINUX,
        .insns = insns,
        .insn_count = ARRAY_SIZE(insns),
        .funcs = funcs,
        .func_count = ARRAY_SIZE(funcs),
        .maps = maps,
        .map_count = ARRAY_SIZE(maps),
        .map_facts = facts,
        .contracts = contracts,
        .sleepable = true,
        .lines = lines,
        .line_count = ARRAY_SIZE(lines),
        .strings = strings,
        .strings_size = sizeof(strings),
        .name = "sample",
        .section = "xdp/sample",
        .license = "MIT",
    };
}

static ebpf_result_t decode(const void *bytes, size_t size)
{
    struct arena arena;
    struct program p;
    arena_init(&arena, test_mem_source(), 1u << 20);
    ebpf_result_t result = proto_program_decode(bytes, size, &arena, &p);
    arena_fini(&arena);
    return result;
}

static void round_trip(void)
{
    uint8_t bytes[ROOM], again[ROOM];
    struct arena arena;
    struct program in = sample(), out;
    size_t size = proto_program_encode(&in, bytes, sizeof(bytes));
    REQUIRE(size <= sizeof(bytes));
    arena_init(&arena, test_mem_source(), 0);
    CHECK_OK(proto_program_decode(bytes, size, &arena, &out));
    CHECK_EQ(out.insn_count, in.insn_count);
    for (size_t i = 0; i < ARRAY_SIZE(insns); i++) {
        CHECK_EQ(out.insns[i].id, insns[i].id);
        CHECK_EQ(out.insns[i].dst, insns[i].dst);
        CHECK_EQ(out.insns[i].off, insns[i].off);
        CHECK_EQ(out.insns[i].imm, insns[i].imm);
    }
    CHECK_STR(out.name, "sample");
    CHECK_STR(out.section, "xdp/sample");
    CHECK_STR(out.license, "MIT");
    CHECK_STR(out.funcs[1].name, "second");
    CHECK_EQ(out.funcs[1].global, 1);
    CHECK_EQ(out.maps[1].number, 77);
    CHECK(out.map_facts[0].has_inner && out.map_facts[0].inner == 1 && out.map_facts[0].field_count == 2);
    CHECK(memcmp(out.map_facts[0].fields, facts[0].fields, sizeof(facts[0].fields)) == 0);
    CHECK(out.map_facts[0].contents != NULL && memcmp(out.map_facts[0].contents, contents, 8) == 0);
    CHECK(out.map_facts[1].contents == NULL);
    CHECK(!out.map_facts[1].has_inner && out.map_facts[1].field_count == 0);
    CHECK(!out.contracts[0].known);
    CHECK(out.contracts[1].known && out.contracts[1].returns_void);
    CHECK(memcmp(out.contracts[1].args, contracts[1].args, sizeof(contracts[1].args)) == 0);
    CHECK(out.sleepable);
    CHECK(memcmp(out.lines, lines, sizeof(lines)) == 0);
    CHECK(memcmp(out.strings, strings, sizeof(strings)) == 0);
    CHECK_EQ(proto_program_encode(&out, again, sizeof(again)), size);
    CHECK(memcmp(bytes, again, size) == 0);
    arena_fini(&arena);
}

static void size_is_asked_without_a_buffer(void)
{
    uint8_t bytes[ROOM];
    struct program p = sample();
    size_t size = proto_program_encode(&p, NULL, 0);
    CHECK_EQ(proto_program_encode(&p, bytes, sizeof(bytes)), size);
    memset(bytes, 0xee, sizeof(bytes));
    CHECK_EQ(proto_program_encode(&p, bytes, size - 1), size);
    CHECK_EQ(bytes[size - 1], 0xee); // nothing beyond the capacity
}

static void every_truncation_is_refused(void)
{
    uint8_t bytes[ROOM];
    struct program p = sample();
    size_t size = proto_program_encode(&p, bytes, sizeof(bytes));
    for (size_t cut = 0; cut < size; cut++) {
        CHECK_EQ(decode(bytes, cut), EBPF_INVALID_ARGUMENT);
    }
    bytes[size] = 0;
    CHECK_EQ(decode(bytes, size + 1), EBPF_INVALID_ARGUMENT); // trailing byte
    CHECK_OK(decode(bytes, size));
}

// Overwrites the u32 at `off` of a good encoding.
static ebpf_result_t decode_patched(size_t off, uint32_t value)
{
    uint8_t bytes[ROOM];
    struct program p = sample();
    size_t size = proto_program_encode(&p, bytes, sizeof(bytes));
    memcpy(bytes + off, &value, sizeof(value));
    return decode(bytes, size);
}

static void lying_counts_are_refused(void)
{
    static const uint32_t counts[] = {1000, 60000, INT32_MAX, UINT32_MAX};
    CHECK_EQ(decode_patched(0, 1), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(decode_patched(0, 3), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(decode_patched(16, INSN_MAX_SLOTS + 1), EBPF_PROGRAM_TOO_LARGE);
    CHECK_EQ(decode_patched(24, SPEC_MAX_MAPS + 1), EBPF_INVALID_ARGUMENT);
    for (size_t off = 16; off < HEAD_SIZE; off += 4) {
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
            ebpf_result_t result = decode_patched(off, counts[i]);
            CHECK(result == EBPF_INVALID_ARGUMENT || (off == 16 && result == EBPF_PROGRAM_TOO_LARGE));
            CHECK_EQ(test_mem_live(), 0);
        }
    }
}

// Offset of the first instruction: head and three names.
static size_t insns_off(const struct program *p)
{
    return HEAD_SIZE + 3 + str_len(p->name) + str_len(p->section) + str_len(p->license);
}

static void other_encodings_are_refused(void)
{
    uint8_t bytes[ROOM];
    struct program p = sample();
    size_t size = proto_program_encode(&p, bytes, sizeof(bytes));
    size_t second_imm = insns_off(&p) + 7 + 7;
    CHECK_EQ(bytes[second_imm - 1], 1);
    bytes[second_imm] = 0; // a zero that takes a byte
    CHECK_EQ(decode(bytes, size), EBPF_INVALID_ARGUMENT);
    bytes[second_imm - 1] = 3; // a size that does not exist
    CHECK_EQ(decode(bytes, size), EBPF_INVALID_ARGUMENT);
    bytes[second_imm - 1] = 255;
    CHECK_EQ(decode(bytes, size), EBPF_INVALID_ARGUMENT);
}

static void bad_names_are_refused(void)
{
    uint8_t bytes[ROOM];
    struct program p = sample();
    size_t size = proto_program_encode(&p, bytes, sizeof(bytes));
    bytes[HEAD_SIZE] = SPEC_NAME_SIZE;
    CHECK_EQ(decode(bytes, size), EBPF_INVALID_ARGUMENT);
    bytes[HEAD_SIZE] = (uint8_t)str_len(p.name);
    bytes[HEAD_SIZE + 2] = 0; // NUL inside
    CHECK_EQ(decode(bytes, size), EBPF_INVALID_ARGUMENT);
}

// Facts and contracts have one encoding each, too.
static void other_facts_are_refused(void)
{
    struct map_facts changed[2] = {facts[0], facts[1]};
    struct func_contract other[2] = {contracts[0], contracts[1]};
    struct program p = sample();
    uint8_t bytes[ROOM], plain[ROOM];
    size_t size = proto_program_encode(&p, plain, sizeof(plain)), found = 0;
    changed[0].field_count = MAP_MAX_FIELDS + 1;
    p.map_facts = changed;
    size = proto_program_encode(&p, bytes, sizeof(bytes));
    CHECK_EQ(decode(bytes, size), EBPF_INVALID_ARGUMENT);
    p = sample();
    other[1].returns_void = false;
    p.contracts = other;
    CHECK_EQ(proto_program_encode(&p, bytes, sizeof(bytes)), size = proto_program_encode(&p, NULL, 0));
    for (size_t at = 0; at < size; at++) {
        if (bytes[at] != plain[at]) { // the flag is not 0 or 1
            bytes[at] = 2;
            found++;
        }
    }
    CHECK_EQ(found, 1);
    CHECK_EQ(decode(bytes, size), EBPF_INVALID_ARGUMENT);
    p = sample();
    p.map_facts = NULL; // what is not known travels as nothing
    p.contracts = NULL;
    CHECK(proto_program_encode(&p, bytes, sizeof(bytes)) < size);
    CHECK_OK(decode(bytes, proto_program_encode(&p, bytes, sizeof(bytes))));
}

// Every limit of the arena, from nothing to enough.
static void memory_may_run_out(void)
{
    uint8_t bytes[ROOM];
    struct program p = sample();
    size_t size = proto_program_encode(&p, bytes, sizeof(bytes)), limit = 1;
    ebpf_result_t result = EBPF_FAILED;
    for (unsigned failures = 0; limit < 1u << 20; limit += 16) {
        struct arena arena;
        struct program out;
        arena_init(&arena, test_mem_source(), limit);
        result = proto_program_decode(bytes, size, &arena, &out);
        arena_fini(&arena);
        CHECK_EQ(test_mem_live(), 0);
        if (result == EBPF_SUCCESS) {
            CHECK(failures > 10);
            break;
        }
        CHECK_EQ(result, EBPF_NO_MEMORY);
        failures++;
    }
    CHECK_OK(result);
}

TEST_SUITE(proto_program)
{
    RUN(round_trip);
    RUN(size_is_asked_without_a_buffer);
    RUN(every_truncation_is_refused);
    RUN(lying_counts_are_refused);
    RUN(other_encodings_are_refused);
    RUN(bad_names_are_refused);
    RUN(other_facts_are_refused);
    RUN(memory_may_run_out);
}
