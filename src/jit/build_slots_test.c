// SPDX-License-Identifier: MIT
// Bytes of the stack as values: which ones, and what keeps them in memory.
#include "jit/build_fixture.h"

static struct fixture fixture;

// Copies are left to simplification.
static bool promote(const char *program)
{
    uint32_t where;
    if (!fixture_assemble(&fixture, program) || fixture_build(&fixture, 0) != EBPF_SUCCESS ||
        build_slots(&fixture.j) != EBPF_SUCCESS || build_late_slots(&fixture.j) != EBPF_SUCCESS) {
        return false;
    }
    const char *wrong = ir_check(&fixture.j, &where);
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "%u: %s", where, wrong);
    }
    return wrong == NULL && ir_clean(&fixture.j) == EBPF_SUCCESS;
}

static void check_promoted(const char *program, const char *expected)
{
    REQUIRE(promote(program));
    CHECK_STR(fixture_print(&fixture), expected);
}

// Loads and stores that are left.
static uint32_t count_accesses(void)
{
    const struct ir *ir = &fixture.j.ir;
    uint32_t count = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_at(ir, v)->next) {
            uint8_t op = ir_at(ir, v)->op;
            count += op == IR_LOAD || op == IR_LOADS || op == IR_STORE;
        }
    }
    return count;
}

static void check_left(const char *program, uint32_t accesses, uint32_t frame_low)
{
    REQUIRE(promote(program));
    CHECK_EQ(count_accesses(), accesses);
    CHECK_EQ(fixture.j.ir.frame_low, frame_low);
}

static void stores_are_narrowed_and_loads_are_copies(void)
{
    check_promoted("stxb [%r10-1], %r1\nldxsb %r0, [%r10-1]\nldxb %r1, [%r10-1]\nadd %r0, %r1\nexit\n",
                   "func 0 entry b1\nb1:\n  v1 = param #0\n  v3 = zext64 v1, #8\n  v4 = sext64 v3, #8\n"
                   "  v6 = add64 v4, v3\n  ret v6\n");
    CHECK_EQ(fixture.j.ir.frame_low, 0);
    CHECK(fixture.j.changes != 0);
    check_promoted("stw [%r10-4], -1\nldxw %r0, [%r10-4]\nexit\n",
                   "func 0 entry b1\nb1:\n  v3 = const #4294967295\n  ret v3\n");
}

static void loops_get_phis_for_slots(void)
{
    check_promoted(
        "stxdw [%r10-8], %r1\nloop:\nldxdw %r2, [%r10-8]\nsub %r2, 1\nstxdw [%r10-8], %r2\n"
        "jne %r2, 0, loop\nldxdw %r0, [%r10-8]\nexit\n",
        "func 0 entry b1\nb1:\n  v1 = param #0\n  jump -> b2\n"
        "b2: <- b1, b2\n  v14 = phi v1, v7\n  v6 = const #1\n  v7 = sub64 v14, v6\n  v9 = const #0\n"
        "  branch ne64 v7, v9 -> b2, b3\nb3: <- b2\n  ret v7\n");
}

// Runs the passes up to this one, and then ir_clean. `keeps`: uses should be kept.
static void settle(const char *program, bool keeps)
{
    uint32_t where;
    REQUIRE(fixture_assemble(&fixture, program));
    fixture.options.passes &= keeps ? JIT_ALL_PASSES : JIT_ALL_PASSES & ~JIT_PASS_BIT(SIMPLIFY);
    REQUIRE_OK(fixture_start(&fixture, sizeof(fixture.workspace)));
    jit_begin_function(&fixture.j, 0);
    REQUIRE_OK(jit_run_passes(&fixture.j, JIT_PASS_BUILD, JIT_PASS_SLOTS + 1));
    CHECK(ir_check(&fixture.j, &where) == NULL);
    CHECK_EQ(fixture.j.ir.tidy, !keeps);
    CHECK(fixture.j.ir.counted);
    REQUIRE_OK(ir_clean(&fixture.j));
}

// PHIs of slots and of the program, that stay or have one value in the end, and what loses its last use: in
// front of simplification, uses are kept, and ir_clean finds the same as without it.
static void uses_are_kept_for_simplification(void)
{
    static const char *const programs[] = {
        "stxdw [%r10-8], %r1\njeq %r1, 0, over\nstxdw [%r10-8], %r2\nover:\nldxdw %r0, [%r10-8]\nexit\n",
        "jeq %r1, 0, other\nstxdw [%r10-8], %r2\nja over\nother:\nstxdw [%r10-8], %r2\nover:\n"
        "ldxdw %r0, [%r10-8]\nexit\n",
        "stxw [%r10-8], %r2\njeq %r1, 0, other\nldxw %r0, [%r10-8]\nja over\nother:\n"
        "ldxw %r0, [%r10-8]\nover:\nmul %r0, 3\nexit\n",
        "stdw [%r10-8], 5\njeq %r1, 0, over\nldxdw %r3, [%r10-8]\nstxdw [%r10-16], %r3\n"
        "ldxw %r3, [%r10-16]\nstb [%r10-24], 1\nover:\nldxdw %r0, [%r10-16]\nexit\n",
        // a copy of which one user goes, and one stays
        "mov %r2, %r1\nadd %r2, 7\nstxdw [%r10-8], %r2\nldxdw %r3, [%r10-8]\nstxw [%r10-16], %r3\n"
        "ldxdw %r0, [%r10-8]\nexit\n",
        // a copy of what goes, and a load that nothing needs
        "mov %r2, %r10\nadd %r2, -16\nldxb %r4, [%r1+1]\nadd %r4, 1\nstxdw [%r2+0], %r4\n"
        "ldxh %r5, [%r1+2]\nstdw [%r10-8], 3\nldxdw %r0, [%r10-8]\nexit\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        static char expected[sizeof(fixture.text)];
        settle(programs[i], false);
        str_format(expected, sizeof(expected), "%s", fixture_print(&fixture));
        settle(programs[i], true);
        CHECK_STR(fixture_print(&fixture), expected);
    }
}

static void what_was_never_written_is_zero(void)
{
    check_promoted("ldxdw %r0, [%r10-16]\nexit\n", "func 0 entry b1\nb1:\n  v4 = const #0\n  ret v4\n");
}

static void accesses_that_overlap_stay_in_memory(void)
{
    check_left(
        "stdw [%r10-8], 0\nstw [%r10-12], 1\nldxw %r0, [%r10-8]\nldxw %r1, [%r10-12]\nadd %r0, %r1\nexit\n",
        2, 8);
    check_left("stw [%r10-4], 0\nstdw [%r10-8], 1\nldxw %r0, [%r10-4]\nexit\n", 3, 8);
    check_left("stw [%r10-6], 0\nsth [%r10-4], 1\nldxw %r0, [%r10-6]\nexit\n", 3, 6);
}

// A helper may reach what is behind the address that it gets, nothing in front of it.
static void helpers_reach_the_bytes_from_their_address_on(void)
{
    check_left(
        "stdw [%r10-8], 1\nstdw [%r10-16], 2\nstdw [%r10-24], 3\nmov %r1, %r10\nadd %r1, -16\nmov %r2, 0\n"
        "call 1\nldxdw %r0, [%r10-24]\nldxdw %r1, [%r10-8]\nadd %r0, %r1\nldxdw %r1, [%r10-16]\nadd %r0, "
        "%r1\n"
        "exit\n",
        4, 16);
}

static void addresses_that_go_elsewhere_keep_everything(void)
{
    static const char *const ways[] = {
        "stxdw [%r1], %r2\n",                                    // into memory
        "xor %r2, 7\nstb [%r2], 1\n",                            // into other arithmetic
        "call local f\n",                                        // to a function
        "jeq %r2, 0, over\nmov %r2, %r1\nover:\nstb [%r2], 1\n", // through a PHI
        "mov %r2, %r10\nadd %r2, %r1\nstb [%r2], 1\n",           // anywhere
    };
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        static char program[600];
        bool calls = str_starts_with(ways[i], "call");
        str_format(program, sizeof(program),
                   "stdw [%%r10-8], 1\nmov %%r2, %%r10\nadd %%r2, -64\n%sldxdw %%r0, [%%r10-8]\nexit\n%s",
                   ways[i], calls ? "f:\nldxdw %r0, [%r2+56]\nexit\n" : "");
        REQUIRE(promote(program));
        CHECK(count_accesses() >= 2);
        CHECK_EQ(fixture.j.ir.frame_low, INSN_STACK_SIZE);
    }
}

// -64 + (x & 7) * 4 stays below -32.
static void accesses_in_a_known_range_leave_the_rest(void)
{
    const char *program =
        "stdw [%r10-8], 1\nstxdw [%r10-72], %r1\nldxdw %r2, [%r1+0]\nand %r2, 7\nlsh %r2, 2\n"
        "mov %r3, %r10\nadd %r3, %r2\nldxw %r0, [%r3-64]\nldxdw %r1, [%r10-8]\nadd %r0, %r1\n"
        "ldxdw %r1, [%r10-72]\nadd %r0, %r1\nstw [%r10-36], 3\nexit\n";
    check_left(program, 3, 64);
    fixture.options.native_frame = true;
    REQUIRE_OK(fixture_build(&fixture, 0));
    REQUIRE_OK(build_slots(&fixture.j));
    CHECK_EQ(count_accesses(), 7); // facts are asked for only when it is late
    CHECK_EQ(fixture.j.slots, JIT_SLOTS_OPEN);
    REQUIRE_OK(build_late_slots(&fixture.j));
    CHECK_EQ(count_accesses(), 3);
    CHECK_EQ(fixture.j.slots, JIT_SLOTS_LATE);
    CHECK_EQ(fixture.j.ir.frame_low, 64);
}

// x & 0 is a number once it is simplified.
static void addresses_that_simplification_finds_are_late(void)
{
    fixture.options.native_frame = false;
    REQUIRE(fixture_assemble(&fixture, "and %r1, 0\nmov %r3, %r10\nadd %r3, %r1\nstdw [%r3-8], 1\n"
                                       "ldxdw %r0, [%r10-8]\nexit\n"));
    REQUIRE_OK(fixture_build(&fixture, 0));
    REQUIRE_OK(build_slots(&fixture.j));
    CHECK_EQ(fixture.j.slots, JIT_SLOTS_OPEN);
    REQUIRE_OK(opt_simplify(&fixture.j));
    REQUIRE_OK(build_late_slots(&fixture.j));
    CHECK_EQ(fixture.j.slots, JIT_SLOTS_LATE);
    CHECK_EQ(fixture.j.ir.frame_low, 0);
    REQUIRE_OK(build_late_slots(&fixture.j)); // nothing is open any more
    CHECK_EQ(fixture.j.slots, JIT_SLOTS_LATE);
}

// What may lie behind the frame cannot be a slot; what may lie in it stays in memory.
static void accesses_that_may_leave_the_frame_leave_the_rest(void)
{
    REQUIRE(fixture_assemble(&fixture,
                             "stdw [%r10-8], 1\nstxdw [%r10-72], %r1\nand %r1, 127\nmov %r3, %r10\n"
                             "add %r3, %r1\nldxdw %r0, [%r3-64]\nldxdw %r1, [%r10-8]\nadd %r0, %r1\n"
                             "ldxdw %r1, [%r10-72]\nadd %r0, %r1\nexit\n"));
    for (unsigned native = 0; native < 2; native++) {
        fixture.options.native_frame = native != 0;
        REQUIRE_OK(fixture_build(&fixture, 0));
        REQUIRE_OK(build_slots(&fixture.j));
        REQUIRE_OK(build_late_slots(&fixture.j));
        CHECK_EQ(count_accesses(), 3);
        CHECK_EQ(fixture.j.ir.frame_low, 64);
    }
}

static void atomics_stay_in_memory(void)
{
    check_left("stdw [%r10-8], 1\nstdw [%r10-16], 1\nlock *(u64 *)(r10 - 8) += r1\nldxdw %r0, [%r10-8]\n"
               "ldxdw %r1, [%r10-16]\nadd %r0, %r1\nexit\n",
               2, 8);
    check_left("stdw [%r10-8], 1\nlock *(u64 *)(r10 - 64) += r1\nldxdw %r0, [%r10-8]\nexit\n", 0, 64);
}

static void frames_of_functions_that_were_taken_in_have_slots_too(void)
{
    REQUIRE(fixture_assemble(&fixture,
                             "stdw [%r10-8], 5\ncall local f\nldxdw %r1, [%r10-8]\nadd %r0, %r1\nexit\n"
                             "f:\nstdw [%r10-8], 6\nldxdw %r0, [%r10-8]\nexit\n"));
    fixture.options.passes = JIT_ALL_PASSES;
    for (unsigned native = 0; native < 2; native++) {
        fixture.options.native_frame = native != 0;
        REQUIRE_OK(fixture_build(&fixture, 0));
        REQUIRE_OK(build_slots(&fixture.j));
        CHECK_EQ(fixture.j.ir.frame_low, 0);
    }
}

static void the_frame_top_of_calls_is_not_of_the_function(void)
{
    check_left(
        "mov %r6, %r1\nstxdw [%r10-8], %r1\ncall local f\nmov %r3, 0\nlddw_map %r2, 3\nmov %r1, %r6\ncall 4\n"
        "ldxdw %r0, [%r10-8]\nexit\nf:\nmov %r0, 0\nexit\n",
        0, 0);
}

#define MANY 60

static void only_so_many_slots_become_values(void)
{
    uint32_t n = 0;
    for (int i = 0; i < MANY; i++) {
        fixture.insns[n++] =
            (struct insn){.id = INSN_STXDW, .dst = 10, .src = 1, .off = (int16_t)(-8 - 8 * i)};
    }
    fixture.insns[n++] = (struct insn){.id = INSN_MOV64_IMM};
    for (int i = 0; i < MANY; i++) {
        fixture.insns[n++] =
            (struct insn){.id = INSN_LDXDW, .dst = 1, .src = 10, .off = (int16_t)(-8 - 8 * i)};
        fixture.insns[n++] = (struct insn){.id = INSN_ADD64_REG, .src = 1};
    }
    for (int i = 0; i < 2; i++) { // these are used more than the others
        fixture.insns[n++] =
            (struct insn){.id = INSN_LDXDW, .dst = 1, .src = 10, .off = (int16_t)(-480 + 8 * i)};
        fixture.insns[n++] = (struct insn){.id = INSN_ADD64_REG, .src = 1};
    }
    fixture.insns[n++] = (struct insn){.id = INSN_EXIT};
    fixture_take(&fixture, n);
    REQUIRE_OK(fixture_build(&fixture, 0));
    REQUIRE_OK(build_slots(&fixture.j));
    CHECK_EQ(count_accesses(), 2 * (MANY - 48));
    CHECK_EQ(fixture.j.ir.frame_low, 8 * (MANY - 48)); // among equals the lowest ones
}

TEST_SUITE(build_slots)
{
    RUN(stores_are_narrowed_and_loads_are_copies);
    RUN(loops_get_phis_for_slots);
    RUN(uses_are_kept_for_simplification);
    RUN(what_was_never_written_is_zero);
    RUN(accesses_that_overlap_stay_in_memory);
    RUN(helpers_reach_the_bytes_from_their_address_on);
    RUN(addresses_that_go_elsewhere_keep_everything);
    RUN(accesses_in_a_known_range_leave_the_rest);
    RUN(addresses_that_simplification_finds_are_late);
    RUN(accesses_that_may_leave_the_frame_leave_the_rest);
    RUN(atomics_stay_in_memory);
    RUN(frames_of_functions_that_were_taken_in_have_slots_too);
    RUN(the_frame_top_of_calls_is_not_of_the_function);
    RUN(only_so_many_slots_become_values);
}
