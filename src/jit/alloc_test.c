// SPDX-License-Identifier: MIT
// The allocator: random functions keep their values where they are looked for, whatever the number of
// registers; and what makes code good: no moves in loops, calls that find their arguments in place, slots
// that are shared.
#include <string.h>

#include "jit/alloc_fixture.h"

static void expect_right(uint64_t seed, uint32_t blocks, uint32_t length)
{
    fixture_random(seed, blocks, length);
    uint32_t where;
    const char *wrong = ir_check(&fixture_jit, &where);
    if (wrong == NULL) {
        wrong = fixture_allocate();
    }
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "seed %llu, %u blocks, %u registers: %s", (unsigned long long)seed,
                  blocks, fixture_options.registers, wrong);
    }
}

static void random_functions(uint32_t registers)
{
    fixture_options.registers = registers;
    for (uint64_t seed = 1; seed <= 400 && test_state.failed_checks == 0; seed++) {
        expect_right(seed * 7919 + registers, 1 + (uint32_t)(seed % 40), 1 + (uint32_t)(seed % 23));
    }
    fixture_options.registers = 0;
}

static void random_functions_are_right(void)
{
    random_functions(0);
}
static void they_are_with_four_registers(void)
{
    random_functions(4);
}
static void they_are_with_one_register(void)
{
    random_functions(1);
}

static void they_are_on_real_machines(void)
{
    static const struct {
        const struct jit_target *target;
        uint8_t arch, abi;
        uint32_t cpu;
    } machines[] = {
        {&x86_target, JIT_X86_64, JIT_ABI_SYSV, 0},
        {&x86_target, JIT_X86_64, JIT_ABI_WINDOWS, JIT_CPU_BMI1 | JIT_CPU_BMI2},
        {&arm64_target, JIT_ARM64, JIT_ABI_AAPCS64, 0},
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(machines); i++) {
        fixture_target = machines[i].target;
        fixture_options =
            (struct jit_options){.arch = machines[i].arch, .abi = machines[i].abi, .cpu = machines[i].cpu};
        random_functions(0);
        random_functions(5);
    }
    fixture_target = NULL;
    fixture_options = (struct jit_options){0};
}

// --- quality -------------------------------------------------------------------------------------

static uint8_t reg(uint32_t value)
{
    return ir_at(&fixture_jit.ir, value)->reg;
}

static bool allocate(const char *text)
{
    if (!fixture_parse(text)) {
        return false;
    }
    const char *wrong = fixture_allocate();
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "%s", wrong);
    }
    return wrong == NULL;
}

static const char counted_loop[] = "func 0 entry b1\n"
                                   "b1:\n"
                                   "  v1 = param #0\n"
                                   "  v2 = const #0\n"
                                   "  jump -> b2\n"
                                   "b2: <- b1, b2\n"
                                   "  v3 = phi v2, v5\n"
                                   "  v4 = phi v2, v6\n"
                                   "  v7 = load64 [v1 + v3 << 3]\n"
                                   "  v5 = add64 v3, #1\n"
                                   "  v6 = xor64 v4, v7\n"
                                   "  branch ult64 v5, #100 -> b2, b3\n"
                                   "b3: <- b2\n"
                                   "  ret v6\n";

static void a_loop_moves_nothing(void)
{
    REQUIRE(allocate(counted_loop));
    CHECK_EQ(reg(3), reg(5));
    CHECK_EQ(reg(4), reg(6));
    CHECK_EQ(fixture_jit.ir.order_count, 3);
    CHECK_EQ(fixture_edge_moves(), 2); // the two zeros, once
}

// The counter is compared behind its step: the step goes to the edge, and still nothing moves.
static void a_step_waits_for_the_last_read(void)
{
    static char text[sizeof counted_loop];
    memcpy(text, counted_loop, sizeof text);
    strstr(text, "ult64 v5")[7] = '3';
    REQUIRE(allocate(text));
    CHECK(ir_at(&fixture_jit.ir, 5)->block != 2);
    CHECK_EQ(reg(3), reg(5));
    CHECK_EQ(fixture_edge_moves(), 2);
}

// v5 is needed behind the loop and cannot be in the counter's register, which the exit does not need: the
// move comes before the branch, and the block of the edge goes.
static void a_move_goes_before_the_branch(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = param #0\n"
                     "  v2 = const #0\n"
                     "  jump -> b2\n"
                     "b2: <- b1, b2\n"
                     "  v3 = phi v2, v5\n"
                     "  v5 = load64 [v1 + v3]\n"
                     "  v6 = load64 [v5 + v3]\n"
                     "  branch ult64 v6, #100 -> b2, b3\n"
                     "b3: <- b2\n"
                     "  ret v5\n"));
    CHECK_EQ(fixture_jit.ir.order_count, 3);
    CHECK_EQ(fixture_edge_moves(), 1);
}

// Both ways lead back, with other moves: one of them keeps its block.
static void of_two_ways_back_one_has_its_moves_early(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = param #0\n"
                     "  v2 = const #0\n"
                     "  jump -> b2\n"
                     "b2: <- b1, b2, b2\n"
                     "  v3 = phi v2, v4, v5\n"
                     "  v4 = load64 [v1 + v3]\n"
                     "  v5 = load64 [v4 + v3]\n"
                     "  v6 = load64 [v5 + v3]\n"
                     "  branch ult64 v6, #100 -> b2, b2\n"));
    CHECK_EQ(fixture_jit.ir.order_count, 3);
}

static void a_call_finds_its_arguments(void)
{
    fixture_options.arch =
        JIT_X86_64; // whose convention passes the second argument in register 6, the fourth in 1
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = param #0\n"
                     "  v2 = add64 v1, #5\n"
                     "  v3 = add64 v2, #6\n"
                     "  v4 = undef\n"
                     "  v5 = call #1(v4, v4, v4, v3)\n"
                     "  v6 = add64 v5, #1\n"
                     "  ret v6\n"));
    CHECK_EQ(reg(2), 1);
    CHECK_EQ(reg(3), 1);
    CHECK_EQ(reg(5), 0);
    CHECK_EQ(reg(6), 0);
}

static void what_lives_over_a_call_is_kept(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = param #0\n"
                     "  v2 = add64 v1, #5\n"
                     "  v3 = call #1()\n"
                     "  v4 = add64 v2, v3\n"
                     "  v5 = call #1()\n"
                     "  ret v4\n"));
    CHECK(reg(2) >= 4);
    CHECK(reg(4) >= 4);
    CHECK_EQ(reg(5), IR_REG_NONE);
    CHECK(!fixture_jit.allocation->spilled);
}

// It is made anew behind the call, in a register that calls destroy, instead of being kept.
static void numbers_do_not_live_over_calls(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = const #5\n"
                     "  v2 = call #1()\n"
                     "  v3 = xor64 v2, v1\n"
                     "  v4 = call #1(v3)\n"
                     "  v5 = xor64 v4, v1\n"
                     "  ret v5\n"));
    CHECK(!fixture_jit.allocation->spilled);
    CHECK_EQ(fixture_jit.allocation->used & 0x30, 0);
    CHECK(ir_at(&fixture_jit.ir, 3)->b != ir_at(&fixture_jit.ir, 5)->b);
}

static void frame_addresses_do_not_either(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = frame\n"
                     "  v2 = lea64 [v1 - 8]\n"
                     "  v3 = call #1(v2)\n"
                     "  v4 = call #1(v2)\n"
                     "  ret v4\n"));
    CHECK_EQ(fixture_jit.allocation->used & 0x30, 0);
}

// It needs the longest of moves, and would be made in every turn.
static void long_numbers_are_made_before_loops(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = param #0\n"
                     "  jump -> b2\n"
                     "b2: <- b1, b2\n"
                     "  v2 = phi v1, v4\n"
                     "  v3 = const #72340172838076673\n"
                     "  v4 = xor64 v2, v3\n"
                     "  branch ult64 v4, #100 -> b2, b3\n"
                     "b3: <- b2\n"
                     "  ret v4\n"));
    const struct ir_value *number = ir_at(&fixture_jit.ir, ir_at(&fixture_jit.ir, 4)->b);
    CHECK_EQ(number->op, IR_CONST);
    CHECK_EQ(number->block, 1);
}

// v1 is read nine times, the others once.
static void what_is_read_most_keeps_its_register(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = param #0\n"
                     "  v2 = load64 [v1]\n"
                     "  v3 = load64 [v1 + 8]\n"
                     "  v4 = load64 [v1 + 16]\n"
                     "  v5 = load64 [v1 + 24]\n"
                     "  v6 = load64 [v1 + 32]\n"
                     "  v7 = load64 [v1 + 40]\n"
                     "  v8 = xor64 v7, v1\n"
                     "  v9 = xor64 v8, v1\n"
                     "  v10 = xor64 v9, v1\n"
                     "  v11 = call #1(v2, v3, v4, v5, v6, v10)\n"
                     "  ret v11\n"));
    CHECK(fixture_jit.allocation->spilled);
    CHECK(reg(1) != IR_REG_NONE);
}

// Two registers survive calls, one of which is the scratch register as soon as something is spilled; three
// values do.
static void slots_are_shared(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = call #1()\n"
                     "  v2 = call #1()\n"
                     "  v3 = call #1()\n"
                     "  v4 = call #1()\n"
                     "  v5 = call #1(v1, v2, v3, v4)\n"
                     "  v6 = call #1()\n"
                     "  v7 = call #1()\n"
                     "  v8 = call #1()\n"
                     "  v9 = call #1(v5, v6, v7, v8)\n"
                     "  ret v9\n"));
    CHECK(fixture_jit.allocation->spilled);
    CHECK_EQ(fixture_jit.allocation->slot_count,
             3); // two at a time, and a result before its operands leave theirs
}

// --- layout --------------------------------------------------------------------------------------

static bool comes_before(uint32_t a, uint32_t b)
{
    return ir_block_at(&fixture_jit.ir, a)->order < ir_block_at(&fixture_jit.ir, b)->order;
}

// b5 is in the loop although the exits b3 and b6 lie between in the text; the cold exit is last.
static void loops_are_in_one_piece(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\n"
                          "b1:\n"
                          "  v1 = param #0\n"
                          "  jump -> b2\n"
                          "b2: <- b1, b5\n"
                          "  branch eq64 v1, #1 -> b3, b4\n"
                          "b3: <- b2\n"
                          "  ret v1\n"
                          "b4: <- b2\n"
                          "  branch eq64 v1, #2 -> b6, b5 !cold\n"
                          "b5: <- b4\n"
                          "  branch eq64 v1, #3 -> b2, b7\n"
                          "b6: <- b4\n"
                          "  ret v1\n"
                          "b7: <- b5\n"
                          "  ret v1\n"));
    REQUIRE_OK(alloc_layout(&fixture_jit));
    CHECK(comes_before(2, 4) && comes_before(4, 5));
    CHECK_EQ(ir_block_at(&fixture_jit.ir, 5)->order, ir_block_at(&fixture_jit.ir, 2)->order + 2);
    CHECK_EQ(ir_block_at(&fixture_jit.ir, 6)->order, 6);
    CHECK(ir_block_at(&fixture_jit.ir, 6)->cold && !ir_block_at(&fixture_jit.ir, 7)->cold);
}

static bool copies(uint32_t from, uint32_t to)
{
    uint32_t room = ALLOC_TAIL_ROOM;
    return alloc_copies_tail(&fixture_jit.ir, from, to, &room);
}

// b6 is the end of the loop b2: four ways lead to it, and a copy in the place of a jump is better where it is
// short and the jump is neither unlikely nor outside.
static void short_ends_of_loops_are_copied(void)
{
    static const struct {
        const char *end; // of the loop
        bool copied;
    } cases[] = {
        {"  v8 = add64 v3, #1\n  branch ult64 v8, #100 -> b2, b7\n", true},
        {"  v9 = xor64 v3, v1\n  v10 = add64 v9, #2\n  v8 = add64 v10, v3\n"
         "  branch ult64 v8, #100 -> b2, b7\n",
         true},
        {"  v9 = xor64 v3, v1\n  v11 = add64 v9, #2\n  v10 = shr64 v11, #1\n  v8 = add64 v10, v3\n"
         "  branch ult64 v8, #100 -> b2, b7\n",
         false},
        {"  v8 = udiv64 v1, v3\n  branch ult64 v8, #100 -> b2, b7\n", false},
        {"  v8 = call #1()\n  branch ult64 v8, #100 -> b2, b7\n", false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        static char text[1024];
        (void)str_format(text, sizeof text,
                         "func 0 entry b1\nb1:\n  v1 = param #0\n  jump -> b2\n"
                         "b2: <- b1, b6\n  v3 = phi v1, v8\n  switch v3 -> b3, b4, b5\n"
                         "b3: <- b2\n  store64 [v1 + 0], v3\n  jump -> b6\n"
                         "b4: <- b2\n  store64 [v1 + 8], v3\n  jump -> b6\n"
                         "b5: <- b2\n  branch eq64 v3, #7 -> b8, b6 !cold\n"
                         "b8: <- b5\n  store64 [v1 + 16], v3\n  jump -> b6\n"
                         "b6: <- b3, b4, b5, b8\n%s"
                         "b7: <- b6\n  jump -> b9\nb9: <- b7\n  ret v3\n",
                         cases[i].end);
        REQUIRE(fixture_parse(text));
        REQUIRE_OK(alloc_layout(&fixture_jit));
        CHECK_EQ(copies(3, 6), cases[i].copied);
        CHECK_EQ(copies(4, 6), cases[i].copied);
        CHECK(!copies(8, 6)); // unlikely
        CHECK(!copies(7, 9)); // outside
        CHECK(!copies(1, 2)); // into the loop
    }
}

// What copies take is gone.
static void copies_take_room(void)
{
    uint32_t room = ALLOC_TAIL_ROOM;
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  jump -> b2\n"
                          "b2: <- b1, b2, b3\n  branch eq64 v1, #3 -> b2, b3\n"
                          "b3: <- b2\n  jump -> b2\n"));
    REQUIRE_OK(alloc_layout(&fixture_jit));
    for (unsigned i = 0; i < ALLOC_TAIL_ROOM; i++) {
        CHECK(alloc_copies_tail(&fixture_jit.ir, 3, 2, &room));
    }
    CHECK_EQ(room, 0);
    CHECK(!alloc_copies_tail(&fixture_jit.ir, 3, 2, &room));
}

// Two ways out of a switch lead to one block with a PHI: each has a block of its own for its move.
static void edges_have_blocks_for_their_moves(void)
{
    REQUIRE(allocate("func 0 entry b1\n"
                     "b1:\n"
                     "  v1 = param #0\n"
                     "  v2 = param #1\n"
                     "  switch v1 -> b3, b2, b3\n"
                     "b2: <- b1\n"
                     "  jump -> b3\n"
                     "b3: <- b1, b1, b2\n"
                     "  v4 = phi v1, v2, v1\n"
                     "  v3 = const #1\n"
                     "  v5 = add64 v4, v3\n"
                     "  ret v5\n"));
}

// Head of its loop, depth and dominator of a block.
struct surroundings {
    uint32_t head, depth, idom;
};

static struct surroundings around(uint32_t block)
{
    const struct ir *ir = &fixture_jit.ir;
    const struct ir_block *b = ir_block_at(ir, block);
    return (struct surroundings){b->loop != IR_NONE ? ir->loops[b->loop].head : IR_NONE, b->depth, b->idom};
}

// What the layout says of the blocks that it puts into edges is what a search for dominators and loops finds.
static void blocks_in_edges_are_where_they_belong(void)
{
    static struct surroundings known[200];
    uint32_t made = 0;
    for (uint64_t seed = 1; seed <= 300 && test_state.failed_checks == 0; seed++) {
        fixture_random(seed * 104729, 1 + (uint32_t)(seed % 40), 1);
        uint32_t before = fixture_jit.ir.block_count;
        ir_count_uses(&fixture_jit.ir);
        REQUIRE_OK(alloc_layout(&fixture_jit));
        uint32_t count = fixture_jit.ir.block_count;
        REQUIRE(count <= ARRAY_SIZE(known));
        made += count - before;
        for (uint32_t b = 1; b < count; b++) {
            known[b] = around(b);
        }
        REQUIRE_OK(ir_find_order(&fixture_jit));
        REQUIRE_OK(ir_find_loops(&fixture_jit));
        for (uint32_t i = 0; i < fixture_jit.ir.order_count; i++) {
            uint32_t b = fixture_jit.ir.order[i];
            struct surroundings found = around(b);
            if (memcmp(&found, &known[b], sizeof found) != 0) {
                test_fail(__FILE__, __LINE__, "seed %llu: b%u: loop %u %u, depth %u %u, idom %u %u",
                          (unsigned long long)seed, b, known[b].head, found.head, known[b].depth, found.depth,
                          known[b].idom, found.idom);
            }
        }
    }
    CHECK(made > 300);
}

// --- lives ---------------------------------------------------------------------------------------

// What alloc_live finds in the function of the fixture; without `flow`: as if it might have loops.
static void find_lives(const struct alloc_survey *survey, uint32_t *flow, struct alloc *a)
{
    struct jit *j = &fixture_jit;
    *a = (struct alloc){.j = j, .ir = &j->ir, .target = j->target};
    j->ir.flow = flow;
    REQUIRE_OK(alloc_live(a, survey));
}

static bool is_live(const struct alloc *a, uint32_t block, uint32_t n)
{
    uint32_t i = a->blocks[block].live;
    while (i != a->blocks[block].live_end && a->lives[i] != n) {
        i++;
    }
    return i != a->blocks[block].live_end;
}

static void expect_same_lives(const struct alloc *a, const struct alloc *b, uint32_t block)
{
    uint32_t first = a->blocks[block].live, end = a->blocks[block].live_end;
    CHECK_EQ(end - first, b->blocks[block].live_end - b->blocks[block].live);
    for (uint32_t i = first; i < end; i++) {
        CHECK(is_live(b, block, a->lives[i]));
    }
}

// The sweep without loops and the way that any function can take agree. *alone: so many values are.
static void expect_both_ways_agree(uint32_t *alone)
{
    struct ir *ir = &fixture_jit.ir;
    struct alloc_survey survey;
    struct alloc a, b;
    ir_count_uses(ir);
    REQUIRE_OK(alloc_layout(&fixture_jit));
    REQUIRE_OK(alloc_sink(&fixture_jit, &survey));
    REQUIRE(ir->flow != NULL);
    find_lives(&survey, ir->flow, &a);
    find_lives(&survey, NULL, &b);
    *alone = 0;
    for (uint32_t n = 1; n < a.value_count; n++) {
        const struct alloc_value *x = &a.values[n], *y = &b.values[n];
        CHECK_EQ(x->forbid, y->forbid);
        CHECK_EQ(x->length, y->length);
        CHECK_EQ(x->weight, y->weight);
        CHECK_EQ(x->alone, y->alone);
        *alone += x->alone;
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        expect_same_lives(&a, &b, ir->order[i]);
    }
}

static void both_ways_find_the_same_lives(void)
{
    fixture_forward = true;
    for (uint64_t seed = 1; seed <= 200 && test_state.failed_checks == 0; seed++) {
        fixture_random(seed * 31, 1 + (uint32_t)(seed % 40), 1 + (uint32_t)(seed % 23));
        uint32_t alone;
        expect_both_ways_agree(&alone);
        CHECK_EQ(alone, 0);
    }
    fixture_forward = false;
}

// MANY values that live over all of LONG blocks.
static void too_many_lives_leave_values_alone(void)
{
    enum { MANY = 600, LONG = 12 };
    fixture_begin();
    struct jit *j = &fixture_jit;
    for (uint32_t i = 0; i < LONG; i++) {
        uint32_t block = ir_new_block(j, i);
        REQUIRE(block == i + 1);
        ir_block_at(&j->ir, block)->succ[0] = block < LONG ? block + 1 : IR_NONE;
    }
    j->ir.entry = 1;
    fixture_link_all(&j->ir);
    REQUIRE_OK(ir_find_order(j));
    REQUIRE_OK(ir_find_loops(j));
    uint32_t first = j->ir.value_count, sum = first;
    for (uint32_t i = 0; i < MANY; i++) {
        fixture_append(&j->ir, 1, ir_new(j, IR_LOAD, 64, IR_NONE, IR_NONE, 0));
    }
    for (uint32_t i = 1; i < MANY; i++) {
        uint32_t next = ir_new(j, IR_ADD, 64, sum, first + i, 0);
        fixture_append(&j->ir, LONG, next);
        sum = next;
    }
    for (uint32_t block = 1; block <= LONG; block++) {
        bool last = block == LONG;
        fixture_append(&j->ir, block,
                       ir_new(j, last ? IR_RET : IR_JUMP, 64, last ? sum : IR_NONE, IR_NONE, 0));
    }
    uint32_t alone;
    expect_both_ways_agree(&alone);
    CHECK(alone != 0);
}

// --- tables of targets ---------------------------------------------------------------------------

static void expect_constraint(const struct jit_target *target, unsigned op, uint8_t flags, uint8_t same)
{
    struct ir_value v = {.op = (uint8_t)op, .width = 64, .flags = flags};
    struct jit_constraint c, expected = {.result = IR_REG_NONE, .same = same};
    memset(expected.operand, IR_REG_NONE, sizeof expected.operand);
    target->constrain(&fixture_jit, &v, &c);
    bool right = c.clobbers == 0 && c.result == IR_REG_NONE && c.late == 0 && c.same == same &&
                 memcmp(c.forbid, expected.forbid, sizeof c.forbid) == 0 &&
                 memcmp(c.operand, expected.operand, sizeof c.operand) == 0;
    if (!right) {
        test_fail(__FILE__, __LINE__, "%s: %s", target->name, ir_op_texts[op]);
    }
}

// Operations that are in the tables of a target need what these say, and no more.
static void plain_operations_need_nothing(void)
{
    static const struct jit_target *const targets[] = {&x86_target, &arm64_target};
    for (uint32_t i = 0; i < 2 * ARRAY_SIZE(targets); i++) {
        const struct jit_target *t = targets[i / 2];
        fixture_options.cpu = i % 2 != 0 ? JIT_CPU_BMI1 | JIT_CPU_BMI2 : 0;
        fixture_begin();
        CHECK(((t->plain | t->two_address | t->two_address_number) & OP_BIT(IR_PHI)) == 0);
        for (unsigned op = 0; op < IR_OP_COUNT; op++) {
            if ((t->plain >> op & 1) != 0) {
                expect_constraint(t, op, 0, 0);
                expect_constraint(t, op, IR_IMM, 0);
            }
            if ((t->two_address >> op & 1) != 0) {
                expect_constraint(t, op, 0, 1);
            }
            if (((t->two_address | t->two_address_number) >> op & 1) != 0) {
                expect_constraint(t, op, IR_IMM, 1);
            }
        }
    }
    fixture_options = (struct jit_options){0};
}

TEST_SUITE(alloc)
{
    RUN(a_loop_moves_nothing);
    RUN(a_step_waits_for_the_last_read);
    RUN(a_move_goes_before_the_branch);
    RUN(of_two_ways_back_one_has_its_moves_early);
    RUN(a_call_finds_its_arguments);
    RUN(what_lives_over_a_call_is_kept);
    RUN(numbers_do_not_live_over_calls);
    RUN(frame_addresses_do_not_either);
    RUN(long_numbers_are_made_before_loops);
    RUN(what_is_read_most_keeps_its_register);
    RUN(slots_are_shared);
    RUN(loops_are_in_one_piece);
    RUN(edges_have_blocks_for_their_moves);
    RUN(blocks_in_edges_are_where_they_belong);
    RUN(short_ends_of_loops_are_copied);
    RUN(copies_take_room);
    RUN(random_functions_are_right);
    RUN(they_are_with_four_registers);
    RUN(they_are_with_one_register);
    RUN(they_are_on_real_machines);
    RUN(both_ways_find_the_same_lives);
    RUN(too_many_lives_leave_values_alone);
    RUN(plain_operations_need_nothing);
}
