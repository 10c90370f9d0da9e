// SPDX-License-Identifier: MIT
// Programs made to exhaust a verifier: as long as permitted, states that explode, deep nesting, endless
// switches. Each verdict comes within the limits on work and memory; a refusal has a finding that says which
// limit.
#include <stdio.h>
#include <stdlib.h>

#include "tests/test.h"
#include "verifier/verifier.h"

enum { MEMORY_MAX = 256 << 20, MAPS = 1 };

static struct insn *insns;
static uint32_t count, capacity;
static struct func funcs[16];
static uint32_t func_count;

static void begin(uint32_t room)
{
    insns = calloc(room, sizeof(*insns));
    capacity = insns != NULL ? room : 0;
    count = 0;
    func_count = 1;
    memset(funcs, 0, sizeof(funcs));
}

static uint32_t emit(unsigned id, unsigned dst, unsigned src, int off, int64_t imm)
{
    if (count < capacity) {
        insns[count] = (struct insn){
            .id = (uint16_t)id, .dst = (uint8_t)dst, .src = (uint8_t)src, .off = (int16_t)off, .imm = imm};
        count++;
    }
    return count - 1;
}

static void finish(void)
{
    emit(INSN_MOV64_IMM, 0, 0, 0, 1);
    emit(INSN_EXIT, 0, 0, 0, 0);
}

// The verdict's rule, RULE_NONE when it is accepted. Frees the program.
static unsigned judge(struct verify_report *report, bool *accepted)
{
    static const struct map_def map = {MAP_TYPE_ARRAY, 2, 4, 64, 1, 0, "map"};
    funcs[func_count - 1].end = count;
    struct program p = {.type = PROG_TYPE_XDP,
                        .attach_type = spec_default_attach_type(spec_builtin(), PROG_TYPE_XDP),
                        .insns = insns,
                        .insn_count = count,
                        .funcs = funcs,
                        .func_count = func_count,
                        .maps = &map,
                        .map_count = MAPS,
                        .strings = "",
                        .strings_size = 1};
    struct verify_options options = {.spec = spec_builtin(), .replay = true};
    struct arena arena;
    arena_init(&arena, test_mem_source(), MEMORY_MAX);
    ebpf_result_t result = verify_program(&p, &options, &arena, report);
    unsigned rule = report->finding_count != 0 ? report->findings[0].rule : RULE_NONE;
    *accepted = report->accepted;
    CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
    CHECK_EQ(report->accepted, rule == RULE_NONE);
    CHECK(report->accepted || report->findings[0].known[0] != '\0' || report->findings[0].needed[0] != '\0');
    CHECK(report->peak_bytes <= MEMORY_MAX);
    if (getenv("ORACLE_VERBOSE") != NULL) {
        printf("%s: %u instructions, %s, %llu steps, %u states, %llu KB\n", test_state.name, count,
               rule == RULE_NONE ? "accepted" : rule_row(rule)->name, (unsigned long long)report->steps,
               report->states, (unsigned long long)report->peak_bytes / 1024);
    }
    arena_fini(&arena);
    free(insns);
    return rule;
}

static void check_accepted(void)
{
    struct verify_report report;
    bool accepted;
    judge(&report, &accepted);
    CHECK(accepted);
}

// Accepted or refused for want of a limit: both are fine, silence is not.
static void check_bounded(void)
{
    struct verify_report report;
    bool accepted;
    unsigned rule = judge(&report, &accepted);
    CHECK(accepted || rule == RULE_BUDGET || rule == RULE_UNBOUNDED_LOOP || rule == RULE_LOOP_DEPTH ||
          rule == RULE_CALL_DEPTH);
}

static void emit_random(void)
{
    emit(INSN_CALL, 0, 0, 0, HELPER_GET_PRANDOM_U32);
}

static void a_million_instructions(void)
{
    begin(INSN_MAX_SLOTS);
    emit(INSN_MOV64_IMM, 0, 0, 0, 0);
    while (count + 2 < INSN_MAX_SLOTS) {
        emit(INSN_ADD64_IMM, 0, 0, 0, 1);
    }
    finish();
    check_accepted();
}

// Each diamond adds an unknown bit; without joins there are 2^150000 ways.
static void a_million_instructions_of_diamonds(void)
{
    begin(INSN_MAX_SLOTS);
    emit_random();
    emit(INSN_MOV64_REG, 6, 0, 0, 0);
    emit(INSN_MOV64_IMM, 7, 0, 0, 0);
    while (count + 8 < INSN_MAX_SLOTS) {
        emit(INSN_JGT64_IMM, 6, 0, 2, count % 1000);
        emit(INSN_ADD64_IMM, 7, 0, 0, 1);
        emit(INSN_JA, 0, 0, 1, 0);
        emit(INSN_XOR64_IMM, 7, 0, 0, 3);
        emit(INSN_AND64_IMM, 7, 0, 0, 0xffff);
    }
    finish();
    check_bounded();
}

// `pairs` pairs of stack slots that are set together, tested later: what one says, the other one says.
static void emit_flag_pairs(unsigned pairs)
{
    for (unsigned i = 0; i < pairs; i++) {
        int at = -8 * (int)(2 * i + 1);
        emit_random();
        emit(INSN_STDW, 10, 0, at, 0);
        emit(INSN_STDW, 10, 0, at - 8, 0);
        emit(INSN_JGT64_IMM, 0, 0, 2, 1000 + i);
        emit(INSN_STDW, 10, 0, at, 1);
        emit(INSN_STDW, 10, 0, at - 8, 1);
    }
    for (unsigned i = 0; i < pairs; i++) {
        int at = -8 * (int)(2 * i + 1);
        emit(INSN_LDXDW, 1, 10, at, 0);
        emit(INSN_JEQ64_IMM, 1, 0, 2, 0);
        emit(INSN_LDXDW, 2, 10, at - 8, 0);
        emit(INSN_JEQ64_IMM, 2, 0, 0, 0);
    }
}

static void thirty_pairs_of_flags_fifty_times(void)
{
    begin(100000);
    for (unsigned i = 0; i < 50; i++) {
        emit_flag_pairs(30);
    }
    finish();
    check_bounded();
}

static void a_switch_of_thousands(void)
{
    enum { CASES = 8000 };
    begin(4 * CASES + 100);
    emit_random();
    emit(INSN_MOV64_REG, 6, 0, 0, 0);
    emit(INSN_MOV64_IMM, 7, 0, 0, 0);
    for (unsigned i = 0; i < CASES; i++) { // if (r6 == i) r7 = i * 3;
        emit(INSN_JNE64_IMM, 6, 0, 1, i);
        emit(INSN_MOV64_IMM, 7, 0, 0, 3 * (int64_t)i);
    }
    for (unsigned i = 0; i < 16; i++) {
        emit(INSN_JEQ64_IMM, 7, 0, 0, 3 * (int64_t)i);
    }
    finish();
    check_bounded();
}

static void branches_nested_thousands_deep(void)
{
    enum { DEPTH = 20000 };
    begin(2 * DEPTH + 100);
    emit_random();
    emit(INSN_MOV64_REG, 6, 0, 0, 0);
    for (unsigned i = 0; i < DEPTH; i++) { // each jumps to the end of what fits
        emit(INSN_JSET64_IMM, 6, 0, (int)(i + 1 < DEPTH ? 1 : 0), 1 << i % 31);
        emit(INSN_ADD64_IMM, 0, 0, 0, 1);
    }
    finish();
    check_bounded();
}

static void emit_loop_nest(unsigned depth, int64_t turns)
{
    uint32_t heads[32];
    for (unsigned i = 0; i < depth; i++) {
        emit(INSN_STDW, 10, 0, -8 * (int)(i + 1), 0);
        heads[i] = count;
    }
    emit(INSN_ADD64_IMM, 7, 0, 0, 1);
    for (unsigned i = depth; i-- > 0;) {
        emit(INSN_LDXDW, 1, 10, -8 * (int)(i + 1), 0);
        emit(INSN_ADD64_IMM, 1, 0, 0, 1);
        emit(INSN_STXDW, 10, 1, -8 * (int)(i + 1), 0);
        emit(INSN_JLT64_IMM, 1, 0, (int)heads[i] - (int)count - 1, turns);
    }
}

static void loops_in_loops(void)
{
    for (unsigned depth = 1; depth <= 20; depth++) {
        begin(1000);
        emit(INSN_MOV64_IMM, 7, 0, 0, 0);
        emit_loop_nest(depth, 1000);
        finish();
        check_bounded();
    }
}

static void hundreds_of_loops_one_after_another(void)
{
    begin(100000);
    emit(INSN_MOV64_IMM, 7, 0, 0, 0);
    for (unsigned i = 0; i < 400; i++) {
        emit_loop_nest(2, 1000000);
    }
    finish();
    check_bounded();
}

// Every function calls the next one `width` times with arguments that nobody knows.
static void emit_call_tree(unsigned depth, unsigned width)
{
    for (unsigned f = 0; f <= depth; f++) {
        funcs[f].start = count;
        func_count = f + 1;
        emit(INSN_MOV64_IMM, 6, 0, 0, 0);
        for (unsigned i = 0; f < depth && i < width; i++) {
            emit_random();
            emit(INSN_MOV64_REG, 1, 0, 0, 0);
            emit(INSN_MOV64_IMM, 2, 0, 0, (int64_t)i);
            emit(INSN_CALL_LOCAL, 0, 0, 0, 0);
            emit(INSN_ADD64_REG, 6, 0, 0, 0);
        }
        finish();
        funcs[f].end = count;
    }
    uint32_t f = 0;
    for (uint32_t pc = 0; pc < count; pc++) {
        f += pc >= funcs[f].end;
        if (insns[pc].id == INSN_CALL_LOCAL) {
            insns[pc].imm = (int64_t)funcs[f + 1].start - pc - 1;
        }
    }
}

static void call_trees(void)
{
    begin(4000);
    emit_call_tree(6, 4);
    check_accepted();
    begin(4000);
    emit_call_tree(7, 60);
    check_bounded();
}

static void nothing_that_ends(void)
{
    begin(1000);
    for (unsigned i = 0; i < 100; i++) {
        emit_random();
        emit(INSN_JSET64_IMM, 0, 0, (int)(i % 7) - (int)(i < 10 ? 0 : 9), 1);
    }
    emit(INSN_JA, 0, 0, -100, 0);
    finish();
    check_bounded();
}

TEST_SUITE(adversarial)
{
    RUN(a_million_instructions);
    RUN(a_million_instructions_of_diamonds);
    RUN(thirty_pairs_of_flags_fifty_times);
    RUN(a_switch_of_thousands);
    RUN(branches_nested_thousands_deep);
    RUN(loops_in_loops);
    RUN(hundreds_of_loops_one_after_another);
    RUN(call_trees);
    RUN(nothing_that_ends);
}
