// SPDX-License-Identifier: MIT
// Programs that are large, or made to be expensive: what they cost is counted in instructions followed and
// states stored, never in time, and whatever is too much ends with a clear finding.
#include <stdlib.h>

#include "tests/test.h"
#include "verifier/verifier.h"

struct big {
    struct insn *insns;
    uint32_t count;
};

static bool make(struct big *b, uint32_t capacity)
{
    b->insns = calloc(capacity, sizeof(struct insn));
    b->count = 0;
    return b->insns != NULL;
}

static void emit(struct big *b, uint16_t id, uint8_t dst, uint8_t src, int16_t off, int64_t imm)
{
    b->insns[b->count++] = (struct insn){.id = id, .dst = dst, .src = src, .off = off, .imm = imm};
}

static void finish(struct big *b)
{
    emit(b, INSN_MOV64_IMM, 0, 0, 0, 1);
    emit(b, INSN_EXIT, 0, 0, 0, 0);
}

// Verifies, frees, and gives the rule of the finding; RULE_NONE: accepted.
static unsigned judge(struct big *b, const struct func *funcs, uint32_t func_count, size_t limit,
                      struct verify_report *out)
{
    struct func whole = {.start = 0, .end = b->count};
    struct program p = {.type = PROG_TYPE_XDP,
                        .insns = b->insns,
                        .insn_count = b->count,
                        .funcs = funcs != NULL ? funcs : &whole,
                        .func_count = funcs != NULL ? func_count : 1,
                        .strings = "",
                        .strings_size = 1};
    struct verify_options options = {.spec = spec_builtin(), .replay = true};
    struct arena arena;
    arena_init(&arena, test_mem_source(), limit);
    ebpf_result_t result = verify_program(&p, &options, &arena, out);
    CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
    CHECK_EQ(out->finding_count, out->accepted ? 0 : 1);
    unsigned rule = out->accepted ? RULE_NONE : out->findings[0].rule;
    arena_fini(&arena);
    free(b->insns);
    return rule;
}

// Each branch decides a register that nobody reads later.
static void diamonds_are_cheap(void)
{
    enum { DIAMONDS = 2000 };
    struct verify_report report;
    struct big b;
    REQUIRE(make(&b, DIAMONDS * 7 + 3));
    emit(&b, INSN_LDXW, 6, 1, 12, 0);
    for (int i = 0; i < DIAMONDS; i++) {
        emit(&b, INSN_MOV64_REG, 2, 6, 0, 0);
        emit(&b, INSN_AND64_IMM, 2, 0, 0, 1 << i % 20);
        emit(&b, INSN_JEQ64_IMM, 2, 0, 2, 0);
        emit(&b, INSN_MOV64_IMM, 3, 0, 0, i);
        emit(&b, INSN_JA, 0, 0, 1, 0);
        emit(&b, INSN_MOV64_IMM, 3, 0, 0, -i);
        emit(&b, INSN_MOV64_REG, 4, 3, 0, 0);
    }
    uint32_t count = b.count;
    finish(&b);
    CHECK_EQ(judge(&b, NULL, 0, 64u << 20, &report), RULE_NONE);
    CHECK(report.steps < 3 * count);
    CHECK(report.states <= 2 * DIAMONDS + 2);
}

// Independent flags that are set in one place and tested much later: 2^20 combinations.
static void independent_flags_are_joined(void)
{
    enum { FLAGS = 20, ROUNDS = 20 };
    struct verify_report report;
    struct big b;
    REQUIRE(make(&b, ROUNDS * FLAGS * 7 + 3));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < FLAGS; i++) {
            emit(&b, INSN_STDW, 10, 0, (int16_t)(-8 - 8 * i), 0);
            emit(&b, INSN_LDXW, 2, 1, 12, 0);
            emit(&b, INSN_JSET64_IMM, 2, 0, 1, 1 << i);
            emit(&b, INSN_STDW, 10, 0, (int16_t)(-8 - 8 * i), 1);
        }
        for (int i = 0; i < FLAGS; i++) {
            emit(&b, INSN_LDXDW, 2, 10, (int16_t)(-8 - 8 * i), 0);
            emit(&b, INSN_JEQ64_IMM, 2, 0, 1, 0);
            emit(&b, INSN_MOV64_IMM, 3, 0, 0, i);
        }
    }
    uint32_t count = b.count;
    finish(&b);
    CHECK_EQ(judge(&b, NULL, 0, 64u << 20, &report), RULE_NONE);
    CHECK(report.steps < 8 * count);
}

// Pairs of flags that are set together: what is worst for states that are kept apart.
static void paired_flags_end(void)
{
    enum { PAIRS = 30, ROUNDS = 10 };
    struct verify_report report;
    struct big b;
    REQUIRE(make(&b, ROUNDS * PAIRS * 10 + 3));
    emit(&b, INSN_LDXW, 6, 1, 12, 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PAIRS; i++) {
            emit(&b, INSN_STDW, 10, 0, (int16_t)(-8 - 16 * i), 0);
            emit(&b, INSN_STDW, 10, 0, (int16_t)(-16 - 16 * i), 0);
            emit(&b, INSN_JSET64_IMM, 6, 0, 2, 1 << i);
            emit(&b, INSN_STDW, 10, 0, (int16_t)(-8 - 16 * i), 1);
            emit(&b, INSN_STDW, 10, 0, (int16_t)(-16 - 16 * i), 1);
        }
        for (int i = 0; i < PAIRS; i++) {
            emit(&b, INSN_LDXDW, 2, 10, (int16_t)(-8 - 16 * i), 0);
            emit(&b, INSN_LDXDW, 3, 10, (int16_t)(-16 - 16 * i), 0);
            emit(&b, INSN_JEQ64_IMM, 2, 0, 2, 0);
            emit(&b, INSN_JNE64_IMM, 3, 0, 1, 0);
            emit(&b, INSN_MOV64_IMM, 4, 0, 0, i);
        }
    }
    finish(&b);
    unsigned rule = judge(&b, NULL, 0, 256u << 20, &report);
    CHECK(rule == RULE_NONE || rule == RULE_BUDGET);
    CHECK(report.steps <= VERIFY_MAX_STEPS);
}

// Every branch keeps a bit in a number that decides at the end.
static void exploding_states_end(void)
{
    enum { BITS = 60 };
    struct verify_report report;
    struct big b;
    REQUIRE(make(&b, BITS * 3 + 6));
    emit(&b, INSN_LDXW, 6, 1, 12, 0);
    emit(&b, INSN_MOV64_IMM, 7, 0, 0, 0);
    for (int i = 0; i < BITS; i++) {
        emit(&b, INSN_LSH64_IMM, 7, 0, 0, 1);
        emit(&b, INSN_JSET64_IMM, 6, 0, 1, 1 << i % 30);
        emit(&b, INSN_ADD64_IMM, 7, 0, 0, 1);
    }
    emit(&b, INSN_JEQ64_IMM, 7, 0, 0, 12345);
    finish(&b);
    CHECK_EQ(judge(&b, NULL, 0, 64u << 20, &report), RULE_NONE);
}

// A million jumps, some of them back: more loops inside each other than are followed.
static void a_million_jumps_end(void)
{
    struct verify_report report;
    struct big b;
    REQUIRE(make(&b, INSN_MAX_SLOTS));
    while (b.count < INSN_MAX_SLOTS - 2) {
        emit(&b, INSN_JSET64_IMM, 1, 0, (int16_t)(b.count % 7 == 0 && b.count > 200 ? -200 : 1), 1);
    }
    finish(&b);
    CHECK(judge(&b, NULL, 0, 512u << 20, &report) != RULE_NONE);
}

// A million instructions without a way to meet.
static void a_million_instructions_are_followed_once(void)
{
    struct verify_report report;
    struct big b;
    REQUIRE(make(&b, INSN_MAX_SLOTS));
    while (b.count < INSN_MAX_SLOTS - 2) {
        emit(&b, INSN_MOV64_IMM, (uint8_t)(b.count % 6), 0, 0, b.count);
    }
    finish(&b);
    CHECK_EQ(judge(&b, NULL, 0, 512u << 20, &report), RULE_NONE);
    CHECK_EQ(report.steps, INSN_MAX_SLOTS);
}

// Thousands of cases of a switch, each with a block of its own.
static void a_huge_switch_ends(void)
{
    enum { CASES = 15000 };
    struct verify_report report;
    struct big b;
    REQUIRE(make(&b, CASES * 3 + 4));
    emit(&b, INSN_LDXW, 6, 1, 12, 0);
    for (int i = 0; i < CASES; i++) {
        emit(&b, INSN_JEQ64_IMM, 6, 0, (int16_t)CASES, i);
    }
    emit(&b, INSN_JA, 0, 0, (int16_t)CASES, 0);
    for (int i = 0; i < CASES; i++) {
        emit(&b, INSN_MOV64_IMM, 2, 0, 0, i);
    }
    finish(&b);
    CHECK_EQ(judge(&b, NULL, 0, 256u << 20, &report), RULE_NONE);
}

// Functions [0, depth], each of which calls the next one `fan` times.
static void call_tree(uint32_t depth, uint32_t fan, struct verify_report *report)
{
    struct func funcs[8];
    struct big b;
    uint32_t size = fan + 2;
    REQUIRE(make(&b, (depth + 1) * size));
    memset(funcs, 0, sizeof(funcs));
    for (uint32_t f = 0; f <= depth; f++) {
        funcs[f].start = b.count;
        for (uint32_t i = 0; i < fan; i++) {
            if (f < depth) {
                emit(&b, INSN_CALL_LOCAL, 0, 0, 0, (int64_t)(f + 1) * size - b.count - 1);
            } else {
                emit(&b, INSN_MOV64_IMM, 3, 0, 0, i);
            }
        }
        finish(&b);
        funcs[f].end = b.count;
    }
    CHECK_EQ(judge(&b, funcs, depth + 1, 64u << 20, report), RULE_NONE);
}

static void call_trees_are_cheap(void)
{
    struct verify_report report;
    call_tree(6, 4, &report);
    CHECK(report.steps < 100);
    call_tree(5, 6, &report);
    CHECK(report.steps < 100);
}

// `depth` loops inside each other, each with `turns` turns; its counters are on the stack.
static unsigned nested_loops(uint32_t depth, int64_t turns, struct verify_report *report)
{
    struct big b;
    uint32_t heads[16];
    if (!make(&b, depth * 6 + 2)) {
        return RULE_COUNT;
    }
    for (uint32_t d = 0; d < depth; d++) {
        emit(&b, INSN_STDW, 10, 0, (int16_t)(-8 - 8 * (int)d), 0);
        heads[d] = b.count;
        emit(&b, INSN_MOV64_IMM, 5, 0, 0, d);
    }
    for (uint32_t d = depth; d-- > 0;) {
        emit(&b, INSN_LDXDW, 2, 10, (int16_t)(-8 - 8 * (int)d), 0);
        emit(&b, INSN_ADD64_IMM, 2, 0, 0, 1);
        emit(&b, INSN_STXDW, 10, 2, (int16_t)(-8 - 8 * (int)d), 0);
        b.count++;
        b.insns[b.count - 1] = (struct insn){.id = INSN_JLT64_IMM, .dst = 2, .imm = turns};
        b.insns[b.count - 1].off = (int16_t)((int64_t)heads[d] - b.count);
    }
    finish(&b);
    return judge(&b, NULL, 0, 64u << 20, report);
}

static void long_loops_are_as_cheap_as_short_ones(void)
{
    struct verify_report few, many;
    CHECK_EQ(nested_loops(1, 10, &few), RULE_NONE);
    CHECK_EQ(nested_loops(1, 1000000000, &many), RULE_NONE);
    CHECK(many.steps < 1000);
    CHECK_EQ(nested_loops(3, 1000000000, &many), RULE_NONE);
    CHECK(many.steps < 100000);
}

static void loops_may_be_nested_eight_deep(void)
{
    struct verify_report report;
    CHECK_EQ(nested_loops(8, 4, &report), RULE_NONE);
    CHECK_EQ(nested_loops(9, 4, &report), RULE_LOOP_DEPTH);
}

TEST_SUITE(scale)
{
    RUN(diamonds_are_cheap);
    RUN(independent_flags_are_joined);
    RUN(paired_flags_end);
    RUN(exploding_states_end);
    RUN(a_million_jumps_end);
    RUN(a_million_instructions_are_followed_once);
    RUN(a_huge_switch_ends);
    RUN(call_trees_are_cheap);
    RUN(long_loops_are_as_cheap_as_short_ones);
    RUN(loops_may_be_nested_eight_deep);
}
