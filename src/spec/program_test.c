// SPDX-License-Identifier: MIT
// program_check: one good program, and a table of mutations that each break one invariant.
#include "spec/spec.h"
#include "tests/test.h"

// The good program, in memory that a mutation may change.
struct fixture {
    struct program p;
    struct insn insns[16];
    struct func funcs[3];
    struct map_def maps[3];
    struct map_facts facts[3];
    struct func_contract contracts[3];
    struct line lines[3];
    char strings[16];
};
static struct fixture f;

// The maps, what is known of them, and the contract of the global function.
static void make_maps(void)
{
    f.maps[0] = (struct map_def){
        .type = MAP_TYPE_ARRAY, .value_size = 16, .flags = MAP_FLAG_RDONLY_PROG, .name = "m0"};
    f.facts[0] = (struct map_facts){.field_count = 2,
                                    .fields = {{0, 4, MAP_FIELD_SPIN_LOCK}, {8, 8, MAP_FIELD_KPTR}},
                                    .contents = (const uint8_t *)"0123456789abcde"};
    f.facts[2] = (struct map_facts){.has_inner = true, .inner = 0};
    f.contracts[2] = (struct func_contract){.known = true, .args = {{FUNC_ARG_CTX, 0}, {FUNC_ARG_MEM, 8}}};
    f.maps[1] = (struct map_def){.type = MAP_TYPE_NONE, .number = 77, .name = "m1"};
    f.maps[2] = (struct map_def){.type = MAP_TYPE_HASH_OF_MAPS, .value_size = 4, .name = "m2"};
}

static void make_good(void)
{
    static const char source[] = "main: lddw_map r1, 1\n"        // 0
                                 "lddw_map_value r2, 0, 4\n"     // 2
                                 "jeq r1, 0, +1\n"               // 4
                                 "call local first\n"            // 5
                                 "ja32 +0\n"                     // 6
                                 "call 1\n"                      // 7
                                 "exit\n"                        // 8
                                 "first: lddw_code r1, second\n" // 9
                                 "ja +0\n"                       // 11
                                 "exit\n"                        // 12
                                 "second: call -6\n"             // 13
                                 "ja -2\n";                      // 14
    uint32_t bad_line;
    memset(&f, 0, sizeof(f));
    f.p = (struct program){.type = PROG_TYPE_XDP,
                           .attach_type = ATTACH_TYPE_XDP,
                           .dialect = DIALECT_LINUX,
                           .insns = f.insns,
                           .funcs = f.funcs,
                           .func_count = 3,
                           .maps = f.maps,
                           .map_count = 3,
                           .map_facts = f.facts,
                           .contracts = f.contracts,
                           .lines = f.lines,
                           .line_count = 3,
                           .strings = f.strings,
                           .strings_size = 8,
                           .name = "good",
                           .section = "xdp",
                           .license = "MIT"};
    REQUIRE_OK(isa_assemble(source, f.insns, ARRAY_SIZE(f.insns), &f.p.insn_count, &bad_line));
    f.funcs[0] = (struct func){.start = 0, .end = 9, .global = 0, .name = "main"};
    f.funcs[1] = (struct func){.start = 9, .end = 13, .global = 0, .name = "first"};
    f.funcs[2] = (struct func){.start = 13, .end = 15, .global = 1, .name = "second"};
    make_maps();
    memcpy(f.strings, "\0ab\0cde", 8);
    f.lines[0] = (struct line){0, 1, 4, 10, 1};
    f.lines[1] = (struct line){4, 1, 4, 11, 1};
    f.lines[2] = (struct line){12, 1, 7, 12, 1};
}

#define MUTATIONS(X)                                                                                         \
    X(type_none, f.p.type = PROG_TYPE_NONE)                                                                  \
    X(type_unknown, f.p.type = PROG_TYPE_COUNT)                                                              \
    X(dialect_unknown, f.p.dialect = DIALECT_COUNT)                                                          \
    X(type_not_in_dialect, (f.p.type = PROG_TYPE_BIND, f.p.attach_type = ATTACH_TYPE_BIND))                  \
    X(attach_unknown, f.p.attach_type = ATTACH_TYPE_COUNT)                                                   \
    X(attach_of_other_type, f.p.attach_type = ATTACH_TYPE_RAW_MEMORY)                                        \
    X(no_insns, f.p.insn_count = 0)                                                                          \
    X(too_many_insns, f.p.insn_count = INSN_MAX_SLOTS + 1)                                                   \
    X(insns_null, f.p.insns = NULL)                                                                          \
    X(no_funcs, f.p.func_count = 0)                                                                          \
    X(more_funcs_than_insns, f.p.func_count = f.p.insn_count + 1)                                            \
    X(funcs_null, f.p.funcs = NULL)                                                                          \
    X(too_many_maps, f.p.map_count = SPEC_MAX_MAPS + 1)                                                      \
    X(maps_null, f.p.maps = NULL)                                                                            \
    X(lines_null, f.p.lines = NULL)                                                                          \
    X(strings_null, f.p.strings = NULL)                                                                      \
    X(strings_start, f.strings[0] = 'x')                                                                     \
    X(strings_end, f.strings[7] = 'x')                                                                       \
    X(name_open, memset(f.p.name, 'x', SPEC_NAME_SIZE))                                                      \
    X(section_open, memset(f.p.section, 'x', SPEC_NAME_SIZE))                                                \
    X(license_open, memset(f.p.license, 'x', SPEC_NAME_SIZE))                                                \
    X(map_name_open, memset(f.maps[1].name, 'x', SPEC_NAME_SIZE))                                            \
    X(func_name_open, memset(f.funcs[2].name, 'x', SPEC_NAME_SIZE))                                          \
    X(map_type_unknown, f.maps[0].type = MAP_TYPE_COUNT)                                                     \
    X(first_func_not_at_0, f.funcs[0].start = 1)                                                             \
    X(func_gap, f.funcs[1].start = 10)                                                                       \
    X(func_overlap, f.funcs[1].start = 8)                                                                    \
    X(func_empty, f.funcs[1].end = 9)                                                                        \
    X(func_backwards, f.funcs[1].end = 3)                                                                    \
    X(func_past_end, f.funcs[2].end = 16)                                                                    \
    X(func_short, f.funcs[2].end = 14)                                                                       \
    X(func_global, f.funcs[1].global = 2)                                                                    \
    X(func_splits_pair, (f.funcs[0].end = 10, f.funcs[1].start = 10))                                        \
    X(lines_unsorted, f.lines[1].pc = 13)                                                                    \
    X(line_past_end, f.lines[2].pc = 15)                                                                     \
    X(line_file_outside, f.lines[0].file_off = 8)                                                            \
    X(line_text_outside, f.lines[2].text_off = 8)                                                            \
    X(insn_unknown, f.insns[8].id = INSN_ID_COUNT)                                                           \
    X(insn_none, f.insns[8].id = INSN_NONE)                                                                  \
    X(insn_register, f.insns[4].dst = 11)                                                                    \
    X(insn_frame_written, f.insns[0].dst = 10)                                                               \
    X(insn_unused_field, f.insns[8].imm = 1)                                                                 \
    X(insn_reserved, f.insns[8].reserved = 1)                                                                \
    X(insn_imm_too_wide, f.insns[7].imm = INT64_C(1) << 40)                                                  \
    X(pair_without_second, f.insns[1].id = INSN_EXIT)                                                        \
    X(pair_second_not_zero, f.insns[1].imm = 1)                                                              \
    X(jump_before_func, f.insns[11].off = -4)                                                                \
    X(jump_to_other_func, f.insns[4].off = 4)                                                                \
    X(jump_past_end, f.insns[14].off = 0)                                                                    \
    X(jump_before_0, f.insns[4].off = INT16_MIN)                                                             \
    X(jump_into_pair, f.insns[4].off = -4)                                                                   \
    X(long_jump_outside, f.insns[6].imm = 2)                                                                 \
    X(long_jump_far, f.insns[6].imm = INT32_MAX)                                                             \
    X(call_inside_func, f.insns[5].imm = 5)                                                                  \
    X(call_past_end, f.insns[5].imm = 9)                                                                     \
    X(call_before_0, f.insns[5].imm = -7)                                                                    \
    X(code_inside_func, f.insns[9].imm = 2)                                                                  \
    X(map_index_outside, f.insns[0].imm = 3)                                                                 \
    X(map_value_index_outside, f.insns[2].imm = 3)                                                           \
    X(inner_outside, f.facts[2].inner = 3)                                                                   \
    X(inner_of_an_array, f.maps[2].type = MAP_TYPE_ARRAY)                                                    \
    X(inner_of_an_unknown_map, f.maps[2].type = MAP_TYPE_NONE)                                               \
    X(field_count, f.facts[0].field_count = MAP_MAX_FIELDS + 1)                                              \
    X(field_kind_none, f.facts[0].fields[1].kind = MAP_FIELD_NONE)                                           \
    X(field_kind_unknown, f.facts[0].fields[1].kind = MAP_FIELD_OTHER + 1)                                   \
    X(field_empty, f.facts[0].fields[1].size = 0)                                                            \
    X(field_outside, f.facts[0].fields[1].off = 9)                                                           \
    X(field_wraps, f.facts[0].fields[1].size = UINT32_MAX)                                                   \
    X(fields_overlap, f.facts[0].fields[1].off = 3)                                                          \
    X(contents_not_constant, f.maps[0].flags = 0)                                                            \
    X(contract_kind, f.contracts[2].args[0].kind = FUNC_ARG_UNKNOWN + 1)                                     \
    X(contract_size_zero, f.contracts[2].args[1].size = 0)                                                   \
    X(contract_size_huge, f.contracts[2].args[1].size = UINT32_MAX)                                          \
    X(sleepable_type, f.p.sleepable = true)                                                                  \
    X(map_descriptor, f.insns[0].id = INSN_LDDW_MAP_FD)                                                      \
    X(map_value_descriptor, f.insns[2].id = INSN_LDDW_MAP_VALUE_FD)

#define X(name, change)                                                                                      \
    static void break_##name(void)                                                                           \
    {                                                                                                        \
        change;                                                                                              \
    }
MUTATIONS(X)
#undef X

static const struct mutation {
    const char *name;
    void (*apply)(void);
} mutations[] = {
#define X(name, change) {#name, break_##name},
    MUTATIONS(X)
#undef X
};

static void check_refused(const struct mutation *m)
{
    uint32_t bad_pc = 12345;
    const char *why = NULL;
    make_good();
    m->apply();
    CHECK_EQ(program_check(spec_builtin(), &f.p, &bad_pc, &why), EBPF_INVALID_ARGUMENT);
    CHECK(why != NULL && str_len(why) > 5);
    CHECK(bad_pc != 12345);
}

static void good_program_passes(void)
{
    uint32_t bad_pc = 0;
    const char *why = "";
    make_good();
    CHECK_EQ(f.p.insn_count, 15);
    CHECK_OK(program_check(spec_builtin(), &f.p, &bad_pc, &why));
    CHECK_STR(why, "");
    f.p.attach_type = ATTACH_TYPE_NONE;
    f.p.line_count = f.p.strings_size = 0;
    f.p.lines = NULL;
    f.p.strings = NULL;
    CHECK_OK(program_check(spec_builtin(), &f.p, &bad_pc, &why));
}

static void faults_name_the_slot(void)
{
    uint32_t bad_pc;
    const char *why;
    make_good();
    f.insns[11].off = 5;
    CHECK_EQ(program_check(spec_builtin(), &f.p, &bad_pc, &why), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(bad_pc, 11);
    CHECK_STR(why, "a jump leaves its function or lands inside an instruction");
    make_good();
    f.p.type = 0;
    CHECK_EQ(program_check(spec_builtin(), &f.p, &bad_pc, &why), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(bad_pc, UINT32_MAX);
}

static void lines_cover_what_follows(void)
{
    make_good();
    f.lines[0].pc = 1;
    CHECK(program_line(&f.p, 0) == NULL);
    CHECK(program_line(&f.p, 1) == &f.lines[0]);
    CHECK(program_line(&f.p, 3) == &f.lines[0]);
    CHECK(program_line(&f.p, 4) == &f.lines[1]);
    CHECK(program_line(&f.p, 14) == &f.lines[2]);
    f.p.line_count = 0;
    CHECK(program_line(&f.p, 4) == NULL);
}

static void functions_are_found(void)
{
    make_good();
    CHECK_EQ(program_func_at(&f.p, 0), 0);
    CHECK_EQ(program_func_at(&f.p, 8), 0);
    CHECK_EQ(program_func_at(&f.p, 9), 1);
    CHECK_EQ(program_func_at(&f.p, 14), 2);
    CHECK_EQ(program_func_at(&f.p, 15), 3);
    CHECK_EQ(program_func_at(&f.p, UINT32_MAX), 3);
}

static void strings_are_bounded(void)
{
    make_good();
    CHECK_STR(program_string(&f.p, 0), "");
    CHECK_STR(program_string(&f.p, 1), "ab");
    CHECK_STR(program_string(&f.p, 5), "de");
    CHECK_STR(program_string(&f.p, 8), "");
    CHECK_STR(program_string(&f.p, UINT32_MAX), "");
}

// A call of a number that the loader made up says why; other instructions have nothing to say.
static void poison_says_why(void)
{
    make_good();
    CHECK(program_poison(&f.p, &f.insns[7]) == NULL);
    f.insns[7].imm = -1 - (int64_t)(PROGRAM_POISON + 1);
    CHECK_STR(program_poison(&f.p, &f.insns[7]), "ab");
    f.insns[7].imm = -1 - (int64_t)(PROGRAM_POISON + 8);
    CHECK(program_poison(&f.p, &f.insns[7]) == NULL); // outside the strings
    f.insns[7].imm = -1 - (int64_t)(PROGRAM_POISON - 1);
    CHECK(program_poison(&f.p, &f.insns[7]) == NULL);
}

TEST_SUITE(program)
{
    RUN(good_program_passes);
    for (unsigned i = 0; i < ARRAY_SIZE(mutations); i++) {
        RUN_WITH(mutations[i].name, check_refused, &mutations[i]);
    }
    RUN(faults_name_the_slot);
    RUN(lines_cover_what_follows);
    RUN(functions_are_found);
    RUN(strings_are_bounded);
    RUN(poison_says_why);
}
