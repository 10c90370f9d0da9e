// SPDX-License-Identifier: MIT
// Limits, evidence, failing memory, and programs made to be expensive.
#include <stdlib.h>

#include "tests/test.h"
#include "verifier/case.h"
#include "verifier/verifier.h"

static struct vt_case parsed;

static const struct program *assemble(const char *text)
{
    const char *error;
    return case_read(&text, &parsed, &error) && error == NULL ? &parsed.program : NULL;
}

static const char *const counter = "case counter\n"
                                   "map counters array 4 8 1\n"
                                   "r6 = r1\n"
                                   "*(u32 *)(r10 - 4) = 0\n"
                                   "r2 = r10\n"
                                   "r2 += -4\n"
                                   "r1 = map counters ll\n"
                                   "call bpf_map_lookup_elem\n"
                                   "if r0 == 0 goto none\n"
                                   "r1 = *(u32 *)(r6 + 12)\n"
                                   "*(u64 *)(r0 + 0) = r1\n"
                                   "none: r0 = *(u32 *)(r6 + 16)\n"
                                   "exit\n";

static ebpf_result_t verify(const struct program *p, struct arena *arena, struct verify_report *report)
{
    struct verify_options options = {.spec = spec_builtin()};
    return verify_program(p, &options, arena, report);
}

static uint32_t get_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void evidence_marks_context_accesses(void)
{
    struct arena arena;
    struct verify_report report;
    const struct program *p = assemble(counter);
    REQUIRE(p != NULL);
    arena_init(&arena, test_mem_source(), 0);
    CHECK_OK(verify(p, &arena, &report));
    CHECK(report.accepted);
    CHECK_EQ(report.evidence_size, 16 + 2 * 8);
    if (report.evidence_size == 32) {
        const uint8_t *e = report.evidence;
        CHECK_EQ(get_u32(e), EVIDENCE_MAGIC);
        CHECK_EQ(get_u32(e + 4), EVIDENCE_FORMAT);
        CHECK_EQ(get_u32(e + 8), p->insn_count);
        CHECK_EQ(get_u32(e + 12), 2);
        CHECK_EQ(get_u32(e + 16), 8); // the map's address takes two slots
        CHECK_EQ(get_u32(e + 20), 3); // ingress_ifindex
        CHECK_EQ(get_u32(e + 24), 10);
        CHECK_EQ(get_u32(e + 28), 4); // rx_queue_index
    }
    CHECK(report.steps >= p->insn_count - 1);
    CHECK(report.peak_bytes > 0);
    arena_fini(&arena);
}

// Serves a number of allocations and no more, as a machine does that runs out of memory.
struct budget {
    unsigned long left, live;
};

static void *budget_alloc(void *user, size_t size)
{
    struct budget *b = user;
    if (b->left == 0) {
        return NULL;
    }
    b->left--;
    b->live++;
    return malloc(size);
}

static void budget_free(void *user, void *block)
{
    struct budget *b = user;
    b->live--;
    free(block);
}

static void every_allocation_may_fail(void)
{
    const struct program *p = assemble(counter);
    REQUIRE(p != NULL);
    unsigned long n = 0;
    bool accepted = false;
    for (; n < 100 && !accepted; n++) {
        struct budget budget = {n, 0};
        const struct mem_source source = {budget_alloc, budget_free, &budget};
        struct arena arena;
        struct verify_report report;
        arena_init(&arena, &source, 0);
        ebpf_result_t result = verify(p, &arena, &report);
        accepted = report.accepted;
        arena_fini(&arena);
        CHECK_EQ(budget.live, 0);
        CHECK_EQ(result, accepted ? EBPF_SUCCESS : EBPF_NO_MEMORY);
    }
    CHECK(n > 3 && accepted);
}

// Every limit of the arena ends in a verdict or in a clear refusal.
static void arena_limit_is_a_finding(void)
{
    const struct program *p = assemble(counter);
    REQUIRE(p != NULL);
    bool refused = false, accepted = false;
    for (size_t limit = 64 * 1024; limit < 2048 * 1024; limit += 64 * 1024) {
        struct arena arena;
        struct verify_report report;
        arena_init(&arena, test_mem_source(), limit);
        ebpf_result_t result = verify(p, &arena, &report);
        if (result == EBPF_NO_MEMORY && report.findings != NULL) {
            CHECK_EQ(report.findings[0].rule, RULE_BUDGET);
            refused = true;
        }
        accepted = accepted || report.accepted;
        CHECK(result == EBPF_NO_MEMORY || report.accepted);
        CHECK(arena.held <= limit);
        arena_fini(&arena);
    }
    CHECK(refused);
    CHECK(accepted);
}

static void malformed_program_is_a_finding(void)
{
    struct arena arena;
    struct verify_report report;
    static const struct func whole = {.start = 0, .end = 2};
    struct insn insns[2] = {{.id = INSN_JA, .off = 10}, {.id = INSN_EXIT}};
    struct program p = {.type = PROG_TYPE_XDP,
                        .insns = insns,
                        .insn_count = 2,
                        .funcs = &whole,
                        .func_count = 1,
                        .strings = "",
                        .strings_size = 1};
    char text[600];
    arena_init(&arena, test_mem_source(), 0);
    CHECK_EQ(verify(&p, &arena, &report), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(report.finding_count, 1);
    CHECK_EQ(report.findings[0].rule, RULE_MALFORMED_PROGRAM);
    CHECK_EQ(report.findings[0].pc, 0);
    report_print_text(&p, &report, text, sizeof(text));
    insns[0] = (struct insn){.id = INSN_MOV64_IMM, .dst = 10};
    CHECK_EQ(verify(&p, &arena, &report), EBPF_INVALID_ARGUMENT);
    insns[0] = (struct insn){.id = 60000};
    CHECK_EQ(verify(&p, &arena, &report), EBPF_INVALID_ARGUMENT);
    p.type = PROG_TYPE_BIND; // not a Linux type
    CHECK_EQ(verify(&p, &arena, &report), EBPF_INVALID_ARGUMENT);
    arena_fini(&arena);
}

// --- expensive programs --------------------------------------------------------------------------

struct big {
    struct insn *insns;
    uint32_t count;
};

static void emit(struct big *b, uint16_t id, uint8_t dst, uint8_t src, int16_t off, int64_t imm)
{
    b->insns[b->count++] = (struct insn){.id = id, .dst = dst, .src = src, .off = off, .imm = imm};
}

static void judge_big(const struct big *b, const struct func *funcs, uint32_t func_count, size_t limit,
                      bool accepted, struct verify_report *out)
{
    struct func whole = {.start = 0, .end = b->count};
    struct program p = {.type = PROG_TYPE_XDP,
                        .insns = b->insns,
                        .insn_count = b->count,
                        .funcs = funcs != NULL ? funcs : &whole,
                        .func_count = funcs != NULL ? func_count : 1,
                        .strings = "",
                        .strings_size = 1};
    struct arena arena;
    arena_init(&arena, test_mem_source(), limit);
    ebpf_result_t result = verify(&p, &arena, out);
    CHECK(result == EBPF_SUCCESS || (result == EBPF_NO_MEMORY && !accepted));
    CHECK_EQ(out->accepted, accepted);
    CHECK(accepted || out->finding_count == 1);
    arena_fini(&arena);
}

// Each branch decides a register that nobody reads later.
static void diamonds_are_cheap(void)
{
    enum { DIAMONDS = 2000 };
    struct verify_report report;
    struct big b = {calloc(DIAMONDS * 5 + 3, sizeof(struct insn)), 0};
    REQUIRE(b.insns != NULL);
    emit(&b, INSN_LDXW, 6, 1, 12, 0);
    for (int i = 0; i < DIAMONDS; i++) {
        emit(&b, INSN_MOV64_REG, 2, 6, 0, 0);
        emit(&b, INSN_AND64_IMM, 2, 0, 0, 1 << i % 20);
        emit(&b, INSN_JEQ64_IMM, 2, 0, 1, 0);
        emit(&b, INSN_MOV64_IMM, 3, 0, 0, i);
        emit(&b, INSN_MOV64_IMM, 4, 0, 0, i);
    }
    emit(&b, INSN_MOV64_IMM, 0, 0, 0, 1);
    emit(&b, INSN_EXIT, 0, 0, 0, 0);
    judge_big(&b, NULL, 0, 64u << 20, true, &report);
    CHECK(report.steps < 10 * b.count);
    free(b.insns);
}

// Every branch keeps a bit that the end reads: 2^n states. Refused in bounded work.
static void exploding_states_are_refused(void)
{
    enum { BITS = 60 };
    struct verify_report report;
    struct big b = {calloc(BITS * 3 + 4, sizeof(struct insn)), 0};
    REQUIRE(b.insns != NULL);
    emit(&b, INSN_LDXW, 6, 1, 12, 0);
    emit(&b, INSN_MOV64_IMM, 0, 0, 0, 0);
    for (int i = 0; i < BITS; i++) {
        emit(&b, INSN_JSET64_IMM, 6, 0, 2, 1 << i % 30);
        emit(&b, INSN_LSH64_IMM, 0, 0, 0, 1);
        emit(&b, INSN_ADD64_IMM, 0, 0, 0, 1);
    }
    emit(&b, INSN_EXIT, 0, 0, 0, 0);
    judge_big(&b, NULL, 0, 128u << 20, false, &report);
    CHECK_EQ(report.findings == NULL, 0);
    free(b.insns);
}

static void a_million_jumps_end(void)
{
    struct verify_report report;
    struct big b = {calloc(INSN_MAX_SLOTS, sizeof(struct insn)), 0};
    REQUIRE(b.insns != NULL);
    while (b.count < INSN_MAX_SLOTS - 2) {
        emit(&b, INSN_JSET64_IMM, 1, 0, (int16_t)(b.count % 7 == 0 && b.count > 200 ? -200 : 1), 1);
    }
    emit(&b, INSN_MOV64_IMM, 0, 0, 0, 0);
    emit(&b, INSN_EXIT, 0, 0, 0, 0);
    judge_big(&b, NULL, 0, 512u << 20, false, &report);
    free(b.insns);
}

// Depth 6, four calls in each function: 4^6 leaves.
static void call_trees_are_bounded(void)
{
    enum { DEPTH = 6, FAN = 4, SIZE = FAN + 2 };
    struct verify_report report;
    struct func funcs[DEPTH + 1];
    struct big b = {calloc((DEPTH + 1) * SIZE, sizeof(struct insn)), 0};
    REQUIRE(b.insns != NULL);
    memset(funcs, 0, sizeof(funcs));
    for (uint32_t f = 0; f <= DEPTH; f++) {
        funcs[f].start = b.count;
        for (uint32_t i = 0; i < FAN && f < DEPTH; i++) {
            emit(&b, INSN_CALL_LOCAL, 0, 0, 0, (int64_t)(f + 1) * SIZE - b.count - 1);
        }
        emit(&b, INSN_MOV64_IMM, 0, 0, 0, 1);
        emit(&b, INSN_EXIT, 0, 0, 0, 0);
        funcs[f].end = b.count;
    }
    judge_big(&b, funcs, DEPTH + 1, 64u << 20, true, &report);
    free(b.insns);
}

TEST_SUITE(engine)
{
    RUN(evidence_marks_context_accesses);
    RUN(every_allocation_may_fail);
    RUN(arena_limit_is_a_finding);
    RUN(malformed_program_is_a_finding);
    RUN(diamonds_are_cheap);
    RUN(exploding_states_are_refused);
    RUN(a_million_jumps_end);
    RUN(call_trees_are_bounded);
}
