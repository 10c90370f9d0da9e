// SPDX-License-Identifier: MIT
// Helpers as calls, look-ups in line, tail calls.
#include "jit/build_fixture.h"

static struct fixture fixture;

static bool lower(const char *program)
{
    uint32_t where;
    if (!fixture_assemble(&fixture, program) || fixture_build(&fixture, 0) != EBPF_SUCCESS ||
        lower_calls(&fixture.j) != EBPF_SUCCESS) {
        return false;
    }
    const char *wrong = ir_check(&fixture.j, &where);
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "%u: %s", where, wrong);
        return false;
    }
    return ir_clean(&fixture.j) == EBPF_SUCCESS;
}

static void check_lowered(const char *program, const char *expected)
{
    REQUIRE(lower(program));
    CHECK_STR(fixture_print(&fixture), expected);
}

static void helpers_become_calls_with_six_arguments(void)
{
    check_lowered("mov %r2, 7\ncall 1\nexit\n",
                  "func 0 entry b1\nb1:\n"
                  "  v3 = param #5\n  v1 = param #0\n  v2 = const #7\n  v7 = undef\n"
                  "  v4 = call #4096(v1, v2, v7, v7, v7, v3)\n  ret v4\n");
    CHECK(fixture.j.ir.has_calls);
}

static void the_cpu_is_read_from_the_run(void)
{
    check_lowered("call 3\nexit\n",
                  "func 0 entry b1\nb1:\n  v1 = param #5\n  v2 = load32 [v1 + 12]\n  ret v2\n");
    CHECK(!fixture.j.ir.has_calls);
}

static void look_ups_of_maps_that_have_their_own_go_there(void)
{
    check_lowered("mov %r2, %r1\nlddw_map %r1, 2\ncall 2\nexit\n",
                  "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = map #2\n"
                  "  v4 = call #20480(v2, v1)\n  ret v4\n");
    check_lowered("mov %r2, %r1\nlddw_map %r1, 3\ncall 2\nexit\n",
                  "func 0 entry b1\nb1:\n  v3 = param #5\n  v1 = param #0\n  v2 = map #3\n  v7 = undef\n"
                  "  v4 = call #8192(v2, v1, v7, v7, v7, v3)\n  ret v4\n");
    check_lowered("call 2\nexit\n",
                  "func 0 entry b1\nb1:\n  v3 = param #5\n  v2 = param #1\n  v1 = param #0\n  v7 = undef\n"
                  "  v4 = call #8192(v1, v2, v7, v7, v7, v3)\n  ret v4\n");
}

// The test of the key takes the place of that of the result; where it is null, it is the number 0.
static void tested_look_ups_in_arrays_test_the_key(void)
{
    check_lowered(
        "mov %r2, %r1\nlddw_map %r1, 0\ncall 2\njeq %r0, 0, none\nldxdw %r0, [%r0+8]\nnone:\nexit\n",
        "func 0 entry b1\nb1:\n"
        "  v1 = param #0\n  v12 = const #0\n  v13 = load32 [v1]\n  v14 = const #10\n"
        "  branch uge32 v13, v14 -> b3, b4 !cold\n"
        "b4: <- b1\n  v15 = const #131072\n  v16 = const #16\n  v17 = mul64 v13, v16\n"
        "  v18 = add64 v15, v17\n  jump -> b2\n"
        "b2: <- b4\n  v8 = load64 [v18 + 8]\n  jump -> b3\n"
        "b3: <- b1, b2\n  v10 = phi v12, v8\n  ret v10\n");
    CHECK(!fixture.j.ir.has_calls);
}

static void other_look_ups_in_arrays_join_null_and_the_address(void)
{
    check_lowered("mov %r2, %r1\nlddw_map %r1, 0\ncall 2\nexit\n",
                  "func 0 entry b1\nb1:\n"
                  "  v1 = param #0\n  v7 = const #0\n  v8 = load32 [v1]\n  v9 = const #10\n"
                  "  branch uge32 v8, v9 -> b3, b2 !cold\n"
                  "b2: <- b1\n  v11 = const #131072\n  v12 = const #16\n  v13 = mul64 v8, v12\n"
                  "  v14 = add64 v11, v13\n  jump -> b3\n"
                  "b3: <- b1, b2\n  v4 = phi v7, v14\n  ret v4\n");
}

static void values_of_other_cpus_are_a_stride_away(void)
{
    REQUIRE(lower("mov %r2, %r1\nlddw_map %r1, 1\ncall 2\nexit\n"));
    CHECK_STR(fixture_print(&fixture),
              "func 0 entry b1\nb1:\n"
              "  v3 = param #5\n  v1 = param #0\n  v7 = const #0\n  v8 = load32 [v1]\n  v9 = const #4\n"
              "  branch uge32 v8, v9 -> b3, b2 !cold\n"
              "b2: <- b1\n  v11 = const #196608\n  v12 = load32 [v3 + 12]\n  v13 = const #256\n"
              "  v14 = mul64 v12, v13\n  v15 = add64 v11, v14\n  v16 = const #8\n  v17 = mul64 v8, v16\n"
              "  v18 = add64 v15, v17\n  jump -> b3\n"
              "b3: <- b1, b2\n  v4 = phi v7, v18\n  ret v4\n");
}

// r6 is used where it may be null and where it may not: only a PHI can be that.
static void results_that_are_used_behind_both_ways_are_joined(void)
{
    REQUIRE(lower("mov %r2, %r1\nlddw_map %r1, 0\ncall 2\nmov %r6, %r0\njeq %r6, 0, over\nstdw [%r6], 1\n"
                  "over:\nmov %r0, %r6\nexit\n"));
    const char *text = fixture_print(&fixture);
    bool joined = false;
    for (; *text != '\0'; text++) {
        joined = joined || str_starts_with(text, "v4 = phi");
    }
    CHECK(joined);
}

static void several_look_ups_in_a_block_split_it_in_order(void)
{
    REQUIRE(lower("mov %r6, %r1\nmov %r2, %r1\nlddw_map %r1, 0\ncall 2\nmov %r7, %r0\nmov %r2, %r6\n"
                  "lddw_map %r1, 1\ncall 2\nadd %r0, %r7\nmov %r1, %r0\nmov %r2, 1\ncall 1\n"
                  "jeq %r0, 0, out\nmov %r0, 5\nout:\nexit\n"));
    CHECK_EQ(fixture.j.ir.order_count, 7); // three of the program, and two at each look-up
}

static void tail_calls_leave_when_there_is_a_program(void)
{
    check_lowered("mov %r3, 2\nlddw_map %r2, 3\ncall 4\nexit\n",
                  "func 0 entry b1\nb1:\n"
                  "  v8 = param #6\n  v4 = param #5\n  v1 = param #0\n  v2 = const #2\n  v3 = map #3\n"
                  "  v9 = undef\n  v5 = call #16384(v1, v3, v2, v8, v9, v4)\n  v10 = const #0\n"
                  "  branch eq64 v5, v10 -> b2, b3\n"
                  "b3: <- b1\n  ret v5\n"
                  "b2: <- b1\n  v12 = load64 [v4]\n  tail v12, v1, v4, v8\n");
}

// What the passes behind it make of a key that the program knows.
static void constant_keys_give_constant_addresses(void)
{
    REQUIRE(fixture_assemble(&fixture,
                             "stw [%r10-4], 3\nmov %r2, %r10\nadd %r2, -4\nlddw_map %r1, 0\ncall 2\n"
                             "jeq %r0, 0, none\nldxdw %r0, [%r0+8]\nexit\nnone:\nmov %r0, 1\nexit\n"));
    REQUIRE_OK(fixture_start(&fixture, sizeof(fixture.workspace)));
    jit_begin_function(&fixture.j, 0);
    REQUIRE_OK(jit_run_passes(&fixture.j, JIT_PASS_BUILD, JIT_PASS_DIVIDE));
    const struct ir *ir = &fixture.j.ir;
    bool tests = false, reads_stack = ir->frame_low != 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        tests = tests || ir_at(ir, ir_block_at(ir, ir->order[i])->last)->op == IR_BRANCH;
    }
    CHECK(!tests && !reads_stack);
}

static void memory_that_ends_is_an_error(void)
{
    REQUIRE(fixture_assemble(&fixture,
                             "mov %r6, %r1\nmov %r2, %r1\nlddw_map %r1, 0\ncall 2\njeq %r0, 0, out\n"
                             "mov %r2, %r6\nlddw_map %r1, 1\ncall 2\nmov %r3, 0\nlddw_map %r2, 3\n"
                             "call 4\nout:\nexit\n"));
    ebpf_result_t result = EBPF_NO_MEMORY;
    for (size_t size = 4096; result == EBPF_NO_MEMORY && size < 65536; size += 16) {
        result = fixture_start(&fixture, size);
        if (result == EBPF_SUCCESS) {
            jit_begin_function(&fixture.j, 0);
            result = build_function(&fixture.j);
        }
        result = result == EBPF_SUCCESS ? lower_calls(&fixture.j) : result;
    }
    CHECK_OK(result);
}

TEST_SUITE(lower_calls)
{
    RUN(helpers_become_calls_with_six_arguments);
    RUN(the_cpu_is_read_from_the_run);
    RUN(look_ups_of_maps_that_have_their_own_go_there);
    RUN(tested_look_ups_in_arrays_test_the_key);
    RUN(other_look_ups_in_arrays_join_null_and_the_address);
    RUN(values_of_other_cpus_are_a_stride_away);
    RUN(results_that_are_used_behind_both_ways_are_joined);
    RUN(several_look_ups_in_a_block_split_it_in_order);
    RUN(tail_calls_leave_when_there_is_a_program);
    RUN(constant_keys_give_constant_addresses);
    RUN(memory_that_ends_is_an_error);
}
