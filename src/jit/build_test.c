// SPDX-License-Identifier: MIT
// Bytecode to SSA: text of small functions, and every row of isa.def against plain execution.
#include "jit/build_machine.h"

static struct fixture fixture;

static void check_build(const char *program, uint32_t func, const char *expected)
{
    REQUIRE(fixture_assemble(&fixture, program));
    REQUIRE_OK(fixture_build(&fixture, func));
    CHECK_STR(fixture_print(&fixture), expected);
}

// --- text ----------------------------------------------------------------------------------------

static void loops_get_phis_for_what_they_change(void)
{
    check_build(
        "mov %r0, 0\nmov %r3, 7\nloop:\nadd %r0, %r1\nsub %r2, 1\njne %r2, 0, loop\nadd %r0, %r3\nexit\n", 0,
        "func 0 entry b1\nb1:\n"
        "  v2 = param #1\n  v1 = param #0\n"
        "  v3 = const #0\n  v4 = const #7\n"
        "  jump -> b2\n"
        "b2: <- b1, b2\n"
        "  v7 = phi v2, v10\n  v6 = phi v3, v8\n"
        "  v8 = add64 v6, v1\n  v9 = const #1\n  v10 = sub64 v7, v9\n"
        "  branch ne64 v10, v3 -> b2, b3\n"
        "b3: <- b2\n  v12 = add64 v8, v4\n  ret v12\n");
}

static void joins_get_phis_for_what_lives_only(void)
{
    check_build("mov %r0, 1\nmov %r3, 1\njeq32 %r1, 5, over\nmov %r0, 2\nmov %r3, 2\nover:\nexit\n", 0,
                "func 0 entry b1\nb1:\n"
                "  v1 = param #0\n  v2 = const #1\n  v3 = const #5\n"
                "  branch eq32 v1, v3 -> b3, b2\n"
                "b2: <- b1\n  v5 = const #2\n  jump -> b3\n"
                "b3: <- b1, b2\n  v7 = phi v2, v5\n  ret v7\n");
}

static void constants_are_those_of_the_blocks_above(void)
{
    check_build("jeq %r1, 5, five\nadd %r1, 9\nja out\nfive:\nadd %r1, 9\nadd %r1, 5\n"
                "out:\nmov %r0, %r1\nexit\n",
                0,
                "func 0 entry b1\nb1:\n"
                "  v1 = param #0\n  v2 = const #5\n  branch eq64 v1, v2 -> b3, b2\n"
                "b2: <- b1\n  v4 = const #9\n  v5 = add64 v1, v4\n  jump -> b4\n"
                "b3: <- b1\n  v7 = const #9\n  v8 = add64 v1, v7\n  v9 = add64 v8, v2\n  jump -> b4\n"
                "b4: <- b2, b3\n  v11 = phi v5, v9\n  ret v11\n");
}

static void a_loop_at_the_start_gets_a_block_before_it(void)
{
    check_build("loop:\nadd %r1, 1\njlt %r1, %r2, loop\nmov %r0, %r1\nexit\n", 0,
                "func 0 entry b1\nb1:\n"
                "  v2 = param #1\n  v1 = param #0\n  jump -> b2\n"
                "b2: <- b1, b2\n  v4 = phi v1, v6\n  v5 = const #1\n  v6 = add64 v4, v5\n"
                "  branch ult64 v6, v2 -> b2, b3\n"
                "b3: <- b2\n  ret v6\n");
}

static void functions_get_what_they_read(void)
{
    const char *program = "mov %r1, 1\nmov %r3, 3\ncall local f\nexit\nf:\nmov %r0, %r3\nexit\n";
    check_build(program, 0,
                "func 0 entry b1\nb1:\n"
                "  v5 = param #6\n  v4 = param #5\n"
                "  v2 = const #3\n  v3 = undef\n"
                "  v6 = const #512\n  v7 = add64 v5, v6\n"
                "  v8 = call_local #1(v3, v3, v2, v3, v3, v4, v7)\n  ret v8\n");
    check_build(program, 1, "func 1 entry b1\nb1:\n  v1 = param #2\n  ret v1\n");
    CHECK_EQ(fixture.j.func_inlined[1], 0);
}

static void may_goto_counts_down(void)
{
    check_build("may_goto out\nmov %r0, 1\nexit\nout:\nmov %r0, 2\nexit\n", 0,
                "func 0 entry b1\nb1:\n"
                "  v1 = param #5\n  v2 = load32 [v1 + 8]\n  v3 = const #0\n"
                "  branch eq32 v2, v3 -> b3, b4 !cold\n"
                "b4: <- b1\n  v5 = const #-1\n  v6 = add32 v2, v5\n  store32 [v1 + 8], v6\n  jump -> b2\n"
                "b2: <- b4\n  v9 = const #1\n  ret v9\n"
                "b3: <- b1\n  v11 = const #2\n  ret v11\n");
}

static void packet_loads_end_the_program_from_any_function(void)
{
    const char *program = "call local f\nadd %r0, 1\nexit\nf:\nldindh %r1, -2\nexit\n";
    check_build(program, 1,
                "func 1 entry b1\nb1:\n"
                "  v6 = param #5\n  v1 = param #0\n  v12 = const #0\n"
                "  v2 = const #4294967294\n  v3 = add32 v1, v2\n  v4 = undef\n  v5 = const #2\n"
                "  v7 = call #28672(v3, v5, v4, v4, v4, v6)\n"
                "  v8 = load32 [v6 + 16]\n  v9 = const #0\n"
                "  branch ne32 v8, v9 -> b3, b2 !cold\n"
                "b2: <- b1\n  ret v7\nb3: <- b1 !cold\n  ret v12\n");
    CHECK_EQ(fixture.j.func_aborts[0], 1);
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_EQ(fixture.j.ir.block_count, 1 + 3);
}

static void raw_calls_and_callx_go_by_number(void)
{
    REQUIRE(fixture_assemble(&fixture, "mov %r5, 9\ncall 77\ncallx r0\nexit\n"));
    fixture.input.raw = true;
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_STR(fixture_print(&fixture), "func 0 entry b1\nb1:\n"
                                       "  v6 = param #5\n  v2 = param #1\n  v1 = param #0\n  v3 = const #0\n"
                                       "  v4 = const #9\n  v5 = const #77\n  store64 [v6], v5\n"
                                       "  v8 = call #24576(v1, v2, v3, v3, v4, v6)\n"
                                       "  store64 [v6], v8\n"
                                       "  v10 = call #24576(v3, v3, v3, v3, v3, v6)\n  ret v10\n");
}

static void frames_are_native_or_the_callers(void)
{
    check_build("mov %r0, %r10\nexit\n", 0, "func 0 entry b1\nb1:\n  v1 = param #6\n  ret v1\n");
    CHECK_EQ(fixture.j.ir.frame_low, INSN_STACK_SIZE);
    fixture.options.native_frame = true;
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_STR(fixture_print(&fixture), "func 0 entry b1\nb1:\n  v1 = frame\n  ret v1\n");
}

// --- what is refused -----------------------------------------------------------------------------

static void check_refused(const struct insn *insns, uint32_t count, uint32_t bad_pc)
{
    memcpy(fixture.insns, insns, count * sizeof(*insns));
    fixture_take(&fixture, count);
    CHECK_EQ(fixture_build(&fixture, 0), EBPF_JIT_COMPILATION_FAILED);
    CHECK_EQ(fixture.j.bad_pc, bad_pc);
}

static void what_cannot_be_translated_is_refused(void)
{
    static const struct insn exit = {.id = INSN_EXIT};
    const struct insn code[] = {{.id = INSN_LDDW_CODE, .imm = 0}, {.id = INSN_NONE}, exit};
    const struct insn value[] = {exit, {.id = INSN_LDDW_MAP_VALUE}, {.id = INSN_NONE}, exit};
    const struct insn reached[] = {
        {.id = INSN_MOV64_IMM}, {.id = INSN_LDDW_MAP_VALUE}, {.id = INSN_NONE}, exit};
    const struct insn map[] = {
        {.id = INSN_LDDW_MAP, .imm = ARRAY_SIZE(fixture_maps)}, {.id = INSN_NONE}, exit};
    const struct insn kernel[] = {{.id = INSN_CALL_BTF, .imm = 1}, exit};
    const struct insn helper[] = {{.id = INSN_CALL, .imm = FIXTURE_HELPER_COUNT}, exit};
    const struct insn negative[] = {{.id = INSN_CALL, .imm = -1}, exit};
    check_refused(code, ARRAY_SIZE(code), 0);
    check_refused(reached, ARRAY_SIZE(reached), 1);
    check_refused(map, ARRAY_SIZE(map), 0);
    check_refused(kernel, ARRAY_SIZE(kernel), 0);
    check_refused(helper, ARRAY_SIZE(helper), 0);
    check_refused(negative, ARRAY_SIZE(negative), 0);
    memcpy(fixture.insns, value, sizeof(value));
    fixture_take(&fixture, ARRAY_SIZE(value));
    CHECK_OK(fixture_build(&fixture, 0)); // nobody gets there
}

static void ways_out_of_a_function_are_refused(void)
{
    static const struct insn exit = {.id = INSN_EXIT}, move = {.id = INSN_MOV64_IMM};
    const struct insn falls[] = {move, {.id = INSN_JEQ64_IMM, .off = 0}};
    const struct insn jumps[] = {{.id = INSN_JA, .off = 5}, exit};
    const struct insn back[] = {move, {.id = INSN_JA, .off = -3}, exit};
    const struct insn between[] = {{.id = INSN_JA, .off = 1}, {.id = INSN_LDDW}, {.id = INSN_NONE}, exit};
    const struct insn nowhere[] = {{.id = INSN_ATOMIC_FETCH_ADD64, .dst = 1, .src = 10}, exit};
    check_refused(falls, ARRAY_SIZE(falls), 1);
    check_refused(jumps, ARRAY_SIZE(jumps), 0);
    check_refused(back, ARRAY_SIZE(back), 1);
    check_refused(between, ARRAY_SIZE(between), 0);
    check_refused(nowhere, ARRAY_SIZE(nowhere), 0);
}

static void r10_is_written_nowhere_that_is_reached(void)
{
    static const struct insn exit = {.id = INSN_EXIT}, move = {.id = INSN_MOV64_IMM};
    const struct insn adds[] = {move, {.id = INSN_ADD64_IMM, .dst = 10, .imm = 8}, exit};
    const struct insn loads[] = {move, move, {.id = INSN_LDXDW, .dst = 10, .src = 1}, exit};
    const struct insn later[] = {{.id = INSN_CALL, .imm = -1}, {.id = INSN_MOV64_IMM, .dst = 10}, exit};
    const struct insn behind[] = {move, exit, {.id = INSN_MOV64_IMM, .dst = 10}, exit};
    check_refused(adds, ARRAY_SIZE(adds), 1);
    check_refused(loads, ARRAY_SIZE(loads), 2);
    check_refused(later, ARRAY_SIZE(later), 0);
    memcpy(fixture.insns, behind, sizeof(behind));
    fixture_take(&fixture, ARRAY_SIZE(behind));
    CHECK_OK(fixture_build(&fixture, 0));
}

static void a_full_workspace_is_an_error_and_nothing_else(void)
{
    REQUIRE(fixture_assemble(&fixture, "mov %r0, 0\nloop:\nadd %r0, %r1\nstxdw [%r10-8], %r0\nmay_goto out\n"
                                       "call local f\njne %r0, 0, loop\nout:\nexit\nf:\nldabsw 4\nexit\n"));
    ebpf_result_t result = EBPF_NO_MEMORY;
    for (size_t size = 4096; result == EBPF_NO_MEMORY && size < 65536; size += 16) {
        result = fixture_start(&fixture, size);
        if (result == EBPF_SUCCESS) {
            jit_begin_function(&fixture.j, 0);
            result = build_function(&fixture.j);
        }
    }
    CHECK_OK(result);
}

// --- every row -----------------------------------------------------------------------------------

static const uint64_t operands[] = {0,
                                    1,
                                    2,
                                    31,
                                    32,
                                    63,
                                    64,
                                    0x7f,
                                    0x80,
                                    0xff80,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    UINT64_MAX,
                                    (uint64_t)INT64_MIN,
                                    INT64_MAX,
                                    0x1122334455667788,
                                    0xfffffffeffffffff};

struct both {
    uint64_t results[2];
    struct jit_run runs[2];
    uint64_t memory[2][4];
};

// Both work on the same addresses, one after the other.
static void run_one(uint64_t first, uint64_t second, struct both *out, unsigned i)
{
    static uint64_t cells[4];
    static uint8_t frames[2 * INSN_STACK_SIZE];
    uint64_t top = (uintptr_t)frames + INSN_STACK_SIZE;
    uint64_t args[5] = {(uintptr_t)cells, 0, 0, 0, 0};
    struct jit_run run = {.turns = 1, .slot = 3};
    struct machine m = {.input = &fixture.input, .run = &run, .steps = 1000};
    struct ir_machine machine = {.params = {args[0], 0, 0, 0, 0, (uintptr_t)&run, top},
                                 .call = machine_called,
                                 .user = &m,
                                 .frame_top = top,
                                 .steps = 1000};
    cells[0] = first;
    cells[1] = second;
    cells[2] = cells[3] = 0x0102030405060708;
    if (i == 0) {
        CHECK(machine_run(&m, 0, args, top, &out->results[0]));
    } else {
        CHECK_OK(ir_run(&fixture.j, &machine, &out->results[1]));
    }
    out->runs[i] = run;
    memcpy(out->memory[i], cells, sizeof(cells));
}

// A program around one instruction on r2 (from memory at 0) and r3 (at 8), whose r0 is what it did.
static uint32_t surround(struct insn in, uint8_t form)
{
    struct insn *p = fixture.insns;
    uint32_t n = 0;
    p[n++] = (struct insn){.id = INSN_LDXDW, .dst = 2, .src = 1};
    p[n++] = (struct insn){.id = INSN_LDXDW, .dst = 3, .src = 1, .off = 8};
    p[n++] = (struct insn){.id = INSN_MOV64_REG, .dst = 0, .src = 2};
    p[n++] = (struct insn){.id = INSN_MOV64_REG, .dst = 4, .src = 3};
    p[n++] = (struct insn){.id = INSN_MOV64_REG, .dst = 5, .src = 1};
    p[n++] = in;
    if (form == FORM_LDDW) {
        p[n++] = (struct insn){.id = INSN_NONE};
    } else if (form == FORM_CALL || form == FORM_CALLX) {
        p[n++] = (struct insn){.id = INSN_EXIT};
    }
    p[n++] = (struct insn){.id = INSN_ADD64_REG, .dst = 0, .src = 2}; // what a jump leaves out
    p[n++] = (struct insn){.id = INSN_MUL64_IMM, .dst = 0, .imm = 31};
    p[n++] = (struct insn){.id = INSN_XOR64_REG, .dst = 0, .src = 3};
    p[n++] = (struct insn){.id = INSN_EXIT};
    return n;
}

static struct insn sample(unsigned id, int64_t imm)
{
    struct insn in = {.id = (uint16_t)id, .dst = 2, .src = 3, .imm = imm};
    switch (insn_info(id)->form) {
    case FORM_JMP_IMM:
    case FORM_JMP_REG:
    case FORM_JA16:
    case FORM_MAY_GOTO: in.off = 1; break;
    case FORM_JA32: in.imm = 1; break;
    case FORM_LOAD: in = (struct insn){.id = (uint16_t)id, .dst = 2, .src = 5, .off = 2}; break;
    case FORM_STORE_IMM:
    case FORM_STORE_REG:
    case FORM_ATOMIC:
        in.dst = 5;
        in.off = insn_info(id)->form == FORM_ATOMIC ? 0 : 3;
        break;
    case FORM_CALL: in.imm = id == INSN_CALL_LOCAL ? 1 : FIXTURE_PLAIN; break;
    case FORM_LDDW: in.imm = id == INSN_LDDW_MAP ? 1 : imm; break;
    default: break;
    }
    return in;
}

static bool is_refused(unsigned id)
{
    return id == INSN_CALL_BTF || id == INSN_LDDW_MAP_FD || id == INSN_LDDW_MAP_VALUE_FD ||
           id == INSN_LDDW_VAR || id == INSN_LDDW_CODE || id == INSN_LDDW_MAP_VALUE;
}

// LDDW_MAP gives the number of the map in ir_run, and its address in the machine.
static bool is_comparable(unsigned id)
{
    return id != INSN_LDDW_MAP;
}

static void check_row(unsigned id, int64_t imm)
{
    struct both both;
    fixture_take(&fixture, surround(sample(id, imm), insn_info(id)->form));
    ebpf_result_t result = fixture_build(&fixture, 0);
    if (result != (is_refused(id) ? EBPF_JIT_COMPILATION_FAILED : EBPF_SUCCESS)) {
        test_fail(__FILE__, __LINE__, "row %u, %s: result %d", id, insn_info(id)->mnemonic, result);
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(operands) && !is_refused(id) && is_comparable(id); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(operands); k++) {
            run_one(operands[i], operands[k], &both, 0);
            run_one(operands[i], operands[k], &both, 1);
            bool same = both.results[0] == both.results[1] &&
                        memcmp(both.memory[0], both.memory[1], sizeof(both.memory[0])) == 0 &&
                        both.runs[0].turns == both.runs[1].turns &&
                        both.runs[0].aborted == both.runs[1].aborted;
            if (!same) {
                test_fail(__FILE__, __LINE__, "%s%u of 0x%llx, 0x%llx, imm %lld: 0x%llx, not 0x%llx",
                          insn_info(id)->mnemonic, insn_info(id)->width, (unsigned long long)operands[i],
                          (unsigned long long)operands[k], (long long)imm,
                          (unsigned long long)both.results[1], (unsigned long long)both.results[0]);
                return;
            }
        }
    }
}

static void every_row_does_what_it_says(void)
{
    static const int32_t imms[] = {0, 1, -1, 7, 31, 32, 63, 100, INT32_MIN, INT32_MAX};
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        for (unsigned i = 0; i < ARRAY_SIZE(imms); i++) {
            check_row(id, imms[i]);
        }
    }
}

TEST_SUITE(build)
{
    RUN(loops_get_phis_for_what_they_change);
    RUN(joins_get_phis_for_what_lives_only);
    RUN(constants_are_those_of_the_blocks_above);
    RUN(a_loop_at_the_start_gets_a_block_before_it);
    RUN(functions_get_what_they_read);
    RUN(may_goto_counts_down);
    RUN(packet_loads_end_the_program_from_any_function);
    RUN(raw_calls_and_callx_go_by_number);
    RUN(frames_are_native_or_the_callers);
    RUN(what_cannot_be_translated_is_refused);
    RUN(ways_out_of_a_function_are_refused);
    RUN(r10_is_written_nowhere_that_is_reached);
    RUN(a_full_workspace_is_an_error_and_nothing_else);
    RUN(every_row_does_what_it_says);
}
