// SPDX-License-Identifier: MIT
// Native modules made by hand: what is refused, and which maps their rows are bound to.
#include "runtime/module_fixture.h"

// --- what is refused -----------------------------------------------------------------------------

// Registers instance 0, changed by `spoil`.
static void refuse_table(void (*spoil)(struct tiny_module *t), ebpf_result_t expected, const char *sentence)
{
    struct tiny_module *t = tiny_module_reset(0);
    struct module_source source = source_of(t, 0);
    struct module *m = NULL;
    spoil(t);
    CHECK_EQ(module_register(f.rt, &source, why, &m), expected);
    CHECK_STR(why, sentence);
    CHECK(m == NULL);
    CHECK(t->helper_bindings[0] == NULL); // nothing was written
}

static char long_name[300];

#define SPOIL(name, ...)                                                                                     \
    static void name(struct tiny_module *t)                                                                  \
    {                                                                                                        \
        __VA_ARGS__;                                                                                         \
    }
SPOIL(other_magic, t->table.magic ^= 1)
SPOIL(other_version, t->table.version = 2)
SPOIL(short_table, t->table.size = sizeof(t->table) - 1)
SPOIL(short_program, t->table.program_size -= 8)
SPOIL(odd_program, t->table.program_size += 4)
SPOIL(huge_map, t->table.map_size = 8192)
SPOIL(short_helper, t->table.helper_size = 0)
SPOIL(short_binding, t->table.binding_size -= 8)
SPOIL(many_programs, t->table.program_count = UINT32_MAX)
SPOIL(many_maps, t->table.map_count = 1025)
SPOIL(no_maps, t->table.maps = NULL)
SPOIL(no_bindings, t->table.map_bindings = NULL)
SPOIL(no_functions, t->table.helper_bindings = NULL)
SPOIL(no_imports, t->table.imports = NULL)
SPOIL(short_imports, t->imports.size = 8)
SPOIL(no_name, t->table.name = NULL)
SPOIL(endless_name, t->table.name = long_name)
SPOIL(endless_generator, t->table.generator = long_name)
SPOIL(endless_program, t->programs[3].name = long_name)
SPOIL(no_entry, t->programs[1].entry = NULL)
SPOIL(no_canonical, t->programs[1].canonical = NULL)
SPOIL(empty_canonical, t->programs[1].canonical_size = 0)
SPOIL(huge_evidence, t->programs[1].evidence_size = UINT32_MAX)
SPOIL(many_program_maps, t->programs[1].map_count = SPEC_MAX_MAPS + 1)
SPOIL(no_program_maps, t->programs[1].maps = NULL)
SPOIL(map_past_the_end, t->table.map_count = 1)
SPOIL(helper_past_the_end, t->table.helper_count = 1)
SPOIL(unknown_import, t->programs[1].uses = 1u << 7)
SPOIL(unknown_use, t->maps[1].uses = 1u << 7)
SPOIL(endless_map, t->maps[0].name = long_name)
SPOIL(no_type, t->maps[0].type = NULL)
SPOIL(endless_helper, t->helpers[2].name = long_name)

static const struct table_case {
    void (*spoil)(struct tiny_module *t);
    const char *sentence; // behind "the native module's table "
} table_cases[] = {
    {short_table, "is shorter than that of its version"},
    {short_program, "has rows of a wrong size"},
    {odd_program, "has rows of a wrong size"},
    {huge_map, "has rows of a wrong size"},
    {short_helper, "has rows of a wrong size"},
    {short_binding, "has rows of a wrong size"},
    {many_programs, "lacks rows, or has too many"},
    {many_maps, "lacks rows, or has too many"},
    {no_maps, "lacks rows, or has too many"},
    {no_bindings, "lacks rows, or has too many"},
    {no_functions, "lacks rows, or has too many"},
    {no_imports, "has no place for what it imports"},
    {short_imports, "has no place for what it imports"},
    {no_name, "has no name"},
    {endless_name, "has no name"},
    {endless_generator, "has no name"},
    {endless_program, "has a program without a name"},
    {no_entry, "has a program without code, canonical form or evidence"},
    {no_canonical, "has a program without code, canonical form or evidence"},
    {empty_canonical, "has a program without code, canonical form or evidence"},
    {huge_evidence, "has a program without code, canonical form or evidence"},
    {many_program_maps, "has a program with maps or helpers that it does not have"},
    {no_program_maps, "has a program with maps or helpers that it does not have"},
    {map_past_the_end, "has a program with maps or helpers that it does not have"},
    {helper_past_the_end, "has a program with maps or helpers that it does not have"},
    {unknown_import, "imports what this version does not know"},
    {unknown_use, "uses a map in a way that this version does not know"},
    {endless_map, "has a map without a name"},
    {no_type, "has a map without a name"},
    {endless_helper, "has a helper without a name"},
};

static void tables_are_checked(void)
{
    struct module_source none = {.table = NULL};
    struct module *m = NULL;
    memset(long_name, 'x', sizeof(long_name));
    REQUIRE(open());
    CHECK_EQ(module_register(f.rt, &none, why, &m), EBPF_INVALID_OBJECT);
    refuse_table(other_magic, EBPF_INVALID_OBJECT, "this is no native module");
    refuse_table(other_version, EBPF_INVALID_OBJECT,
                 "the native module is of version 2; this execution context takes version 1");
    for (size_t i = 0; i < ARRAY_SIZE(table_cases); i++) {
        char sentence[MODULE_WHY_SIZE];
        str_format(sentence, sizeof(sentence), "the native module's table %s", table_cases[i].sentence);
        refuse_table(table_cases[i].spoil, EBPF_INVALID_OBJECT, sentence);
    }
    fixture_close(&f);
    CHECK_EQ(gone, 0);
}

static void there_is_a_limit_to_modules(void)
{
    static struct module *all[RUNTIME_MAX_MODULES];
    struct module_source source = {.table = &tiny[0].table};
    struct module *more = NULL;
    REQUIRE(open());
    for (unsigned i = 0; i < RUNTIME_MAX_MODULES; i++) {
        all[i] = add(&tiny[0], 0);
        REQUIRE(all[i] != NULL);
    }
    CHECK_EQ(module_register(f.rt, &source, why, &more), EBPF_OUT_OF_SPACE);
    CHECK_STR(why, "too many native modules are there already");
    drop(all[0]);
    all[0] = add(&tiny[0], 0);
    for (unsigned i = 0; i < RUNTIME_MAX_MODULES; i++) {
        drop(all[i]);
    }
    fixture_close(&f);
}

// Of a later generator of the same version: its rows are longer.
static void longer_rows_are_read(void)
{
    static struct {
        struct ebpf_native_program row;
        uint64_t more;
    } rows[TINY_PROGRAMS];
    REQUIRE(open());
    for (unsigned i = 0; i < TINY_PROGRAMS; i++) {
        rows[i].row = tiny[0].programs[i];
        rows[i].more = UINT64_MAX;
    }
    tiny[0].table.programs = &rows[0].row;
    tiny[0].table.program_size = sizeof(rows[0]);
    tiny[0].table.size += 8;
    struct map *values = make_values();
    struct module *m = add(&tiny[0], 0);
    struct prog *g = load(m, TINY_COUNT, values);
    CHECK_EQ(result_of(g), 1);
    drop_prog(g);
    drop(m);
    drop_map(values);
    fixture_close(&f);
}

// Loads TINY_COUNT of instance 0, changed by `spoil`, with a map.
static void refuse_count(void (*spoil)(struct tiny_module *t), const char *sentence)
{
    struct tiny_module *t = tiny_module_reset(0);
    struct map *values = make_values();
    struct prog *g = NULL;
    spoil(t);
    struct module *m = add(t, 0);
    CHECK_EQ(load_as(m, TINY_COUNT, &tiny_sources[TINY_COUNT], values, &g), EBPF_PROGRAM_LOAD_FAILED);
    CHECK_STR(why, sentence);
    CHECK(g == NULL);
    CHECK_EQ(t->map_bindings[0].address, 0);
    drop(m);
    drop_map(values);
}

static const uint32_t both_maps[] = {TINY_MAP_VALUES, TINY_MAP_PROGRAMS};
SPOIL(unknown_helper, t->helpers[TINY_LOOKUP].name = "bpf_no_such_helper")
SPOIL(other_helper_id, t->helpers[TINY_LOOKUP].id = HELPER_KTIME_GET_NS)
SPOIL(huge_helper_id, t->helpers[TINY_LOOKUP].id = UINT32_MAX)
SPOIL(secret_helpers, t->programs[TINY_COUNT].helper_count = 0)
SPOIL(other_type, t->maps[0].type = "hash")
SPOIL(other_key, t->maps[0].key_size = 8)
SPOIL(other_value, t->maps[0].value_size = 4)
SPOIL(other_entries, t->maps[0].max_entries = 5)
SPOIL(other_stride, t->maps[0].stride = 16)
SPOIL(more_maps, t->programs[TINY_COUNT].maps = both_maps; t->programs[TINY_COUNT].map_count = 2)

static void programs_are_checked(void)
{
    static const char definition[] = "the map values is not as the native module defines it";
    static const char missing[] =
        "the native module calls the helper bpf_map_lookup_elem, which this execution "
        "context does not have";
    REQUIRE(open());
    refuse_count(unknown_helper,
                 "the native module calls the helper bpf_no_such_helper, which this execution "
                 "context does not have");
    refuse_count(other_helper_id, missing);
    refuse_count(huge_helper_id, missing);
    refuse_count(secret_helpers, "the native module does not say which helpers its program count calls");
    refuse_count(other_type, definition);
    refuse_count(other_key, definition);
    refuse_count(other_value, definition);
    refuse_count(other_entries, definition);
    refuse_count(other_stride,
                 "the map values has its values at other distances than the native module takes them to be");
    refuse_count(more_maps, "the native module's program count has another number of maps");
    fixture_close(&f);
}

static void calls_are_checked(void)
{
    struct prog *g = NULL;
    struct fixture_program p;
    struct map *no_map = NULL;
    REQUIRE(open());
    tiny[0].maps[TINY_MAP_PROGRAMS].uses |= EBPF_NATIVE_USE_VALUES;
    struct map *programs = make_programs();
    struct module *m = add(&tiny[0], 0);
    CHECK_EQ(load_as(m, TINY_JUMP, &tiny_sources[TINY_JUMP], programs, &g), EBPF_PROGRAM_LOAD_FAILED);
    CHECK_STR(why, "the map programs has no values that the native module could find in line");
    CHECK_EQ(load_as(m, TINY_PROGRAMS, &tiny_sources[TINY_ANSWER], NULL, &g), EBPF_PROGRAM_LOAD_FAILED);
    CHECK_STR(why, "the native module has no such program");
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, tiny_answer, ARRAY_SIZE(tiny_answer));
    p.evidence[2]++;
    CHECK_EQ(prog_load_native(f.rt, &p.program, &no_map, &p.bytes, m, TINY_ANSWER, why, &g),
             EBPF_PROGRAM_LOAD_FAILED);
    CHECK_STR(why, "the evidence does not fit the program");
    CHECK(g == NULL);
    drop(m);
    drop_map(programs);
    fixture_close(&f);
}

// --- maps ----------------------------------------------------------------------------------------

static void a_row_belongs_to_one_map(void)
{
    REQUIRE(open());
    struct map *a = make_values(), *b = make_values();
    struct module *m = add(&tiny[0], 0);
    struct prog *g = load(m, TINY_COUNT, a), *again = load(m, TINY_COUNT, a), *other = NULL;
    CHECK_EQ(load_as(m, TINY_COUNT, &tiny_sources[TINY_COUNT], b, &other), EBPF_INVALID_STATE);
    CHECK_STR(why, "the native module's map values is bound to another map");
    drop_prog(g);
    CHECK_EQ(load_as(m, TINY_COUNT, &tiny_sources[TINY_COUNT], b, &other), EBPF_INVALID_STATE);
    CHECK_EQ(result_of(again), 1);
    drop_prog(again); // nobody uses it any more
    other = load(m, TINY_COUNT, b);
    CHECK_EQ(result_of(other), 1);
    drop_prog(other);
    drop(m);
    drop_map(a);
    drop_map(b);
    fixture_close(&f);
}

// A program with two maps of which the second cannot be bound leaves the first one free.
static void rows_are_bound_together(void)
{
    static const struct insn both[] = {TINY_INSN(LDDW_MAP, 1, 0, 0, 0),   {0},
                                       TINY_INSN(LDDW_MAP, 1, 0, 0, 1),   {0},
                                       TINY_INSN(MOV64_IMM, 0, 0, 0, 42), TINY_INSN(EXIT, 0, 0, 0, 0)};
    struct fixture_program p;
    struct map_info info;
    struct prog *g = NULL;
    REQUIRE(open());
    tiny[0].programs[TINY_ANSWER].maps = both_maps;
    tiny[0].programs[TINY_ANSWER].map_count = 2;
    struct map *a = make_values(), *b = make_values(), *programs = make_programs(), *others = make_programs();
    struct module *m = add(&tiny[0], 0);
    struct prog *jump = load(m, TINY_JUMP, programs);
    struct map *maps[] = {a, others};
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, both, ARRAY_SIZE(both));
    for (unsigned i = 0; i < 2; i++) {
        map_info(maps[i], &info);
        p.maps[i] = info.def;
    }
    p.program.map_count = 2;
    CHECK_EQ(prog_load_native(f.rt, &p.program, maps, &p.bytes, m, TINY_ANSWER, why, &g), EBPF_INVALID_STATE);
    CHECK_STR(why, "the native module's map programs is bound to another map");
    struct prog *count = load(m, TINY_COUNT, b);
    drop_prog(count);
    drop_prog(jump);
    CHECK_OK(prog_load_native(f.rt, &p.program, maps, &p.bytes, m, TINY_ANSWER, why, &g));
    drop_prog(g);
    drop(m);
    drop_map(a);
    drop_map(b);
    drop_map(programs);
    drop_map(others);
    fixture_close(&f);
}

static void per_cpu_values_have_a_distance(void)
{
    REQUIRE(open());
    tiny[0].maps[0].type = "percpu_array";
    struct map *values = fixture_map(&f, MAP_TYPE_PERCPU_ARRAY, 4, 8, 4);
    struct module *m = add(&tiny[0], 0);
    struct prog *g = load(m, TINY_COUNT, values);
    CHECK_EQ(tiny[0].map_bindings[0].cpu_stride, 4096);
    CHECK(tiny[0].map_bindings[0].values != 0);
    CHECK_EQ(tiny[0].map_bindings[0].address, (uintptr_t)values);
    drop_prog(g);
    drop(m);
    drop_map(values);
    fixture_close(&f);
}

// --- the interpreter -----------------------------------------------------------------------------

#if defined(EBPF_INTERPRETER)
static void the_interpreter_runs_no_modules(void)
{
    struct module *m = NULL;
    fixture_engine = RUNTIME_INTERPRETER;
    bool opened = open();
    fixture_engine = RUNTIME_JIT;
    REQUIRE(opened);
    struct module_source source = source_of(&tiny[0], 0);
    CHECK_EQ(module_register(f.rt, &source, why, &m), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_STR(why, "the interpreter is set to run all programs, and runs no native ones");
    fixture_close(&f);
}
#endif

TEST_SUITE(module_check)
{
    RUN(tables_are_checked);
    RUN(longer_rows_are_read);
    RUN(there_is_a_limit_to_modules);
    RUN(programs_are_checked);
    RUN(calls_are_checked);
    RUN(a_row_belongs_to_one_map);
    RUN(rows_are_bound_together);
    RUN(per_cpu_values_have_a_distance);
#if defined(EBPF_INTERPRETER)
    RUN(the_interpreter_runs_no_modules);
#endif
}
