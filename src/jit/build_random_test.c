// SPDX-License-Identifier: MIT
// Random programs, executed plainly and from the intermediate form: with and without functions taken in,
// look-ups in line, slots as values, frames on the native stack. Results, memory and maps must be the same.
#include "jit/build_machine.h"
#include "tests/test_host.h"

static struct fixture fixture;

// --- programs ------------------------------------------------------------------------------------

struct maker {
    uint64_t seed;
    uint32_t count; // of instructions
    uint32_t func;  // that is made
    uint32_t nesting;
    uint32_t calls[64], callees[64], call_count;
    uint32_t starts[4];
};
static struct maker maker;

static uint32_t random_below(uint32_t limit)
{
    maker.seed = maker.seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(maker.seed >> 33) % limit;
}

static void add(unsigned id, unsigned dst, unsigned src, int off, int64_t imm)
{
    fixture.insns[maker.count++] = (struct insn){
        .id = (uint16_t)id, .dst = (uint8_t)dst, .src = (uint8_t)src, .off = (int16_t)off, .imm = imm};
}

// A register that numbers may be in. r6 is the memory.
static unsigned number_register(void)
{
    static const uint8_t regs[] = {0, 2, 3, 4, 5, 7, 8, 9};
    return regs[random_below(ARRAY_SIZE(regs))];
}

static int32_t random_imm(void)
{
    static const int32_t imms[] = {0,  1,  -1, 2,  8,   15,        16,        31,
                                   32, 33, 63, 64, 255, INT32_MIN, INT32_MAX, 0x1234567};
    return imms[random_below(ARRAY_SIZE(imms))];
}

static unsigned random_row(uint8_t first_form, uint8_t last_form)
{
    for (;;) {
        unsigned id = 1 + random_below(INSN_ID_COUNT - 1);
        const struct insn_info *info = insn_info(id);
        if (info->form >= first_form && info->form <= last_form) {
            return id;
        }
    }
}

static void add_alu(void)
{
    unsigned id = random_row(FORM_ALU_IMM, FORM_ALU_UNARY);
    bool reg = insn_info(id)->form == FORM_ALU_REG, imm = insn_info(id)->form == FORM_ALU_IMM;
    add(id, number_register(), reg ? number_register() : 0, 0, imm ? random_imm() : 0);
}

// Slots that may become values, then an array, keys, and what helpers get.
static const struct {
    int8_t off;
    uint8_t log;
} cells[] = {{-8, 3},  {-12, 2}, {-14, 1},  {-15, 0},  {-16, 0},
             {-24, 3}, {-32, 3}, {-100, 2}, {-104, 2}, {-112, 3}};
static const uint16_t loads[] = {INSN_LDXB, INSN_LDXH, INSN_LDXW, INSN_LDXDW};
static const uint16_t signed_loads[] = {INSN_LDXSB, INSN_LDXSH, INSN_LDXSW, INSN_LDXDW};
static const uint16_t stores[] = {INSN_STXB, INSN_STXH, INSN_STXW, INSN_STXDW};
static const uint16_t imm_stores[] = {INSN_STB, INSN_STH, INSN_STW, INSN_STDW};

static void add_cell(void)
{
    unsigned cell = random_below(ARRAY_SIZE(cells)), log = cells[cell].log, what = random_below(8);
    int off = cells[cell].off;
    if (random_below(40) == 0) {
        log = log == 0 ? 0 : log - 1; // another width
    }
    if (what < 3) {
        add(loads[log], number_register(), 10, off, 0);
    } else if (what == 3) {
        add(signed_loads[log], number_register(), 10, off, 0);
    } else if (what < 7) {
        add(stores[log], 10, number_register(), off, 0);
    } else {
        add(imm_stores[log], 10, 0, off, random_imm());
    }
}

static void add_array(void)
{
    add(INSN_MOV64_REG, 3, number_register(), 0, 0);
    add(INSN_AND64_IMM, 3, 0, 0, 7);
    add(INSN_LSH64_IMM, 3, 0, 0, 2);
    add(INSN_MOV64_REG, 4, 10, 0, 0);
    add(INSN_ADD64_REG, 4, 3, 0, 0);
    if (random_below(2) == 0) {
        add(INSN_LDXW, 4, 4, -64, 0);
    } else {
        add(INSN_STXW, 4, number_register() == 4 ? 0 : 5, -64, 0);
        add(INSN_MOV64_IMM, 4, 0, 0, 4);
    }
}

static void add_memory(void)
{
    unsigned log = random_below(4);
    int off = (int)random_below(24);
    switch (random_below(3)) {
    case 0: add(loads[log], number_register(), 6, off, 0); break;
    case 1: add(stores[log], 6, number_register(), off, 0); break;
    default: add(random_row(FORM_ATOMIC, FORM_ATOMIC), 6, number_register(), off & ~7, 0); break;
    }
}

static void refresh(void)
{
    for (unsigned reg = 1; reg <= 5; reg++) {
        add(INSN_MOV64_IMM, reg, 0, 0, (int64_t)reg * 11);
    }
}

static void add_helper(void)
{
    if (random_below(3) == 0) {
        add(INSN_CALL, 0, 0, 0, FIXTURE_CPU);
    } else {
        add(INSN_MOV64_REG, 2, number_register(), 0, 0);
        add(INSN_MOV64_REG, 1, random_below(3) == 0 ? 10 : 7, 0, 0);
        add(INSN_ADD64_IMM, 1, 0, 0, random_below(2) == 0 ? -12 : -112);
        add(INSN_CALL, 0, 0, 0, FIXTURE_PLAIN);
    }
    refresh();
}

// Offsets up to 61 are in the packet (machine_packet).
static void add_by_number_or_packet(void)
{
    if (random_below(2) == 0) {
        add(INSN_CALLX, number_register(), 0, 0, 0);
        refresh();
    } else if (random_below(2) == 0) {
        add(random_row(FORM_LDABS, FORM_LDABS), 0, 0, 0, random_below(70));
    } else {
        add(INSN_MOV64_IMM, 4, 0, 0, random_below(30));
        add(random_row(FORM_LDIND, FORM_LDIND), 0, 4, 0, random_below(40));
    }
}

static void add_lookup(void)
{
    unsigned keep = random_below(2) == 0 ? 0 : 8;
    add(INSN_MOV64_REG, 2, number_register(), 0, 0);
    add(INSN_AND64_IMM, 2, 0, 0, 15);
    add(INSN_STXW, 10, 2, -68, 0);
    add(INSN_LDDW_MAP, 1, 0, 0, random_below(4));
    add(INSN_NONE, 0, 0, 0, 0);
    add(INSN_MOV64_REG, 2, 10, 0, 0);
    add(INSN_ADD64_IMM, 2, 0, 0, -68);
    add(INSN_CALL, 0, 0, 0, FIXTURE_LOOKUP);
    refresh();
    if (keep != 0) {
        add(INSN_MOV64_REG, keep, 0, 0, 0);
    }
    if (random_below(2) == 0) {
        add(INSN_JEQ64_IMM, keep, 0, 3, 0);
    } else {
        add(INSN_JNE64_IMM, keep, 0, 1, 0);
        add(INSN_JA, 0, 0, 3, 0);
    }
    add(INSN_LDXDW, 3, keep, 0, 0);
    add(INSN_ADD64_REG, 3, 7, 0, 0);
    add(INSN_STXDW, keep, 3, 0, 0);
}

static void add_call(void)
{
    if (maker.func == 3 || maker.call_count == ARRAY_SIZE(maker.calls)) {
        return;
    }
    add(INSN_MOV64_REG, 2, number_register(), 0, 0);
    add(INSN_MOV64_REG, 1, 6, 0, 0);
    maker.calls[maker.call_count] = maker.count;
    maker.callees[maker.call_count++] = maker.func + 1 + random_below(3 - maker.func);
    add(INSN_CALL_LOCAL, 0, 0, 0, 0);
    refresh();
}

static void add_items(uint32_t count);

static void patch(uint32_t jump)
{
    fixture.insns[jump].off = (int16_t)(maker.count - jump - 1);
}

static void add_branch(void)
{
    uint32_t jump = maker.count;
    unsigned id = random_row(FORM_JMP_IMM, FORM_JMP_REG);
    bool reg = insn_info(id)->form == FORM_JMP_REG;
    if (random_below(8) == 0) {
        add(INSN_MAY_GOTO, 0, 0, 0, 0);
    } else {
        add(id, number_register(), reg ? number_register() : 0, 0, reg ? 0 : random_imm());
    }
    add_items(1 + random_below(4));
    if (random_below(3) == 0) {
        uint32_t over = maker.count;
        add(INSN_JA, 0, 0, 0, 0);
        patch(jump);
        add_items(1 + random_below(4));
        patch(over);
    } else if (random_below(5) == 0) {
        add(INSN_EXIT, 0, 0, 0, 0);
        patch(jump);
    } else {
        patch(jump);
    }
}

// Counts in a cell that nothing else uses.
static void add_loop(void)
{
    int cell = -120 - 8 * (int)maker.nesting;
    add(INSN_STW, 10, 0, cell, 1 + (int64_t)random_below(4));
    uint32_t head = maker.count;
    add_items(2 + random_below(5));
    add(INSN_LDXW, 2, 10, cell, 0);
    add(INSN_SUB32_IMM, 2, 0, 0, 1);
    add(INSN_STXW, 10, 2, cell, 0);
    add(INSN_JNE32_IMM, 2, 0, (int)head - (int)maker.count - 1, 0);
}

static void add_item(void)
{
    uint32_t what = random_below(100);
    bool nests = maker.nesting < 3;
    if (what < 40) {
        add_alu();
    } else if (what < 60) {
        add_cell();
    } else if (what < 66) {
        add_array();
    } else if (what < 73) {
        add_memory();
    } else if (what < 77) {
        add_helper();
    } else if (what < 81) {
        add_lookup();
    } else if (what < 84) {
        add_call();
    } else if (what < 86) {
        add_by_number_or_packet();
    } else if (what < 95 && nests) {
        add_branch();
    } else if (nests) {
        add_loop();
    }
}

static void add_items(uint32_t count)
{
    maker.nesting++;
    for (uint32_t i = 0; i < count && maker.count < FIXTURE_SLOTS / 2; i++) {
        add_item();
    }
    maker.nesting--;
}

static void add_function(uint32_t func)
{
    maker.func = func;
    maker.starts[func] = maker.count;
    add(INSN_MOV64_REG, 6, 1, 0, 0);
    add(INSN_MOV64_REG, 7, 2, 0, 0);
    add(INSN_MOV64_IMM, 0, 0, 0, random_imm());
    add(INSN_MOV64_IMM, 8, 0, 0, random_imm());
    add(INSN_MOV64_IMM, 9, 0, 0, random_imm());
    refresh();
    for (int off = -8; off >= -112; off -= 8) {
        add(INSN_STDW, 10, 0, off, off * 3);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(cells); i++) {
        add(imm_stores[cells[i].log], 10, 0, cells[i].off, (int64_t)i);
    }
    uint32_t first = maker.count - 14 - (uint32_t)ARRAY_SIZE(cells);
    if (random_below(4) != 0) { // only what is accessed in one way can become values
        for (uint32_t i = 0; i < 4; i++) {
            fixture.insns[first + i].id = INSN_MOV64_IMM;
            fixture.insns[first + i].dst = 3;
            fixture.insns[first + i].off = 0;
        }
        fixture.insns[first + 12] = fixture.insns[first + 13] = fixture.insns[first];
    }
    add_items(5 + random_below(25));
    add(INSN_XOR64_REG, 0, 7, 0, 0);
    add(INSN_ADD64_REG, 0, 8, 0, 0);
    add(INSN_EXIT, 0, 0, 0, 0);
}

static void make_program(uint64_t seed)
{
    maker = (struct maker){.seed = seed * 0x9e3779b97f4a7c15u + 1};
    for (uint32_t func = 0; func < 4; func++) {
        add_function(func);
    }
    for (uint32_t i = 0; i < maker.call_count; i++) {
        uint32_t at = maker.calls[i];
        fixture.insns[at].imm = (int64_t)maker.starts[maker.callees[i]] - at - 1;
    }
}

// --- runs ----------------------------------------------------------------------------------------

#define FRAME_BYTES (INSN_STACK_SIZE * INSN_MAX_FRAMES)
static struct {
    _Alignas(16) uint8_t frames[2 * FRAME_BYTES];
    _Alignas(8) uint8_t memory[32];
    _Alignas(8) uint8_t array[160], percpu[1024];
} world, kept;

static struct jit_map maps[ARRAY_SIZE(fixture_maps)];

static void take_program(bool native)
{
    fixture_take(&fixture, maker.count);
    fixture.options.native_frame = native;
    memcpy(maps, fixture_maps, sizeof(maps));
    maps[0].values = (uintptr_t)world.array;
    maps[1].values = (uintptr_t)world.percpu;
    fixture.input.maps = maps;
}

static void reset_world(struct jit_run *run)
{
    memset(&world, 0, sizeof(world));
    for (size_t i = 0; i < sizeof(world.memory); i++) {
        world.memory[i] = (uint8_t)(i * 37 + 5);
    }
    *run = (struct jit_run){.turns = 3, .slot = 2};
    machine_low = (uintptr_t)world.frames;
    machine_high = machine_low + sizeof(world.frames);
}

static uint64_t world_top(bool native)
{
    return (uintptr_t)world.frames + FRAME_BYTES + (native ? FRAME_BYTES - 16 : 0);
}

static bool run_plainly(bool native, uint64_t *result, struct jit_run *run)
{
    struct machine m = {.input = &fixture.input, .run = run, .steps = 20000, .native = native};
    reset_world(run);
    uint64_t args[5] = {(uintptr_t)world.memory, 77, 0, 0, 0};
    bool done = machine_run(&m, 0, args, world_top(native), result);
    kept = world;
    return done;
}

static ebpf_result_t run_form(bool native, uint64_t *result, struct jit_run *run)
{
    struct machine m = {.input = &fixture.input, .run = run, .steps = 100000, .native = native};
    reset_world(run);
    uint64_t top = world_top(native);
    struct ir_machine machine = {.params = {(uintptr_t)world.memory, 77, 0, 0, 0, (uintptr_t)run, top},
                                 .call = machine_called,
                                 .user = &m,
                                 .frame_top = top,
                                 .steps = 400000};
    return ir_run(&fixture.j, &machine, result);
}

// MIDDLE: all passes that are the same for all machines, in their order.
enum variant { INLINED = 1, NATIVE = 2, IN_LINE = 4, SLOTS = 8, MIDDLE = 16, VARIANT_COUNT = 20 };

static ebpf_result_t check_pass(ebpf_result_t result)
{
    uint32_t where;
    const char *wrong = result == EBPF_SUCCESS ? ir_check(&fixture.j, &where) : NULL;
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "v%u: %s", where, wrong);
        return EBPF_FAILED;
    }
    return result;
}

static ebpf_result_t build_variant(unsigned variant)
{
    fixture.options.passes =
        (variant & INLINED) != 0 ? JIT_ALL_PASSES : JIT_ALL_PASSES & ~JIT_PASS_BIT(INLINE);
    if ((variant & MIDDLE) != 0) {
        TRY(fixture_start(&fixture, sizeof(fixture.workspace)));
        jit_begin_function(&fixture.j, 0);
        return check_pass(jit_run_passes(&fixture.j, JIT_PASS_BUILD, JIT_PASS_DIVIDE));
    }
    TRY(fixture_build(&fixture, 0));
    if ((variant & IN_LINE) != 0) {
        TRY(check_pass(lower_calls(&fixture.j)));
    }
    if ((variant & SLOTS) != 0) {
        TRY(check_pass(build_slots(&fixture.j)));
    }
    return EBPF_SUCCESS;
}

// Frames hold what became values no more, and what functions left there.
static bool same_world(void)
{
    return memcmp(world.memory, kept.memory, sizeof(kept.memory)) == 0 &&
           memcmp(world.array, kept.array, sizeof(kept.array)) == 0 &&
           memcmp(world.percpu, kept.percpu, sizeof(kept.percpu)) == 0;
}

// On the native stack a function makes its own frame, below that of whatever calls it; the machine of these
// tests only knows where the first one is.
static bool frames_are_known(unsigned variant)
{
    bool all_taken_in = true;
    for (uint32_t f = 1; f < fixture.input.func_count; f++) {
        all_taken_in = all_taken_in && fixture.j.func_inlined[f] != 0;
    }
    return (variant & NATIVE) == 0 || (variant & INLINED) == 0 || all_taken_in;
}

static bool check_variant(uint64_t seed, unsigned variant)
{
    struct jit_run runs[2];
    uint64_t results[2] = {0, 0};
    bool native = (variant & NATIVE) != 0;
    take_program(native);
    if (!run_plainly(native, &results[0], &runs[0])) {
        return true; // loops in loops that call
    }
    ebpf_result_t built = build_variant(variant);
    if (built == EBPF_SUCCESS && !frames_are_known(variant)) {
        return true;
    }
    ebpf_result_t ran = built == EBPF_SUCCESS ? run_form(native, &results[1], &runs[1]) : EBPF_FAILED;
    bool same = ran == EBPF_SUCCESS && results[0] == results[1] && runs[0].turns == runs[1].turns &&
                runs[0].aborted == runs[1].aborted && same_world();
    if (!same) {
        test_fail(__FILE__, __LINE__, "seed %llu, variant %u: built %d, ran %d, 0x%llx, not 0x%llx",
                  (unsigned long long)seed, variant, built, ran, (unsigned long long)results[1],
                  (unsigned long long)results[0]);
    }
    return same;
}

static void random_programs_mean_the_same(void)
{
    uint64_t first = test_setting("EBPF_SEED", 1);
    uint64_t count = test_setting("EBPF_COUNT", test_is_nightly() ? 20000 : 150);
    for (uint64_t seed = first; seed < first + count; seed++) {
        make_program(seed);
        for (unsigned variant = 0; variant < VARIANT_COUNT; variant++) {
            if (!check_variant(seed, variant)) {
                return;
            }
        }
    }
}

TEST_SUITE(build_random)
{
    RUN(random_programs_mean_the_same);
}
