// SPDX-License-Identifier: MIT
// Limits, evidence, failing memory.
#include <stdlib.h>

#include "tests/test.h"
#include "verifier/case.h"
#include "verifier/result.h"
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

// Serves a number of allocations and no more, as a machine does that runs out of memory. It has no whole
// chunk either, so that an arena asks for each of its allocations alone.
struct budget {
    unsigned long left, live;
};
enum { CHUNK = 64 << 10 };

static void *budget_alloc(void *user, size_t size)
{
    struct budget *b = user;
    if (b->left == 0 || (size >= CHUNK && size < CHUNK + 64)) {
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

static unsigned offered;

static void note_state(void *user, uint32_t pc, const void *state)
{
    UNUSED(user);
    UNUSED(pc);
    offered += state != NULL;
}

// Without memory there is no verdict, and nothing is left behind; but a finding stands when there is none for
// the second attempt. Returns how many allocations a verdict needs.
static unsigned long fail_each_allocation(const char *text, enum rule_id rule)
{
    const struct program *p = assemble(text);
    const struct verify_options options = {
        .spec = spec_builtin(), .replay = true, .stored = note_state, .observe = note_state};
    bool judged = false;
    unsigned long n = 0, early = 0;
    for (; p != NULL && n < 5000 && !judged; n++) {
        struct budget budget = {n, 0};
        const struct mem_source source = {budget_alloc, budget_free, &budget};
        struct arena arena;
        struct verify_report report;
        arena_init(&arena, &source, 0);
        ebpf_result_t result = verify_program(p, &options, &arena, &report);
        judged = result == EBPF_SUCCESS && budget.left != 0;
        early += result == EBPF_SUCCESS && budget.left == 0;
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
        CHECK(result == EBPF_SUCCESS || !report.accepted);
        if (result == EBPF_SUCCESS) {
            CHECK(report.accepted == (rule == RULE_NONE));
            CHECK_EQ(report.finding_count != 0 ? report.findings[0].rule : RULE_NONE, rule);
        }
        arena_fini(&arena);
        CHECK_EQ(budget.live, 0);
    }
    CHECK(judged);
    CHECK(rule == RULE_NONE || early > 5);
    return n;
}

static void every_allocation_may_fail(void)
{
    static const char *const loop = "case loop\nr6 = 0\nagain: r1 = r6\ncall local f\nr6 += 1\n"
                                    "if r6 < 50 goto again\nr0 = 1\nexit\nf: r0 = r1\n"
                                    "if r0 == 3 goto out\nr0 += 1\nout: exit\n";
    static const char *const refused = "case refused\nmap counters array 4 8 1\nr6 = 0\nagain: r6 += 1\n"
                                       "if r6 < 5 goto again\n*(u32 *)(r10 - 4) = r6\nr2 = r10\nr2 += -4\n"
                                       "r1 = map counters ll\ncall bpf_map_lookup_elem\nif r6 == 7 goto out\n"
                                       "r0 = *(u64 *)(r0 + 0)\nout: r0 = 1\nexit\n";
    static const char *const callback = "case callback\nr1 = 10\nlddw_code r2, f\nr3 = 0\nr4 = 0\n"
                                        "call bpf_loop\nr0 = 1\nexit\nf: r0 = 0\nexit\n";
    CHECK(fail_each_allocation(counter, RULE_NONE) > 20);
    CHECK(fail_each_allocation(loop, RULE_NONE) > 50);
    CHECK(fail_each_allocation(refused, RULE_POSSIBLY_NULL) > 50);
    CHECK(fail_each_allocation(callback, RULE_NONE) > 20);
    CHECK(offered != 0);
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

// --- the result ----------------------------------------------------------------------------------

struct seen {
    unsigned programs, calls, exits, states, heads;
    int64_t turns; // greatest bound of a loop
    struct domain_state state;
};

static void see_point(struct seen *seen, const struct point *at)
{
    for (const struct node *n = at->nodes; n != NULL; n = n->next) {
        if (n->dead) {
            continue;
        }
        seen->states++;
        if (at->is_head) {
            packed_unpack(n->state, &seen->state);
            int64_t bound = state_loop_bound(&seen->state, 0);
            seen->heads++;
            seen->turns = bound > seen->turns ? bound : seen->turns;
        }
    }
}

static void see(void *user, const struct instance *i)
{
    struct seen *seen = user;
    seen->programs += i->kind == INSTANCE_PROGRAM;
    seen->calls += i->kind == INSTANCE_CALL;
    seen->exits += i->exits.live_count;
    for (uint32_t b = 0; b < i->place_count; b++) {
        if (i->places[b] != NULL) {
            see_point(seen, &i->places[b]->point);
        }
    }
}

// A loop of 50 turns calls a function with its counter: one analysis of the function, one state at its exit,
// and the turns are bounded in the state at the head.
static void result_tells_states_and_turns(void)
{
    struct arena arena;
    struct verify_report report;
    struct seen *seen = calloc(1, sizeof(*seen));
    const struct program *p = assemble("case result\nr6 = 0\nagain: r1 = r6\ncall local f\nr6 += 1\n"
                                       "if r6 < 50 goto again\nr0 = 1\nexit\nf: r0 = r1\nr0 += 1\nexit\n");
    REQUIRE(p != NULL && seen != NULL);
    struct verify_options options = {
        .spec = spec_builtin(), .replay = true, .analysed = see, .analysed_user = seen};
    arena_init(&arena, test_mem_source(), 0);
    CHECK_OK(verify_program(p, &options, &arena, &report));
    CHECK(report.accepted);
    CHECK_EQ(seen->programs, 1);
    CHECK(seen->calls >= 1);
    CHECK(seen->exits >= 1);
    CHECK(seen->states >= 3);
    CHECK_EQ(seen->heads, 1);
    CHECK_EQ(seen->turns, 49);
    arena_fini(&arena);
    free(seen);
}

TEST_SUITE(engine)
{
    RUN(evidence_marks_context_accesses);
    RUN(every_allocation_may_fail);
    RUN(arena_limit_is_a_finding);
    RUN(malformed_program_is_a_finding);
    RUN(result_tells_states_and_turns);
}
