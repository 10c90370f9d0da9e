// SPDX-License-Identifier: MIT
// The text form: what is printed is read back as the same; what is no text of the form is refused.
#include <stdlib.h>

#include "jit/ir.h"
#include "tests/test.h"

static _Alignas(16) uint8_t workspace[256 * 1024];
static const struct jit_options options = {.passes = JIT_ALL_PASSES};
static struct jit jit;
static char printed[16 * 1024];

static void collect(void *user, const char *line)
{
    size_t *length = user;
    *length += str_format(printed + *length, sizeof(printed) - *length, "%s\n", line);
}

static ebpf_result_t parse(const char *text, uint32_t *bad_line)
{
    jit = (struct jit){.options = &options};
    if (jit_begin(&jit, workspace, sizeof(workspace)) != EBPF_SUCCESS) {
        return EBPF_NO_MEMORY;
    }
    jit_begin_function(&jit, 0);
    return ir_parse(&jit, text, bad_line);
}

static const char *print(void)
{
    size_t length = 0;
    printed[0] = '\0';
    ir_print(&jit.ir, collect, &length);
    return printed;
}

// One line of every shape.
static const char all_shapes[] = "func 0 entry b1\n"
                                 "b1:\n"
                                 "  v1 = param #0\n"
                                 "  v2 = const #-5\n"
                                 "  v3 = add64 v1, #7\n"
                                 "  v4 = load32 [v1 + v3 << 2 + 16]\n"
                                 "  v5 = loadbe16 [v1 - 8]\n"
                                 "  v6 = sext32 v4, #8\n"
                                 "  v7 = bits64 v6, #3, #5\n"
                                 "  v8 = select64 slt32 v4, v5 ? v6 : v7\n"
                                 "  v9 = select64 eq64 v4, #0 ? v6 : v7\n"
                                 "  store64 [v1], v8\n"
                                 "  store8 [v1 + 1], #255\n"
                                 "  v10 = cmpxchg64 [v1 + 8], v2, v9\n"
                                 "  atomic_add32 [v1 + 8], v9\n"
                                 "  v11 = fetch_xor64 [v1 + 8], v9\n"
                                 "  v12 = map #3\n"
                                 "  v13 = helper #1(v12, v1)\n"
                                 "  v14 = lea64 [v1 + v3 << 3]\n"
                                 "  v15 = udiv64 v14, v13 !nonzero\n"
                                 "  v16 = undef\n"
                                 "  v17 = mulhu v15, v16\n"
                                 "  v18 = frame\n"
                                 "  branch set64 v17, #4 -> b2, b3 !cold\n"
                                 "b2: <- b1, b2 !cold\n"
                                 "  v19 = phi v17, v20\n"
                                 "  v20 = add32 v19, v2 !step\n"
                                 "  branch ult32 v20, #100 -> b2, b4\n"
                                 "b3: <- b1\n"
                                 "  switch v17 -> b4, b4, b5\n"
                                 "b4: <- b2, b3, b3\n"
                                 "  ret v1\n"
                                 "b5: <- b3\n"
                                 "  tail v1, v2, v3, v18\n";

static void what_is_printed_is_read_back(void)
{
    uint32_t line, where;
    REQUIRE_OK(parse(all_shapes, &line));
    static char first[sizeof(printed)];
    str_copy(first, sizeof(first), print());
    REQUIRE_OK(parse(first, &line));
    CHECK_STR(print(), first);
    const char *wrong = ir_check(&jit, &where);
    CHECK_STR(wrong != NULL ? wrong : "", "");
    for (const char *at = all_shapes; *at != '\0';) { // each line is there, in whatever order the blocks are
        char one[100];
        size_t length = 0;
        while (at[length] != '\n') {
            length++;
        }
        memcpy(one, at, length);
        one[length] = '\0';
        at += length + 1;
        bool found = false;
        for (const char *in = first; *in != '\0'; in++) {
            found = found || str_starts_with(in, one);
        }
        if (!found) {
            test_fail(__FILE__, __LINE__, "not printed: %s", one);
        }
    }
}

static void what_is_no_text_of_the_form_is_refused(void)
{
    static const char *const texts[] = {
        "b1:\n  v1 = nosuch64 v2\n",
        "  v1 = const #1\n",
        "func 0 entry b1\nb1:\n  v1 = add64 v2\n",
        "func 0 entry b1\nb1:\n  v1 = add64 v2,\n",
        "func 0 entry b1\nb1:\n  v1 = load32 v2\n",
        "func 0 entry b1\nb1:\n  jump -> b70000\n",
        "func 0 entry b1\nb1:\n  jump -> b9\n",
        "func 0 entry b1\n",
        "func 0 entry b1\nb1:\n  v99999 = const #1\n",
        "func 0 entry b1\nb1:\n  v1 = const 5\n",
        "func 0 entry b1\nb1: <- b0\n  ret v1\n",
        "func 0 entry b1\nb1:\n  branch foo32 v1, v2 -> b1, b1\n",
        "func 0 entry b1\nb1:\n  branch eq32 v1, v2 -> b1, b1, b1\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        uint32_t line;
        if (parse(texts[i], &line) != EBPF_INVALID_ARGUMENT) {
            test_fail(__FILE__, __LINE__, "accepted: %s", texts[i]);
        }
    }
}

struct broken {
    const char *text, *wrong;
};

static void broken_forms_are_found(void)
{
    static const struct broken cases[] = {
        {"b1:\n  v1 = add64 v2, v2\n  v2 = param #0\n  ret v1\n", "an operand is used before it is there"},
        {"b1:\n  v2 = param #0\n  v1 = add8 v2, v2\n  ret v1\n", "width is neither 32 nor 64"},
        {"b1:\n  v2 = param #9\n  ret v2\n", "no such parameter"},
        {"b1:\n  v2 = param #0\n  v1 = shl32 v2, #32\n  ret v1\n", "the shift count is out of range"},
        {"b1:\n  v2 = param #0\n  v1 = neg64 v0\n  ret v2\n", "an operand is missing"},
        {"b1:\n  v2 = param #0\n  ret v2\n  v3 = neg64 v2\n",
         "a block has its end somewhere else than at its end"},
        {"b1:\n  v2 = param #0\n  jump -> b2\nb2: <- b1\n  v3 = phi v2, v2\n  ret v3\n",
         "a PHI has not one operand for each predecessor"},
        {"b1:\n  v2 = param #0\n  jump -> b2\nb2:\n  v3 = const #1\n  ret v3\n",
         "a block is not among the predecessors of its successor"},
        {"b1:\n  v2 = param #0\n  branch eq64 v2, #0 -> b2, b3\nb2: <- b1\n  v3 = neg64 v2\n  ret v3\nb3: <- "
         "b1\n  ret v3\n",
         "an operand is used before it is there"},
        {"b1:\n  v2 = const #0\n  v3 = param #1\n  ret v3\n",
         "a PHI or PARAM is not at the start of its block"},
        {"b1:\n  v2 = param #0\n  v3 = udiv64 v2, #3\n  ret v3\n", "this operation takes no immediate"},
        {"b1:\n  v2 = param #0\n  v3 = bits32 v2, #8, #30\n  ret v3\n", "bits beyond the width"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[400];
        uint32_t line, where;
        str_format(text, sizeof(text), "func 0 entry b1\n%s", cases[i].text);
        REQUIRE_OK(parse(text, &line));
        const char *wrong = ir_check(&jit, &where);
        CHECK_STR(wrong != NULL ? wrong : "fine", cases[i].wrong);
    }
}

enum { WIDE = 300, JOIN = WIDE + 1, LEAVE = WIDE + 2 };

// Blocks that go on with the next one, or to JOIN.
static bool make_wide(void)
{
    struct ir *ir = &jit.ir;
    jit = (struct jit){.options = &options};
    if (jit_begin(&jit, workspace, sizeof(workspace)) != EBPF_SUCCESS) {
        return false;
    }
    jit_begin_function(&jit, 0);
    uint32_t param = ir_new(&jit, IR_PARAM, 64, IR_NONE, IR_NONE, 0);
    uint32_t *preds = jit_alloc(&jit, 2 * WIDE, sizeof(*preds)), *join = preds + WIDE;
    if (!ir_reserve_blocks(&jit, LEAVE) || preds == NULL) {
        return false;
    }
    for (uint32_t b = 1; b <= LEAVE; b++) {
        CHECK_EQ(ir_new_block(&jit, 0), b);
        uint32_t end = ir_new(&jit, b <= WIDE ? IR_BRANCH : IR_RET, 64, param, IR_NONE, 0);
        ir_at(ir, end)->flags = b <= WIDE ? IR_IMM : 0;
        ir_at(ir, end)->cwidth = 64;
        ir_append(ir, b, end);
        if (b <= WIDE) {
            ir->blocks[b].succ[0] = JOIN;
            ir->blocks[b].succ[1] = b < WIDE ? b + 1 : LEAVE;
            preds[b - 1] = join[b - 1] = b;
        }
    }
    for (uint32_t b = 2; b <= WIDE; b++) {
        ir->blocks[b].preds = &preds[b - 2];
        ir->blocks[b].pred_count = 1;
    }
    ir->blocks[JOIN].preds = join;
    ir->blocks[JOIN].pred_count = WIDE;
    ir->blocks[LEAVE].preds = &preds[WIDE - 1];
    ir->blocks[LEAVE].pred_count = 1;
    ir->entry = 1;
    ir_insert_after(ir, 1, IR_NONE, param);
    return ir_find_order(&jit) == EBPF_SUCCESS && ir_find_loops(&jit) == EBPF_SUCCESS;
}

// Predecessors of blocks that have too many of them to be compared one by one.
static void broken_edges_of_wide_joins_are_found(void)
{
    uint32_t where;
    REQUIRE(make_wide());
    CHECK(ir_check(&jit, &where) == NULL);
    struct ir_block *join = ir_block_at(&jit.ir, JOIN);
    for (uint32_t i = 0; i < WIDE; i++) {
        uint32_t old = join->preds[i];
        join->preds[i] = join->preds[(i + 7) % WIDE];
        CHECK(ir_check(&jit, &where) != NULL);
        join->preds[i] = old;
    }
    for (uint32_t i = 0; i + 3 < WIDE; i++) { // the numbers have the sum that they had
        join->preds[i]++;
        join->preds[i + 3]--;
        CHECK(ir_check(&jit, &where) != NULL);
        join->preds[i]--;
        join->preds[i + 3]++;
    }
    join->pred_count--;
    CHECK(ir_check(&jit, &where) != NULL);
    join->pred_count++;
    CHECK(ir_check(&jit, &where) == NULL);
}

static void uses_are_counted_right_or_not_at_all(void)
{
    uint32_t line, where;
    REQUIRE_OK(parse(all_shapes, &line));
    REQUIRE_OK(ir_clean(&jit));
    CHECK(jit.ir.counted && ir_check(&jit, &where) == NULL);
    ir_at(&jit.ir, 2)->uses++;
    CHECK_STR(ir_check(&jit, &where), "uses are counted wrong");
    jit.ir.counted = false;
    CHECK(ir_check(&jit, &where) == NULL);
    ir_count_uses(&jit.ir);
    CHECK(jit.ir.counted && ir_check(&jit, &where) == NULL);
}

// Workspaces of every size: an error, nothing else.
static void a_small_workspace_is_an_error(void)
{
    unsigned refused = 0;
    for (size_t size = 0; size < sizeof(workspace); size += 512) {
        uint32_t line;
        jit = (struct jit){.options = &options};
        if (jit_begin(&jit, workspace, size) != EBPF_SUCCESS) {
            refused++;
            continue;
        }
        jit_begin_function(&jit, 0);
        refused += ir_parse(&jit, all_shapes, &line) != EBPF_SUCCESS || ir_clean(&jit) != EBPF_SUCCESS;
    }
    CHECK(refused > 8 && refused < 200);
}

TEST_SUITE(ir_text)
{
    RUN(what_is_printed_is_read_back);
    RUN(what_is_no_text_of_the_form_is_refused);
    RUN(broken_forms_are_found);
    RUN(broken_edges_of_wide_joins_are_found);
    RUN(uses_are_counted_right_or_not_at_all);
    RUN(a_small_workspace_is_an_error);
}
