// SPDX-License-Identifier: MIT
// Containment: random programs and mutants of them that the verifier accepts run in the interpreter on random
// packets, contexts and maps. Before each instruction the machine must lie inside a state that the verifier
// had there, and each access inside its memory. The packet has a buffer of exactly its size, for
// AddressSanitizer.
//
// SOUNDNESS_PROGRAMS=N is how many programs must be accepted (default 2000), SOUNDNESS_SEED=N where the
// seeds start.
#include <stdio.h>
#include <stdlib.h>

#include "tests/soundness/judge.h"
#include "tests/soundness/mutate.h"
#include "tests/test.h"

enum { RUNS = 4, MUTANTS = 3 };

static struct gen gen, mutant;
static unsigned rules[RULE_COUNT];

static void print_statistics(unsigned tried, unsigned accepted)
{
    printf("soundness: %u of %u programs accepted\n", accepted, tried);
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (rules[i] != 0) {
            printf("  %6u %s\n", rules[i], rule_row(i)->name);
        }
    }
}

static bool try_program(struct gen *g)
{
    uint16_t rule;
    bool accepted = judge_program(g, RUNS, &rule);
    rules[rule] += !accepted;
    return accepted;
}

static void accepted_programs_stay_inside(void)
{
    uint64_t seed = test_setting("SOUNDNESS_SEED", 1), wanted = test_setting("SOUNDNESS_PROGRAMS", 2000);
    unsigned tried = 0, accepted = 0;
    REQUIRE(judge_open());
    while (accepted < wanted && tried < 40 * wanted) {
        gen_program(&gen, seed++);
        tried++;
        if (gen.failed || !try_program(&gen)) {
            continue;
        }
        accepted++;
        for (unsigned i = 0; i < MUTANTS; i++, tried++) {
            mutate(&gen, &mutant);
            accepted += try_program(&mutant);
        }
    }
    CHECK(accepted >= wanted);
    if (getenv("SOUNDNESS_VERBOSE") != NULL) {
        print_statistics(tried, accepted);
    }
    judge_close();
}

// The verdict within limits on memory, steps and states; without memory there is none.
static bool is_accepted(const struct program *p, size_t memory, uint64_t steps, uint32_t states)
{
    struct arena arena;
    struct verify_report report;
    struct verify_options options = {.spec = spec_builtin(), .max_steps = steps, .max_states = states};
    arena_init(&arena, test_mem_source(), memory);
    ebpf_result_t result = verify_program(p, &options, &arena, &report);
    CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
    bool accepted = result == EBPF_SUCCESS && report.accepted;
    arena_fini(&arena);
    return accepted;
}

// Giving up early is never an acceptance.
static void limits_only_refuse(void)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        gen_program(&gen, seed);
        if (gen.failed) {
            continue;
        }
        bool good = is_accepted(&gen.program, 64u << 20, 20000, 0);
        for (unsigned i = 0; i < 6; i++) {
            size_t memory = 1000u + gen_pick(&gen, 1u << (10 + gen_pick(&gen, 11)));
            bool again = is_accepted(&gen.program, memory, 1 + gen_pick(&gen, 300), 1 + gen_pick(&gen, 40));
            CHECK(good || !again);
        }
    }
    CHECK_EQ(test_mem_live(), 0);
}

TEST_SUITE(containment)
{
    RUN(limits_only_refuse);
    RUN(accepted_programs_stay_inside);
}
