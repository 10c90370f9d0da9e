// SPDX-License-Identifier: MIT
// Order, dominators, loops and cleaning of functions given as text.
#include "jit/ir.h"
#include "tests/test.h"

static _Alignas(16) uint8_t workspace[1024 * 1024];
static const struct jit_options options = {.passes = JIT_ALL_PASSES};
static struct jit jit;

static bool parse(const char *text)
{
    uint32_t line;
    jit = (struct jit){.options = &options};
    if (jit_begin(&jit, workspace, sizeof(workspace)) != EBPF_SUCCESS) {
        return false;
    }
    jit_begin_function(&jit, 0);
    return ir_parse(&jit, text, &line) == EBPF_SUCCESS;
}

static void collect(void *user, const char *line)
{
    char *text = user;
    size_t length = str_len(text);
    str_format(text + length, 2000 - length, "%s\n", line);
}

static void check_text(const char *expected)
{
    static char text[2000];
    text[0] = '\0';
    ir_print(&jit.ir, collect, text);
    CHECK_STR(text, expected);
}

static void loops_are_found_with_their_depth(void)
{
    REQUIRE(parse("func 0 entry b1\nb1:\n v1 = param #0\n jump -> b2\n"
                  "b2: <- b1, b4\n branch eq64 v1, #0 -> b5, b3\n"
                  "b3: <- b2, b3\n branch eq64 v1, #1 -> b3, b4\n"
                  "b4: <- b3\n jump -> b2\nb5: <- b2\n ret v1\n"));
    CHECK_EQ(jit.ir.loop_count, 3); // two, and none
    CHECK_EQ(jit.ir.blocks[1].depth, 0);
    CHECK_EQ(jit.ir.blocks[2].depth, 1);
    CHECK_EQ(jit.ir.blocks[3].depth, 2);
    CHECK_EQ(jit.ir.blocks[4].depth, 1);
    CHECK_EQ(jit.ir.blocks[5].depth, 0);
    CHECK_EQ(jit.ir.loops[jit.ir.blocks[3].loop].parent, jit.ir.blocks[2].loop);
    CHECK(ir_dominates(&jit.ir, 2, 4) && ir_dominates(&jit.ir, 2, 5) && !ir_dominates(&jit.ir, 4, 5));
    CHECK_EQ(jit.ir.order[0], 1);
}

static void loops_that_are_entered_twice_are_no_loops(void)
{
    REQUIRE(parse(
        "func 0 entry b1\nb1:\n v1 = param #0\n branch eq64 v1, #0 -> b2, b3\n"
        "b2: <- b1, b3\n jump -> b3\nb3: <- b1, b2\n branch eq64 v1, #1 -> b2, b4\nb4: <- b3\n ret v1\n"));
    CHECK_EQ(jit.ir.loop_count, 1);
    CHECK_EQ(jit.ir.blocks[3].idom, 1);
}

static void cleaning_forwards_and_removes(void)
{
    REQUIRE(parse("func 0 entry b1\nb1:\n v1 = param #0\n v2 = param #1\n v3 = copy v1\n v4 = neg64 v2\n"
                  " v9 = load32 [v2]\n v10 = fetch_add64 [v2], v1\n jump -> b2\n"
                  "b2: <- b1, b2\n v5 = phi v3, v5\n v6 = phi v1, v7\n v7 = add64 v6, #1\n v8 = phi v4, v8\n"
                  " branch eq64 v5, v7 -> b2, b3\nb3: <- b2\n ret v5\n"));
    REQUIRE_OK(ir_clean(&jit));
    check_text("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v10 = fetch_add64 [v2], v1\n"
               "  jump -> b2\nb2: <- b1, b2\n  v6 = phi v1, v7\n  v7 = add64 v6, #1\n"
               "  branch eq64 v1, v7 -> b2, b3\nb3: <- b2\n  ret v1\n");
    CHECK_EQ(jit.ir.blocks[0].first, 0);
    CHECK_EQ(ir_at(&jit.ir, 1)->uses, 4);
    CHECK_EQ(jit.ir.params, 3);
}

// The sweep meets v7 before anybody needs it; v9 only needs itself.
static void what_the_next_round_of_a_loop_needs_stays(void)
{
    REQUIRE(
        parse("func 0 entry b1\nb1:\n v1 = param #0\n v2 = const #0\n jump -> b2\n"
              "b2: <- b1, b2\n v3 = phi v2, v7\n v8 = phi v2, v9\n v4 = phi v2, v5\n v5 = add64 v4, #1\n"
              " v6 = load64 [v1]\n v7 = add64 v3, v6\n v9 = add64 v8, v6\n branch ult64 v5, v1 -> b2, b3\n"
              "b3: <- b2\n ret v3\n"));
    REQUIRE_OK(ir_clean(&jit));
    check_text("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #0\n  jump -> b2\n"
               "b2: <- b1, b2\n  v3 = phi v2, v7\n  v4 = phi v2, v5\n  v5 = add64 v4, #1\n"
               "  v6 = load64 [v1]\n  v7 = add64 v3, v6\n  branch ult64 v5, v1 -> b2, b3\n"
               "b3: <- b2\n  ret v3\n");
    CHECK_EQ(ir_at(&jit.ir, 6)->uses, 1);
}

static bool make_narrow(void *user, uint32_t value)
{
    uint64_t *seen = user;
    *seen |= (uint64_t)1 << value;
    return false;
}

static bool make_copy(void *user, uint32_t value)
{
    ir_become_copy(user, value, ir_at(user, value)->a);
    return true;
}

static ebpf_result_t clean_narrowing(const struct ir_narrowing *narrowing)
{
    for (uint32_t b = 1; b < jit.ir.block_count; b++) {
        ir_turn_list(&jit.ir, ir_block_at(&jit.ir, b));
    }
    return ir_clean_narrowing(&jit, narrowing);
}

static void uses_of_copies_of_copies_are_counted(void)
{
    const struct ir_narrowing narrowing = {(uint64_t)1 << IR_ZEXT, make_copy, &jit.ir};
    REQUIRE(parse("func 0 entry b1\nb1:\n v1 = param #0\n jump -> b2\n"
                  "b2: <- b1, b2\n v2 = phi v1, v4\n v3 = zext64 v2, #32\n v4 = zext64 v3, #32\n"
                  " store32 [v1], v4\n branch ult32 v3, v4 -> b2, b3\nb3: <- b2\n ret v1\n"));
    uint32_t where;
    REQUIRE_OK(clean_narrowing(&narrowing));
    CHECK(ir_check(&jit, &where) == NULL);
    CHECK_EQ(ir_at(&jit.ir, 2)->uses, 4);
}

// v6 is wanted whole only by the next round, v8 never.
static void upper_halves_are_wanted_through_loops(void)
{
    uint64_t seen = 0;
    const struct ir_narrowing narrowing = {(uint64_t)1 << IR_ADD, make_narrow, &seen};
    REQUIRE(parse("func 0 entry b1\nb1:\n v1 = param #0\n v2 = const #0\n jump -> b2\n"
                  "b2: <- b1, b2\n v3 = phi v2, v6\n v4 = phi v2, v8\n v5 = load64 [v1]\n v6 = add64 v3, v5\n"
                  " v8 = add64 v4, v5\n store32 [v1], v8\n branch ult32 v8, v5 -> b2, b3\n"
                  "b3: <- b2\n v9 = add64 v3, v5\n ret v9\n"));
    REQUIRE_OK(clean_narrowing(&narrowing));
    CHECK_EQ(seen, (uint64_t)1 << 8);
}

static void blocks_that_are_not_reached_lose_their_edges(void)
{
    REQUIRE(parse("func 0 entry b1\nb1:\n v1 = param #0\n jump -> b3\nb2:\n v2 = const #4\n jump -> b3\n"
                  "b3: <- b1, b2\n v3 = phi v1, v2\n ret v3\n"));
    check_text("func 0 entry b1\nb1:\n  v1 = param #0\n  jump -> b3\nb3: <- b1\n  v3 = phi v1\n  ret v3\n");
}

// --- dominators of random graphs -----------------------------------------------------------------

enum { NODES = 24 };

static uint32_t random_below(uint32_t bound)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 20) % bound;
}

static bool add_pred(uint32_t to, uint32_t from)
{
    struct ir_block *b = ir_block_at(&jit.ir, to);
    uint32_t *grown = jit_alloc(&jit, b->pred_count + 1, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    if (b->pred_count != 0) {
        memcpy(grown, b->preds, b->pred_count * sizeof(*grown));
    }
    grown[b->pred_count++] = from;
    b->preds = grown;
    return true;
}

// Edges back, if any, are those of loops of one block.
static uint32_t random_target(uint32_t block, bool forward)
{
    if (!forward) {
        return 2 + random_below(NODES - 1); // the entry has no predecessor
    }
    return block > 1 && random_below(8) == 0 ? block : block + 1 + random_below(NODES - block);
}

static bool make_random_graph(bool forward)
{
    jit = (struct jit){.options = &options};
    if (jit_begin(&jit, workspace, sizeof(workspace)) != EBPF_SUCCESS) {
        return false;
    }
    jit_begin_function(&jit, 0);
    bool made = true;
    for (uint32_t b = 1; b <= NODES; b++) {
        made = made && ir_new_block(&jit, b) == b;
    }
    for (uint32_t b = 1; b <= NODES && made; b++) {
        unsigned count = random_below(8) == 0 || b == NODES ? 0 : 1 + random_below(2);
        uint32_t end = ir_new(&jit,
                              count == 0   ? IR_RET
                              : count == 1 ? IR_JUMP
                                           : IR_BRANCH,
                              64, IR_NONE, IR_NONE, 0);
        made = end != IR_NONE;
        ir_append(&jit.ir, b, end);
        for (unsigned i = 0; i < count && made; i++) {
            uint32_t to = random_target(b, forward);
            jit.ir.blocks[b].succ[i] = to;
            made = add_pred(to, b);
        }
    }
    jit.ir.entry = 1;
    return made && ir_find_order(&jit) == EBPF_SUCCESS && ir_find_loops(&jit) == EBPF_SUCCESS;
}

// Which blocks are reached from the entry when `without` cannot be passed.
static void reach_without(uint32_t without, bool reached[NODES + 1])
{
    bool changed = without != 1;
    memset(reached, 0, (NODES + 1) * sizeof(*reached));
    reached[1] = changed;
    while (changed) {
        changed = false;
        for (uint32_t b = 1; b <= NODES; b++) {
            for (uint32_t i = 0; reached[b] && i < ir_successor_count(ir_block_at(&jit.ir, b)); i++) {
                uint32_t to = ir_successor(ir_block_at(&jit.ir, b), i);
                changed = changed || (to != without && !reached[to]);
                reached[to] = reached[to] || to != without;
            }
        }
    }
}

// A block dominates another one when that is not reached without it.
static void dominators_are_what_the_word_says(void)
{
    for (unsigned round = 0; round < 600; round++) {
        REQUIRE(make_random_graph(round % 2 == 0));
        for (uint32_t a = 1; a <= NODES; a++) {
            bool reached[NODES + 1];
            reach_without(a, reached);
            for (uint32_t i = 0; i < jit.ir.order_count && jit.ir.blocks[a].order != UINT32_MAX; i++) {
                uint32_t b = jit.ir.order[i];
                CHECK_EQ(ir_dominates(&jit.ir, a, b), a == b || !reached[b]);
            }
        }
    }
}

static void a_deep_chain_needs_no_stack(void)
{
    enum { BLOCKS = 3000 };
    jit = (struct jit){.options = &options};
    REQUIRE_OK(jit_begin(&jit, workspace, sizeof(workspace)));
    jit_begin_function(&jit, 0);
    REQUIRE(ir_reserve_blocks(&jit, BLOCKS));
    for (uint32_t b = 1; b <= BLOCKS; b++) {
        REQUIRE(ir_new_block(&jit, b) == b);
        uint32_t end = ir_new(&jit, b == BLOCKS ? IR_UNDEF : IR_JUMP, 64, IR_NONE, IR_NONE, 0);
        REQUIRE(end != IR_NONE);
        ir_append(&jit.ir, b, end);
        jit.ir.blocks[b].succ[0] = b == BLOCKS ? IR_NONE : b + 1;
        if (b > 1) {
            jit.ir.blocks[b].preds = jit_alloc(&jit, 1, sizeof(uint32_t));
            REQUIRE(jit.ir.blocks[b].preds != NULL);
            jit.ir.blocks[b].preds[0] = b - 1;
            jit.ir.blocks[b].pred_count = 1;
        }
    }
    jit.ir.entry = 1;
    REQUIRE_OK(ir_find_order(&jit));
    REQUIRE_OK(ir_find_loops(&jit));
    CHECK_EQ(jit.ir.order_count, BLOCKS);
    CHECK(ir_dominates(&jit.ir, 1, BLOCKS) && ir_dominates(&jit.ir, BLOCKS / 2, BLOCKS));
}

// Each block of a long chain also goes to the last one.
static void a_ladder_has_one_way_to_its_end(void)
{
    enum { BLOCKS = 1500 };
    jit = (struct jit){.options = &options};
    REQUIRE_OK(jit_begin(&jit, workspace, sizeof(workspace)));
    jit_begin_function(&jit, 0);
    uint32_t *last = jit_alloc(&jit, BLOCKS, sizeof(*last));
    REQUIRE(last != NULL && ir_reserve_blocks(&jit, BLOCKS));
    for (uint32_t b = 1; b <= BLOCKS; b++) {
        REQUIRE(ir_new_block(&jit, b) == b);
        struct ir_block *block = ir_block_at(&jit.ir, b);
        block->succ[0] = b + 1 < BLOCKS ? b + 1 : IR_NONE;
        block->succ[b + 1 < BLOCKS] = b < BLOCKS ? BLOCKS : IR_NONE;
        last[b - 1] = b;
        block->preds = b < BLOCKS ? &last[b - 2 + (b == 1)] : last;
        block->pred_count = b == BLOCKS ? BLOCKS - 1 : b > 1;
    }
    jit.ir.entry = 1;
    REQUIRE_OK(ir_find_order(&jit));
    REQUIRE_OK(ir_find_loops(&jit));
    CHECK_EQ(jit.ir.order_count, BLOCKS);
    CHECK(jit.ir.acyclic);
    CHECK_EQ(jit.ir.blocks[BLOCKS].idom, 1);
    CHECK_EQ(jit.ir.blocks[BLOCKS - 1].idom, BLOCKS - 2);
}

TEST_SUITE(ir)
{
    RUN(loops_are_found_with_their_depth);
    RUN(loops_that_are_entered_twice_are_no_loops);
    RUN(cleaning_forwards_and_removes);
    RUN(what_the_next_round_of_a_loop_needs_stays);
    RUN(uses_of_copies_of_copies_are_counted);
    RUN(upper_halves_are_wanted_through_loops);
    RUN(blocks_that_are_not_reached_lose_their_edges);
    RUN(dominators_are_what_the_word_says);
    RUN(a_deep_chain_needs_no_stack);
    RUN(a_ladder_has_one_way_to_its_end);
}
