// SPDX-License-Identifier: MIT
// Containment in the simulated machine: random programs, the cases of tests/verify, and mutants of both,
// under the oracle (oracle.h).
//
// ORACLE_STEPS=N is how many instructions of each kind of random programs are looked at (default 600,000
// in optimised builds and a part of that elsewhere; with EBPF_NIGHTLY=1 60,000,000),
// ORACLE_SEED=N where the seeds start, ORACLE_VERBOSE=1 prints what was done.
#include <stdio.h>
#include <stdlib.h>

#include "tests/soundness/mutate.h"
#include "tests/soundness/oracle.h"
#include "tests/soundness/sources.h"
#include "tests/test.h"

#if defined(NDEBUG)
enum { STEPS = 600000, NIGHTLY = 60000000, CASE_MUTANTS = 12 };
#else
enum { STEPS = 60000, NIGHTLY = 2000000, CASE_MUTANTS = 3 };
#endif
enum { RUNS = 4, MUTANTS = 3, CASE_RUNS = 4 };

static struct gen subject, mutant;

static bool judge(struct gen *g, unsigned runs, bool *accepted)
{
    struct oracle_options options = {.spec = spec_builtin(),
                                     .runs = runs,
                                     .seed = gen_random(g),
                                     .max_steps = test_setting("ORACLE_LIMIT", 20000)};
    uint16_t rule;
    enum oracle_verdict verdict = oracle_judge(&g->program, &options, &rule);
    *accepted = verdict == ORACLE_ACCEPTED;
    CHECK(verdict != ORACLE_WRONG);
    return verdict != ORACLE_WRONG;
}

static bool judge_mutants(unsigned count, unsigned runs)
{
    bool accepted;
    for (unsigned i = 0; i < count; i++) {
        mutate(&subject, &mutant);
        if (!judge(&mutant, runs, &accepted)) {
            return false;
        }
    }
    return true;
}

static void print_totals(const char *what)
{
    const struct oracle_totals *t = &oracle_totals;
    if (getenv("ORACLE_VERBOSE") == NULL) {
        return;
    }
    printf("oracle: %s: %llu of %llu programs accepted, %llu runs, %llu instructions inside; not followed: "
           "%llu with too "
           "many states, %llu runs with what the machine does not play\n",
           what, (unsigned long long)t->accepted, (unsigned long long)t->programs,
           (unsigned long long)t->runs, (unsigned long long)t->steps, (unsigned long long)t->too_many,
           (unsigned long long)t->unknown);
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (t->rules[i] != 0) {
            printf("  %8llu %s\n", (unsigned long long)t->rules[i], i == 0 ? "?" : rule_row(i)->name);
        }
    }
}

static void begin(void)
{
    memset(&oracle_totals, 0, sizeof(oracle_totals));
}

static void follow_random_programs(void (*make)(struct gen *g, uint64_t seed), const char *what)
{
    uint64_t wanted = test_setting("ORACLE_STEPS", test_is_nightly() ? NIGHTLY : STEPS),
             seed = test_setting("ORACLE_SEED", 1);
    bool good = oracle_open(), accepted;
    begin();
    for (; good && oracle_totals.steps < wanted; seed++) {
        make(&subject, seed);
        if (subject.failed) {
            continue;
        }
        str_format(subject.program.name, sizeof(subject.program.name), "seed %llu", (unsigned long long)seed);
        good = judge(&subject, RUNS, &accepted) && (!accepted || judge_mutants(MUTANTS, RUNS));
    }
    print_totals(what);
    CHECK(oracle_totals.accepted > oracle_totals.programs / 20);
    CHECK(oracle_totals.too_many <= oracle_totals.accepted / 50);
    CHECK(oracle_totals.unknown <= oracle_totals.runs / 50);
    oracle_close();
}

static void random_programs_are_foreseen(void)
{
    follow_random_programs(gen_program, "random programs");
}

static void raw_programs_are_foreseen(void)
{
    follow_random_programs(gen_raw_program, "random programs over raw memory");
}

// The case itself, with the verdict that the file expects, and mutants of it.
static void follow_case(const struct vt_case *c)
{
    bool accepted;
    source_from_case(c, &subject);
    if (judge(&subject, CASE_RUNS, &accepted)) {
        bool may = c->rule[0] == '\0' || str_equal(c->rule, "accept");
        bool other =
            c->unprivileged || c->steps != 0 || c->states != 0; // judged under other conditions there
        CHECK(!accepted || may || other);
        judge_mutants(CASE_MUTANTS, CASE_RUNS);
    }
}

static bool try_case(void *user, const struct vt_case *c)
{
    UNUSED(user);
    RUN_WITH(c->name, follow_case, c);
    return true;
}

static void there_are_cases(unsigned count)
{
    CHECK(count > 100);
}

static void follow_cases(void)
{
    unsigned count = 0;
    if (oracle_open()) {
        begin();
        count = source_each_case(try_case, NULL);
        print_totals("cases and mutants");
        oracle_close();
    }
    RUN_WITH("cases_are_followed", there_are_cases, count);
}

TEST_SUITE(machine)
{
    follow_cases();
    RUN(random_programs_are_foreseen);
    RUN(raw_programs_are_foreseen);
}
