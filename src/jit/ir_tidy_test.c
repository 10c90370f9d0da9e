// SPDX-License-Identifier: MIT
// Functions that say that they are tidy are what cleaning them leaves, and what passes repaired in place is
// what would be found anew: uses, the order of blocks, dominators, loops.
#include "jit/opt_random.h"

enum { MAX_BLOCKS = 512, MAX_VALUES = 8192, MAX_TEXT = 16384 };

static void the_last_use_releases_what_it_used(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = const #7\n"
                          "  v4 = add64 v2, v3\n  v5 = load64 [v4]\n  v6 = add64 v1, v5\n"
                          "  v7 = load64 [v1]\n  v8 = add64 v6, v7\n  ret v8\n"));
    struct ir_repair repair = ir_begin_repair(&fixture.ir);
    ir_at(&fixture.ir, 7)->uses += 1; // of v8, that of v7 being gone
    ir_repair_copy(&repair, 8, 7);
    CHECK_EQ(repair.left, 1);
    ir_release(&repair, 6);
    ir_release(&repair, 7);
    ir_repair(&repair);
    CHECK_EQ(repair.left, 0);
    CHECK_STR(fixture_print(), "func 0 entry b1\nb1:\n  v1 = param #0\n  v7 = load64 [v1]\n  ret v7\n");
    CHECK_EQ(fixture.ir.params, 1);
    CHECK_EQ(ir_at(&fixture.ir, 1)->uses, 1);
}

// Users of copies are found in blocks behind theirs, and what is behind the last one is left alone.
static void users_of_copies_are_far_away(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = load64 [v1]\n  v3 = add64 v1, v2\n"
                          "  jump -> b2\nb2: <- b1\n  v4 = load64 [v1 + 8]\n  jump -> b3\n"
                          "b3: <- b2\n  v5 = add64 v4, v3\n  v6 = sub64 v3, v5\n  jump -> b4\n"
                          "b4: <- b3\n  v7 = add64 v6, v5\n  ret v7\n"));
    struct ir_repair repair = ir_begin_repair(&fixture.ir);
    ir_at(&fixture.ir, 2)->uses += 2;
    ir_repair_copy(&repair, 3, 2);
    ir_release(&repair, 1);
    ir_release(&repair, 2);
    CHECK_EQ(repair.left, 2);
    CHECK_EQ(repair.last, 0);
    ir_become_copy(&fixture.ir, 7, 6); // is not looked at
    ir_repair(&repair);
    CHECK_EQ(repair.left, 0);
    CHECK(fixture_contains("v5 = add64 v4, v2") && fixture_contains("v6 = sub64 v2, v5"));
    CHECK(!fixture_contains("v3 = ") && fixture_contains("v7 = copy"));
}

// What is stored stays without uses, and what is used twice with one.
static void what_is_needed_stays(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n"
                          "  v3 = fetch_add64 [v1], v2\n  v4 = add64 v2, v3\n  ret v2\n"));
    struct ir_repair repair = ir_begin_repair(&fixture.ir);
    ir_at(&fixture.ir, 3)->uses = 1;
    ir_release(&repair, 3);
    CHECK_EQ(repair.first, UINT32_MAX);
    ir_release(&repair, 2);
    CHECK_EQ(repair.first, UINT32_MAX);
    CHECK_EQ(ir_at(&fixture.ir, 2)->uses, 1);
}

// A copy of a copy that is used in its block, behind a block that has neither, and by a PHI.
static void copies_are_found_wherever_they_are_used(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = load64 [v1]\n  v3 = neg64 v2\n"
                          "  v4 = neg64 v3\n  store64 [v1], v3\n  branch ult64 v1, v2 -> b2, b3\n"
                          "b2: <- b1\n  store64 [v1], v1\n  jump -> b3\n"
                          "b3: <- b1, b2\n  v5 = phi v4, v2\n  store64 [v1], v4\n  ret v5\n"));
    struct ir_repair repair = ir_begin_repair(&fixture.ir);
    ir_at(&fixture.ir, 2)->uses += 1 + 2 - 1; // of v3's users that of v4 goes with it
    ir_repair_copy(&repair, 3, 2);
    ir_repair_copy(&repair, 4, 3);
    ir_repair(&repair);
    uint32_t where;
    CHECK(ir_check(&fixture, &where) == NULL);
    CHECK_STR(fixture_print(), "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = load64 [v1]\n"
                               "  store64 [v1], v2\n  branch ult64 v1, v2 -> b2, b3\n"
                               "b2: <- b1\n  store64 [v1], v1\n  jump -> b3\n"
                               "b3: <- b1, b2\n  v5 = phi v2, v2\n  store64 [v1], v2\n  ret v5\n");
}

// --- random functions ----------------------------------------------------------------------------

struct found {
    char text[MAX_TEXT];
    uint32_t uses[MAX_VALUES];
    struct ir_block blocks[MAX_BLOCKS];
    uint32_t order[MAX_BLOCKS], count, params;
};

static void note(struct found *f)
{
    const struct ir *ir = &fixture.ir;
    str_format(f->text, sizeof(f->text), "%s", fixture_print());
    f->count = ir->order_count;
    f->params = ir->params;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        f->order[i] = ir->order[i];
        f->blocks[i] = *ir_block_at(ir, ir->order[i]);
        for (uint32_t v = f->blocks[i].first; v != IR_NONE; v = ir_next(ir, v)) {
            f->uses[v] = ir_at(ir, v)->uses;
        }
    }
}

static bool is_same_block(const struct ir_block *a, const struct ir_block *b)
{
    return a->order == b->order && a->idom == b->idom && a->dom_first == b->dom_first &&
           a->dom_last == b->dom_last && a->loop == b->loop && a->depth == b->depth &&
           a->pred_count == b->pred_count;
}

static bool is_same(const struct found *a, const struct found *b)
{
    bool same = a->count == b->count && a->params == b->params &&
                memcmp(a->text, b->text, sizeof(a->text)) == 0 &&
                memcmp(a->uses, b->uses, sizeof(a->uses)) == 0;
    for (uint32_t i = 0; same && i < a->count; i++) {
        same = a->order[i] == b->order[i] && is_same_block(&a->blocks[i], &b->blocks[i]);
    }
    return same;
}

static bool check_tidy(void)
{
    static struct found before, after;
    if (!fixture.ir.tidy) {
        return true;
    }
    memset(&before, 0, sizeof(before));
    memset(&after, 0, sizeof(after));
    note(&before);
    bool found = ir_find_order(&fixture) == EBPF_SUCCESS && ir_clean(&fixture) == EBPF_SUCCESS &&
                 ir_find_loops(&fixture) == EBPF_SUCCESS;
    note(&after);
    return found && is_same(&before, &after);
}

static void passes_that_repair_do_it_right(void)
{
    static ebpf_result_t (*const passes[])(struct jit *) = {
        opt_simplify, opt_loops, opt_prune, opt_resimplify, opt_bytes, opt_select, opt_switch, lower_divide};
    for (uint64_t seed = 1; seed <= 1000; seed++) { // with all passes, and with some
        uint64_t set = seed % 2 != 0 ? UINT64_MAX : seed * 2654435761u >> 16;
        REQUIRE(random_make(seed, 10 + (uint32_t)(seed % 60)));
        for (unsigned i = 0; i < ARRAY_SIZE(passes); i++) {
            if ((set >> i & 1) == 0) {
                continue;
            }
            REQUIRE(fixture_pass(passes[i]) && fixture.ir.value_count <= MAX_VALUES);
            if (!check_tidy()) {
                test_fail(__FILE__, __LINE__, "pass %u of seed %llu:\n%s", i, (unsigned long long)seed,
                          fixture_print());
                return;
            }
        }
    }
}

TEST_SUITE(ir_tidy)
{
    RUN(the_last_use_releases_what_it_used);
    RUN(users_of_copies_are_far_away);
    RUN(what_is_needed_stays);
    RUN(copies_are_found_wherever_they_are_used);
    RUN(passes_that_repair_do_it_right);
}
