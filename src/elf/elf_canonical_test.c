// SPDX-License-Identifier: MIT
// elf_program_canonical on programs made by hand: what no compiler's object in tests/elf has.
#include "elf/elf_testing.h"

enum { MANY = SPEC_MAX_MAPS + 1 };

// An object with one program of `count` instructions and MANY array maps.
struct made {
    struct elf_object object;
    struct elf_program program;
    struct elf_map maps[MANY];
    struct func func;
    struct insn insns[2 * MANY + 4];
};

static void start(struct made *m)
{
    memset(m, 0, sizeof(*m));
    m->object.license = "";
    m->object.dialect = DIALECT_LINUX;
    m->object.maps = m->maps;
    m->object.map_count = MANY;
    m->object.programs = &m->program;
    m->object.program_count = 1;
    m->object.strings = "";
    m->object.strings_size = 1;
    m->program.name = "made";
    m->program.section = "raw_memory";
    m->program.insns = m->insns;
    m->program.funcs = &m->func;
    m->program.func_count = 1;
    for (uint32_t i = 0; i < MANY; i++) {
        m->maps[i].def.type = MAP_TYPE_ARRAY;
        str_format(m->maps[i].def.name, sizeof(m->maps[i].def.name), "m%u", i);
    }
}

static void add(struct made *m, enum insn_id id, int64_t imm)
{
    uint32_t at = m->program.insn_count;
    m->insns[at].id = (uint16_t)id;
    m->insns[at].imm = imm;
    m->program.insn_count += insn_slots(&m->insns[at]);
    m->func.end = m->program.insn_count;
}

static ebpf_result_t convert(const struct made *m, struct arena *arena, struct program *out,
                             uint32_t map_of[SPEC_MAX_MAPS], struct elf_error *error)
{
    arena_init(arena, test_mem_source(), 0);
    return elf_program_canonical(&m->object, 0, spec_builtin(), PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_NONE, arena,
                                 out, map_of, error);
}

static void maps_are_compacted(void)
{
    struct made *m = malloc(sizeof(*m));
    struct arena arena;
    struct program p;
    struct elf_error error;
    uint32_t map_of[SPEC_MAX_MAPS];
    REQUIRE(m != NULL);
    start(m);
    add(m, INSN_LDDW_MAP, 9);
    add(m, INSN_LDDW_MAP_VALUE, (int64_t)5 << 32 | 3);
    add(m, INSN_LDDW_MAP, 9);
    add(m, INSN_EXIT, 0);
    CHECK_OK(convert(m, &arena, &p, map_of, &error));
    CHECK_EQ(p.map_count, 2);
    CHECK_EQ(map_of[0], 9);
    CHECK_EQ(map_of[1], 3);
    CHECK_STR(p.maps[0].name, "m9");
    CHECK_EQ(p.insns[0].imm, 0);
    CHECK_EQ(p.insns[2].imm, (int64_t)5 << 32 | 1);
    CHECK_EQ(p.insns[4].imm, 0);
    arena_fini(&arena);
    free(m);
}

static void too_many_maps(void)
{
    struct made *m = malloc(sizeof(*m));
    REQUIRE(m != NULL);
    for (uint32_t count = SPEC_MAX_MAPS; count <= MANY; count++) {
        struct arena arena;
        struct program p;
        struct elf_error error = {0};
        uint32_t map_of[SPEC_MAX_MAPS];
        start(m);
        for (uint32_t i = 0; i < count; i++) {
            add(m, INSN_LDDW_MAP, i);
        }
        add(m, INSN_EXIT, 0);
        CHECK_EQ(convert(m, &arena, &p, map_of, &error),
                 count <= SPEC_MAX_MAPS ? EBPF_SUCCESS : EBPF_OPERATION_NOT_SUPPORTED);
        CHECK((count <= SPEC_MAX_MAPS) == (error.message[0] == 0));
        arena_fini(&arena);
    }
    free(m);
}

static void helpers(void)
{
    static const struct {
        int64_t imm, expected;
    } rows[] = {
        {1, HELPER_MAP_LOOKUP_ELEM}, {0, -1}, {9999, -10000}, {INT32_MAX, INT32_MIN}, {-1, INT32_MIN}};
    struct made *m = malloc(sizeof(*m));
    REQUIRE(m != NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena arena;
        struct program p;
        struct elf_error error;
        uint32_t map_of[SPEC_MAX_MAPS];
        start(m);
        add(m, INSN_CALL, rows[i].imm);
        add(m, INSN_EXIT, 0);
        ebpf_result_t result = convert(m, &arena, &p, map_of, &error);
        CHECK_OK(result);
        CHECK(result != EBPF_SUCCESS || p.insns[0].imm == rows[i].expected);
        arena_fini(&arena);
    }
    free(m);
}

static void bad_structure_is_explained(void)
{
    struct made *m = malloc(sizeof(*m));
    struct arena arena;
    struct program p;
    struct elf_error error = {0};
    uint32_t map_of[SPEC_MAX_MAPS];
    REQUIRE(m != NULL);
    start(m);
    add(m, INSN_JA, 0);
    m->insns[0].off = 7; // leaves the function
    add(m, INSN_EXIT, 0);
    CHECK_EQ(convert(m, &arena, &p, map_of, &error), EBPF_ELF_PARSING_FAILED);
    CHECK_STR(error.section, "raw_memory");
    CHECK(strstr(error.message, "program 'made', instruction 0: ") != NULL);
    arena_fini(&arena);
    free(m);
}

static void long_names_are_cut(void)
{
    static char name[200];
    struct made *m = malloc(sizeof(*m));
    struct arena arena;
    struct program p;
    struct elf_error error;
    uint32_t map_of[SPEC_MAX_MAPS];
    REQUIRE(m != NULL);
    memset(name, 'n', sizeof(name) - 1);
    start(m);
    m->program.name = name;
    m->program.section = name;
    add(m, INSN_EXIT, 0);
    CHECK_OK(convert(m, &arena, &p, map_of, &error));
    CHECK_EQ(str_len(p.name), SPEC_NAME_SIZE - 1);
    CHECK_EQ(str_len(p.section), SPEC_NAME_SIZE - 1);
    arena_fini(&arena);
    free(m);
}

TEST_SUITE(elf_canonical)
{
    RUN(maps_are_compacted);
    RUN(too_many_maps);
    RUN(helpers);
    RUN(bad_structure_is_explained);
    RUN(long_names_are_cut);
}
