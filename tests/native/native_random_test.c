// SPDX-License-Identifier: MIT
// The random programs of tests/jit in the reference machine and as C: NATIVE_BATCH programs in one module,
// compiled by clang and by gcc; some modules once more with checks for undefined behaviour. 400 programs,
// 10,000 with EBPF_NIGHTLY. DIFFERENTIAL_SEED starts elsewhere, DIFFERENTIAL_COUNT sets how many;
// NATIVE_COMPILER sets the compiler.
#include <stdio.h>
#include <stdlib.h>

#include "tests/jit/differential.h"
#include "tests/native/native_build.h"
#include "tests/test.h"

enum { BATCH = 200, PROGRAMS = 400, NIGHTLY = 10000, MAX_MODULE = BATCH * WORLD_PROGRAMS, CHECKED = 50 };

static struct generator generator;
static struct subject subject;

// Subjects of one module: either all raw or none is.
struct batch {
    struct arena arena;
    uint64_t seeds[BATCH];
    uint32_t first[BATCH]; // program of the module that the subject starts with
    uint32_t count;
    struct program programs[MAX_MODULE];
    struct cgen_program sources[MAX_MODULE];
    uint32_t program_count;
};
static struct batch batches[2]; // by whether they are raw

// --- the world as tables -------------------------------------------------------------------------

static struct helper_row helpers[WORLD_HELPERS];
static struct spec_view view;
static struct cgen_map maps[WORLD_MAPS];
static struct map_def map_defs[WORLD_MAPS];
static const uint32_t map_of[WORLD_MAPS] = {0, 1, 2, 3, 4};

static void name_helpers(void)
{
    static const char *const names[WORLD_HELPERS] = {
#define HELPER(id, kind, count) [WORLD_##id] = "world_" #id,
#include "tests/jit/world_helpers.def"
#undef HELPER
    };
    static const uint8_t counts[WORLD_HELPERS] = {
#define HELPER(id, kind, count) [WORLD_##id] = count,
#include "tests/jit/world_helpers.def"
#undef HELPER
    };
    for (unsigned i = 0; i < WORLD_HELPERS; i++) {
        helpers[i].name = names[i] != NULL ? names[i] : "";
        memset(helpers[i].args, ARG_ANYTHING, counts[i]);
    }
    helpers[WORLD_LOOKUP].name = "bpf_map_lookup_elem";
    helpers[WORLD_CPU_ID].name = "bpf_get_smp_processor_id";
    helpers[WORLD_TAIL].flags = HELPER_TAIL_CALL;
}

static void name_maps(void)
{
    struct jit_input input = {0};
    static const uint32_t kinds[] = {[JIT_MAP_OTHER] = MAP_TYPE_HASH,
                                     [JIT_MAP_ARRAY] = MAP_TYPE_ARRAY,
                                     [JIT_MAP_PERCPU_ARRAY] = MAP_TYPE_PERCPU_ARRAY};
    world_bind(&input, native_abi());
    for (unsigned i = 0; i < WORLD_MAPS; i++) {
        map_defs[i] = (struct map_def){.type = kinds[world.maps[i].kind],
                                       .key_size = world.key_sizes[i],
                                       .value_size = world.value_sizes[i],
                                       .max_entries = world.maps[i].max_entries};
        str_format(map_defs[i].name, sizeof(map_defs[i].name), "map%u", i);
        maps[i].def = map_defs[i];
    }
}

static void describe_world(void)
{
    name_helpers();
    name_maps();
    view = *spec_builtin();
    view.helpers = helpers;
    view.helper_count = WORLD_HELPERS;
}

// --- batches -------------------------------------------------------------------------------------

static void add_program(struct batch *b, const struct subject *s, uint32_t index)
{
    const struct subject_program *from = &s->programs[index];
    struct program *p = &b->programs[b->program_count];
    *p = (struct program){.type = PROG_TYPE_RAW_MEMORY,
                          .insns = arena_copy(&b->arena, from->insns, from->insn_count * sizeof(struct insn)),
                          .insn_count = from->insn_count,
                          .funcs = arena_copy(&b->arena, from->funcs, from->func_count * sizeof(struct func)),
                          .func_count = from->func_count,
                          .maps = map_defs,
                          .map_count = s->raw ? 0 : WORLD_MAPS,
                          .strings = "",
                          .strings_size = 1};
    b->sources[b->program_count++] = (struct cgen_program){p, {NULL, 0}, map_of};
}

static void add_subject(uint64_t seed, unsigned *meaningless)
{
    subject_make(&subject, &generator, seed);
    if (!subject_expect(&subject)) {
        ++*meaningless;
        return;
    }
    struct batch *b = &batches[subject.raw];
    b->seeds[b->count] = seed;
    b->first[b->count++] = b->program_count;
    for (uint32_t i = 0; i < subject.program_count; i++) {
        add_program(b, &subject, i);
    }
}

static void bind(const struct ebpf_native_module *m, const struct jit_input *input)
{
    for (uint32_t i = 0; i < m->helper_count; i++) {
        m->helper_bindings[i] = (ebpf_native_helper_fn)(uintptr_t)input->helpers[m->helpers[i].id].address;
    }
    for (uint32_t i = 0; i < m->map_count; i++) {
        const struct jit_map *map = &input->maps[i];
        m->map_bindings[i] = (struct ebpf_native_map_binding){map->address, map->values, map->cpu_stride, 0};
    }
    m->imports->call_number = (ebpf_native_helper_fn)(uintptr_t)input->call_number;
    m->imports->load_packet = (ebpf_native_helper_fn)(uintptr_t)input->load_packet;
}

// --- runs ----------------------------------------------------------------------------------------

struct call {
    ebpf_native_entry_fn entry;
    struct jit_run run;
    uint64_t result;
};

static void enter(void *user)
{
    static uint8_t frames[INSN_MAX_FRAMES * INSN_STACK_SIZE];
    struct call *c = user;
    c->result = c->entry((uintptr_t)world.state.mem, WORLD_MEM, (struct ebpf_native_run *)&c->run,
                         frames + INSN_STACK_SIZE);
}

static bool differs(const struct subject *s, const struct ebpf_native_module *m, uint32_t first,
                    struct difference *d)
{
    struct call c = {.entry = m->programs[first].entry};
    const char *crash;
    bind(m, subject_bind(s, native_abi()));
    for (uint32_t i = 0; i < s->program_count; i++) {
        world.tail_targets[i] = (uintptr_t)m->programs[first + i].entry;
    }
    subject_begin(s, &c.run);
    if (!native_guard(enter, &c, &crash)) {
        str_format(d->text, sizeof(d->text), "%s", crash);
        return true;
    }
    return outcome_differs(s, &c.run, c.result, d);
}

static void run_subjects(const struct batch *b, const struct ebpf_native_module *m, const char *how)
{
    struct difference d = {""};
    for (uint32_t i = 0; i < b->count; i++) {
        subject_make(&subject, &generator, b->seeds[i]);
        CHECK(subject_expect(&subject));
        if (differs(&subject, m, b->first[i], &d)) {
            test_fail(__FILE__, __LINE__, "seed %llu, %s: %s", (unsigned long long)b->seeds[i], how, d.text);
        }
    }
}

// The first programs of a batch.
static void run_module(struct batch *b, uint32_t limit, const char *compiler, const char *flags)
{
    struct native_module m;
    uint32_t count = b->count < limit ? b->count : limit, all = b->count;
    const struct cgen_input input = {.spec = &view,
                                     .name = "random",
                                     .version = "tests",
                                     .programs = b->sources,
                                     .program_count = count < b->count ? b->first[count] : b->program_count,
                                     .maps = maps,
                                     .map_count = b == &batches[0] ? WORLD_MAPS : 0,
                                     .raw = b == &batches[1]};
    if (b->count == 0 || !native_has_compiler(compiler)) {
        return;
    }
    if (!native_build(&input, compiler, flags, &m)) {
        test_fail(__FILE__, __LINE__, "seeds %llu to %llu: no module from %s",
                  (unsigned long long)b->seeds[0], (unsigned long long)b->seeds[b->count - 1], compiler);
        return;
    }
    b->count = count;
    run_subjects(b, m.table, compiler);
    b->count = all;
    native_unload(&m);
}

static void run_batch(uint64_t first, uint64_t count, unsigned *meaningless)
{
    const char *chosen = getenv("NATIVE_COMPILER");
    const char *compiler = chosen != NULL ? chosen : (first / BATCH) % 2 == 0 ? "clang-19" : "gcc";
    for (unsigned i = 0; i < 2; i++) {
        batches[i].count = batches[i].program_count = 0;
        arena_init(&batches[i].arena, test_mem_source(), 0);
    }
    for (uint64_t seed = first; seed < first + count; seed++) {
        add_subject(seed, meaningless);
    }
    for (unsigned i = 0; i < 2; i++) {
        run_module(&batches[i], BATCH, compiler, NATIVE_FLAGS);
        run_module(&batches[i], CHECKED, compiler, NATIVE_UBSAN);
        arena_fini(&batches[i].arena);
    }
}

static void modules_agree_with_the_reference(void)
{
    uint64_t first = test_setting("DIFFERENTIAL_SEED", 1);
    uint64_t count = test_setting("DIFFERENTIAL_COUNT", test_is_nightly() ? NIGHTLY : PROGRAMS);
    unsigned meaningless = 0;
    if (!native_has_compiler("clang-19") && !native_has_compiler("gcc")) {
        SKIP("neither clang-19 nor gcc is there");
    }
    for (uint64_t done = 0; done < count && test_state.failed_checks < 20; done += BATCH) {
        run_batch(first + done, count - done < BATCH ? count - done : BATCH, &meaningless);
    }
    CHECK(meaningless <= count / 100);
}

// --- tail calls in functions that are called -----------------------------------------------------

// A function tail-calls program r1, and gives 70 when there is none; its caller adds 1.
static const struct insn caller_insns[] = {
    {.id = INSN_MOV64_REG, .dst = 6, .src = 1},
    {.id = INSN_CALL_LOCAL, .imm = 2},
    {.id = INSN_ADD64_IMM, .imm = 1},
    {.id = INSN_EXIT},
    {.id = INSN_MOV64_REG, .dst = 3, .src = 2},
    {.id = INSN_LDDW_MAP, .dst = 2, .imm = WORLD_HASH},
    {.id = INSN_NONE},
    {.id = INSN_CALL, .imm = WORLD_TAIL},
    {.id = INSN_MOV64_IMM, .imm = 70},
    {.id = INSN_EXIT},
};
static const struct func caller_funcs[] = {{.start = 0, .end = 4, .name = "main"},
                                           {.start = 4, .end = 10, .name = "below"}};
// Tells whether it has the caller's context.
static const struct insn next_insns[] = {
    {.id = INSN_LDXB, .dst = 0, .src = 1},
    {.id = INSN_ADD64_IMM, .imm = 40},
    {.id = INSN_EXIT},
};
static const struct func next_funcs[] = {{.start = 0, .end = 3, .name = "main"}};

static struct program below[2];

static void make_below(void)
{
    const struct program common = {.type = PROG_TYPE_RAW_MEMORY,
                                   .maps = map_defs,
                                   .map_count = WORLD_MAPS,
                                   .strings = "",
                                   .strings_size = 1};
    below[0] = below[1] = common;
    below[0].insns = caller_insns, below[0].insn_count = ARRAY_SIZE(caller_insns);
    below[0].funcs = caller_funcs, below[0].func_count = ARRAY_SIZE(caller_funcs);
    below[1].insns = next_insns, below[1].insn_count = ARRAY_SIZE(next_insns);
    below[1].funcs = next_funcs, below[1].func_count = ARRAY_SIZE(next_funcs);
}

static void run_below(const char *compiler, const char *flags)
{
    const struct cgen_program sources[] = {{&below[0], {NULL, 0}, map_of}, {&below[1], {NULL, 0}, map_of}};
    const struct cgen_input input = {.spec = &view,
                                     .name = "below",
                                     .version = "tests",
                                     .programs = sources,
                                     .program_count = ARRAY_SIZE(sources),
                                     .maps = maps,
                                     .map_count = WORLD_MAPS};
    const struct subject none = {.program_count = ARRAY_SIZE(sources), .turns = 1};
    struct native_module m;
    make_below();
    REQUIRE(native_build(&input, compiler, flags, &m));
    bind(m.table, subject_bind(&none, native_abi()));
    world.tail_targets[1] = (uintptr_t)m.table->programs[1].entry;
    for (uint64_t index = 1; index < 3; index++) {
        struct jit_run run;
        subject_begin(&none, &run);
        world.state.mem[0] = 9;
        uint64_t r1 = (uintptr_t)world.state.mem;
        uint64_t got = m.table->programs[0].entry(r1, index, (struct ebpf_native_run *)&run, NULL);
        CHECK_EQ(got, index == 1 ? 9 + 40 + 1 : 70 + 1);
    }
    native_unload(&m);
}

static void functions_that_are_called_tail_call(void)
{
    static const char *const compilers[] = {"clang-19", "gcc"};
    for (size_t i = 0; i < ARRAY_SIZE(compilers); i++) {
        if (native_has_compiler(compilers[i])) {
            run_below(compilers[i], NATIVE_FLAGS);
            run_below(compilers[i], NATIVE_UBSAN);
        }
    }
}

TEST_SUITE(native_random)
{
    if (!native_open()) {
        test_fail(__FILE__, __LINE__, "signals cannot be caught");
        return;
    }
    describe_world();
    RUN(functions_that_are_called_tail_call);
    RUN(modules_agree_with_the_reference);
    native_close();
}
