// SPDX-License-Identifier: MIT
// Which functions are taken in, and what becomes of those that are not.
#include "jit/build_machine.h"

static struct fixture fixture;

static bool build(const char *program)
{
    if (!fixture_assemble(&fixture, program)) {
        return false;
    }
    fixture.options.passes = JIT_ALL_PASSES;
    return fixture_build(&fixture, 0) == EBPF_SUCCESS;
}

static uint32_t count_ops(uint8_t op)
{
    const struct ir *ir = &fixture.j.ir;
    uint32_t count = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_at(ir, v)->next) {
            count += ir_at(ir, v)->op == op;
        }
    }
    return count;
}

static void a_call_becomes_the_functions_body(void)
{
    REQUIRE(build("mov %r6, %r1\nmov %r1, 3\nmov %r2, 4\ncall local f\nadd %r0, %r6\nexit\n"
                  "f:\nmov %r6, %r1\nadd %r6, %r2\nmov %r0, %r6\nexit\n"));
    CHECK_STR(fixture_print(&fixture),
              "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #3\n  v3 = const #4\n"
              "  jump -> b3\n"
              "b3: <- b1\n  v6 = add64 v2, v3\n  jump -> b2\n"
              "b2: <- b3\n  v8 = add64 v6, v1\n  ret v8\n");
    CHECK_EQ(fixture.j.func_inlined[1], 1);
    CHECK(!fixture.j.ir.has_calls);
}

static void without_the_pass_nothing_is_taken_in(void)
{
    REQUIRE(build("call local f\nexit\nf:\nmov %r0, 1\nexit\n"));
    CHECK_EQ(count_ops(IR_CALL_LOCAL), 0);
    fixture.options.passes &= ~JIT_PASS_BIT(INLINE);
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_EQ(count_ops(IR_CALL_LOCAL), 1);
    CHECK_EQ(fixture.j.func_inlined[1], 0);
}

// Their program would go on behind the call.
static void functions_with_tail_calls_stay(void)
{
    REQUIRE(build("call local f\nexit\nf:\nmov %r3, 0\nlddw_map %r2, 3\ncall 4\nexit\n"));
    CHECK_EQ(count_ops(IR_CALL_LOCAL), 1);
    CHECK_EQ(fixture.j.func_inlined[1], 0);
}

static void functions_that_nobody_calls_have_no_code(void)
{
    REQUIRE(build("call local f\nexit\nf:\nmov %r0, 1\nexit\nmov %r0, 2\ncall local f\nexit\n"));
    fixture.funcs[2] = (struct func){.start = 4, .end = 7};
    fixture.funcs[1].end = 4;
    fixture.input.func_count = 3;
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_EQ(fixture.j.func_inlined[2], 1);
}

// `length` instructions, called `calls` times.
static void make_calls(uint32_t calls, uint32_t length)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < calls; i++, n++) {
        fixture.insns[n] = (struct insn){.id = INSN_CALL_LOCAL, .imm = (int64_t)calls - i};
    }
    fixture.insns[n++] = (struct insn){.id = INSN_EXIT};
    for (uint32_t i = 1; i < length; i++) {
        fixture.insns[n++] = (struct insn){.id = INSN_ADD64_IMM, .imm = 1};
    }
    fixture.insns[n++] = (struct insn){.id = INSN_EXIT};
    fixture_take(&fixture, n);
    fixture.options.passes = JIT_ALL_PASSES;
}

static void functions_with_one_call_are_taken_in_whatever_their_size(void)
{
    make_calls(1, 3000);
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_EQ(count_ops(IR_CALL_LOCAL), 0);
    make_calls(2, 41);
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_EQ(count_ops(IR_CALL_LOCAL), 2);
}

static void growth_has_a_limit(void)
{
    make_calls(100, 40);
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_EQ(count_ops(IR_CALL_LOCAL), 100 - (200 + 101 / 2) / 40);
    CHECK_EQ(fixture.j.func_inlined[1], 0);
}

// Each function calls the next one.
static void make_chain(uint32_t length)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i + 1 < length; i++) {
        fixture.insns[n++] = (struct insn){.id = INSN_CALL_LOCAL, .imm = 1};
        fixture.insns[n++] = (struct insn){.id = INSN_EXIT};
    }
    fixture.insns[n++] = (struct insn){.id = INSN_MOV64_IMM, .imm = 7};
    fixture.insns[n++] = (struct insn){.id = INSN_EXIT};
    fixture_take(&fixture, n);
    fixture.options.passes = JIT_ALL_PASSES;
}

static void calls_nest_as_deep_as_programs_may(void)
{
    make_chain(INSN_MAX_FRAMES);
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_EQ(count_ops(IR_CALL_LOCAL), 0);
    make_chain(INSN_MAX_FRAMES + 2);
    REQUIRE_OK(fixture_build(&fixture, 0));
    CHECK_EQ(count_ops(IR_CALL_LOCAL), 1);
    CHECK_EQ(fixture.j.func_inlined[INSN_MAX_FRAMES - 1], 1);
    CHECK_EQ(fixture.j.func_inlined[INSN_MAX_FRAMES], 0);
}

// The verifier refuses them; translation has to end all the same.
static void functions_that_call_themselves_are_called(void)
{
    REQUIRE(build("call local f\nexit\nf:\nadd %r1, 1\ncall local f\nexit\n"));
    CHECK(count_ops(IR_CALL_LOCAL) >= 1);
    CHECK_EQ(fixture.j.func_inlined[1], 0);
    REQUIRE(build("call local f\nexit\nf:\ncall local g\nexit\ng:\ncall local f\nexit\n"));
    CHECK(count_ops(IR_CALL_LOCAL) >= 1);
}

static void a_packet_load_in_a_function_ends_the_program(void)
{
    uint64_t result = 1;
    struct jit_run run = {.turns = 0};
    struct machine m = {.input = &fixture.input, .run = &run, .steps = 100};
    struct ir_machine machine = {
        .params = {0, 0, 0, 0, 0, (uintptr_t)&run, 0}, .call = machine_called, .user = &m, .steps = 100};
    REQUIRE(build("call local f\nmov %r0, 9\nexit\nf:\nldabsw 4000\nmov %r0, 8\nexit\n"));
    CHECK_OK(ir_run(&fixture.j, &machine, &result));
    CHECK_EQ(result, 0);
    CHECK_EQ(run.aborted, 1);
}

TEST_SUITE(build_inline)
{
    RUN(a_call_becomes_the_functions_body);
    RUN(without_the_pass_nothing_is_taken_in);
    RUN(functions_with_tail_calls_stay);
    RUN(functions_that_nobody_calls_have_no_code);
    RUN(functions_with_one_call_are_taken_in_whatever_their_size);
    RUN(growth_has_a_limit);
    RUN(calls_nest_as_deep_as_programs_may);
    RUN(functions_that_call_themselves_are_called);
    RUN(a_packet_load_in_a_function_ends_the_program);
}
