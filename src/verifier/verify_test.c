// SPDX-License-Identifier: MIT
// Whole programs: every case of tests/verify/*.vt is judged as the file says, by the rule that the file
// names.
#include <stdio.h>
#include <stdlib.h>

#include "domain/domain.h"
#include "tests/test.h"
#include "verifier/case.h"
#include "verifier/verifier.h"

static const char *const files[] = {"registers",
                                    "stack",
                                    "packet",
                                    "context",
                                    "maps",
                                    "helpers",
                                    "loops",
                                    "may_goto",
                                    "calls",
                                    "callbacks",
                                    "attacks",
                                    "precision/identities",
                                    "precision/addresses",
                                    "precision/memory"};

static char *read_file(const char *name)
{
    char path[512];
    str_format(path, sizeof(path), "%s/tests/verify/%s.vt", TEST_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    enum { SIZE = 1 << 18 };
    char *text = malloc(SIZE);
    size_t size = text != NULL ? fread(text, 1, SIZE - 1, file) : 0;
    fclose(file);
    if (text != NULL) {
        text[size] = '\0';
    }
    return text;
}

// Every working state must satisfy its invariants, and its packed form must mean at least the same.
struct checks {
    struct packed_scratch scratch;
    uint64_t copy[13 * 1024];
    unsigned invalid, unfaithful, seen;
};

static void observe(void *user, uint32_t pc, const void *state)
{
    struct checks *c = user;
    const struct domain_state *s = state;
    UNUSED(pc);
    c->seen++;
    c->invalid += !state_is_valid(s);
    const struct packed *p = packed_make(&c->scratch, s, NULL);
    memcpy(c->copy, p, p->size);
    c->unfaithful +=
        !packed_entails(&c->scratch, (const struct packed *)c->copy, (const struct packed *)c->copy);
}

static struct checks *checks;

static void judge(const struct vt_case *c)
{
    struct arena arena;
    struct verify_report report;
    struct verify_options options = {.spec = spec_builtin(),
                                     .max_steps = c->steps,
                                     .max_states = c->states,
                                     .observe = observe,
                                     .observe_user = checks};
    arena_init(&arena, test_mem_source(), 64u << 20);
    checks->invalid = checks->unfaithful = checks->seen = 0;
    ebpf_result_t result = verify_program(&c->program, &options, &arena, &report);
    CHECK(result == EBPF_SUCCESS || report.findings[0].rule == RULE_MALFORMED_PROGRAM);
    const char *verdict = report.accepted ? "accept" : "nothing";
    if (report.finding_count != 0) {
        verdict = rule_row(report.findings[0].rule)->name;
    }
    CHECK_STR(verdict, c->rule);
    if (c->rule_pc != UINT32_MAX && report.finding_count != 0) {
        CHECK_EQ(report.findings[0].pc, c->rule_pc);
    }
    CHECK_EQ(report.accepted, report.evidence != NULL);
    CHECK_EQ(checks->invalid, 0);
    CHECK_EQ(checks->unfaithful, 0);
    arena_fini(&arena);
}

static struct vt_case current;

static void run_case(const struct vt_case *c)
{
    judge(c);
}

static void report_bad_file(const char *error)
{
    test_fail(__FILE__, __LINE__, "%s: %s", current.name, error);
}

static void run_file(const char *name)
{
    char *text = read_file(name);
    const char *at = text, *error = "the file cannot be read";
    unsigned count = 0;
    while (text != NULL && case_read(&at, &current, &error)) {
        RUN_WITH(current.name, run_case, &current);
        count++;
    }
    if (error != NULL || count == 0) {
        RUN_WITH(name, report_bad_file, error != NULL ? error : "no case");
    }
    free(text);
}

TEST_SUITE(verify)
{
    checks = calloc(1, sizeof(*checks));
    for (size_t i = 0; i < ARRAY_SIZE(files) && checks != NULL; i++) {
        run_file(files[i]);
    }
    free(checks);
    checks = NULL;
}
