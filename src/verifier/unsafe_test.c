// SPDX-License-Identifier: MIT
// The unsafe set: every program of tests/verify/unsafe/*.vt is refused by the rule that the file names, and
// its corrected twin is accepted. Every rule has a program that it refuses.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain/domain.h"
#include "tests/test.h"
#include "verifier/case.h"
#include "verifier/verifier.h"

static const char *const unsafe_files[] = {
    "memory", "numbers",  "null",  "references", "locks",          "objects",       "maps",
    "calls",  "programs", "loops", "leaks",      "engine_attacks", "domain_attacks"};
// Programs elsewhere that are there for other reasons, and show rules too.
static const char *const other_files[] = {"registers", "stack", "packet", "context", "maps",
                                          "helpers",   "loops", "calls",  "attacks"};

static unsigned refused_by[RULE_COUNT]; // programs that expect the rule
static unsigned unsafe_count, twin_count;

static char *read_file(const char *directory, const char *name)
{
    enum { SIZE = 1 << 18 };
    char path[512];
    str_format(path, sizeof(path), "%s/tests/verify/%s%s.vt", TEST_SOURCE_DIR, directory, name);
    FILE *file = fopen(path, "rb");
    char *text = file != NULL ? malloc(SIZE) : NULL;
    size_t size = text != NULL ? fread(text, 1, SIZE - 1, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    if (text != NULL) {
        text[size] = '\0';
    }
    return text;
}

static uint16_t find_rule(const char *name)
{
    uint16_t rule = RULE_COUNT - 1;
    while (rule != RULE_NONE && !str_equal(rule_row(rule)->name, name)) {
        rule--;
    }
    return rule;
}

static void judge(const struct vt_case *c)
{
    struct arena arena;
    struct verify_report report;
    struct verify_options options = {.spec = spec_builtin(),
                                     .max_steps = c->steps,
                                     .max_states = c->states,
                                     .unprivileged = c->unprivileged,
                                     .replay = true};
    arena_init(&arena, test_mem_source(), 64u << 20);
    ebpf_result_t result = verify_program(&c->program, &options, &arena, &report);
    const struct finding *f = report.finding_count != 0 ? &report.findings[0] : NULL;
    CHECK(result == EBPF_SUCCESS || (f != NULL && f->rule == RULE_MALFORMED_PROGRAM));
    CHECK_STR(f != NULL ? rule_row(f->rule)->name : report.accepted ? "accept" : "nothing", c->rule);
    if (f != NULL && test_state.filter != NULL) { // who asks for one program wants to read what is said
        printf("  %s @%u: %s\n    needed: %s\n    known: %s\n    hint: %s\n", c->name, f->pc, f->message,
               f->needed, f->known, f->hint);
    }
    if (f != NULL && c->rule_pc != UINT32_MAX) {
        CHECK_EQ(f->pc, c->rule_pc);
    }
    if (f != NULL) {
        CHECK(f->message[0] != '\0' && f->needed[0] != '\0' && f->hint[0] != '\0');
        enum { LONGEST = FAULT_TEXT_SIZE - 2 }; // longer ones were cut
        CHECK(strlen(f->message) <= LONGEST && strlen(f->needed) <= LONGEST && strlen(f->known) <= LONGEST);
        CHECK(strlen(f->hint) <= LONGEST);
    }
    arena_fini(&arena);
}

static struct vt_case current;

static void report_bad_file(const char *error)
{
    test_fail(__FILE__, __LINE__, "%s: %s", current.name, error);
}

static void count_case(const struct vt_case *c)
{
    bool accepted = str_equal(c->rule, "accept");
    unsafe_count += !accepted;
    twin_count += accepted;
    if (!accepted && find_rule(c->rule) == RULE_NONE) {
        RUN_WITH(c->name, report_bad_file, "no rule has the name that is expected");
    }
}

static void run_file(const char *directory, const char *name, bool judged)
{
    char *text = read_file(directory, name);
    const char *at = text, *error = "the file cannot be read";
    while (text != NULL && case_read(&at, &current, &error)) {
        refused_by[find_rule(current.rule)]++;
        if (judged) {
            count_case(&current);
            RUN_WITH(current.name, judge, &current);
        }
    }
    if (error != NULL) {
        RUN_WITH(name, report_bad_file, error);
    }
    free(text);
}

// Well-formed programs have no such instructions: the last line of defence.
static void check_instruction(const struct insn *in, uint32_t rule)
{
    static struct domain_state s;
    static struct insn insns[2];
    struct domain_fault fault = {.rule = RULE_NONE};
    struct domain_env env;
    insns[0] = *in;
    struct func func = {.end = 2};
    struct program p = {.type = PROG_TYPE_XDP,
                        .dialect = DIALECT_LINUX,
                        .insns = insns,
                        .insn_count = 2,
                        .funcs = &func,
                        .func_count = 1};
    state_make_env(spec_builtin(), &p, &env);
    state_enter_program(&env, &s);
    CHECK(!obligation_check(&env, &s, 0, &fault));
    CHECK_EQ(fault.rule, rule);
    refused_by[rule]++;
}

static void instructions_that_no_program_has_are_refused(void)
{
    check_instruction(&(struct insn){.id = INSN_MOV64_IMM, .dst = 10}, RULE_FRAME_POINTER_WRITE);
    check_instruction(&(struct insn){.id = INSN_LDDW_MAP_FD, .imm = 3}, RULE_UNSUPPORTED_INSTRUCTION);
}

static void every_rule_refuses_a_program(void)
{
    for (unsigned rule = 1; rule < RULE_COUNT; rule++) {
        if (refused_by[rule] == 0) {
            test_fail(__FILE__, __LINE__, "no program is refused by the rule %s", rule_row(rule)->name);
        }
    }
}

static void the_set_is_large_enough(void)
{
    CHECK(unsafe_count >= 120);
    CHECK(twin_count >= 60);
}

TEST_SUITE(unsafe)
{
    for (size_t i = 0; i < ARRAY_SIZE(unsafe_files); i++) {
        run_file("unsafe/", unsafe_files[i], true);
    }
    for (size_t i = 0; i < ARRAY_SIZE(other_files); i++) {
        run_file("", other_files[i], false);
    }
    RUN(instructions_that_no_program_has_are_refused);
    RUN(every_rule_refuses_a_program);
    RUN(the_set_is_large_enough);
}
