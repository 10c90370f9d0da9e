// SPDX-License-Identifier: MIT
// The kernel as a second opinion (Linux only): programs of the XDP type and mutants of them are judged here
// and by bpf(2). A program that is accepted here and refused there must belong to a class of differences that
// is known to be harmless: rules that the kernel has for its own sake. Programs are loaded and closed again;
// nothing is attached or run. Skipped where bpf(2) is not permitted.
//
// The classes are sentences of one kernel; what another one says in other words is printed, and fails
// nothing. That such a program runs without doing anything wrong is checked under every kernel.
//
// SOUNDNESS_MUTANTS=N is how many mutants are judged (default 300), SOUNDNESS_VERBOSE=1 prints the counts.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/soundness/judge.h"
#include "tests/soundness/kernel.h"
#include "tests/soundness/mutate.h"
#include "tests/test.h"

enum { MUTANTS_PER_PROGRAM = 20, RUNS = 24, CLASSES = 64 };

static struct gen gen;
static int map_fds[GEN_MAPS];

// --- comparison ----------------------------------------------------------------------------------

static unsigned not_reached;
static unsigned agreed_good, agreed_bad, stricter[RULE_COUNT], known[CLASSES], unexplained;

static void print_program(const struct program *p, const char *words)
{
    char text[96];
    printf("--- %s\n", words);
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        if (p->insns[pc].id != INSN_NONE) {
            insn_print(&p->insns[pc], text, sizeof(text));
            printf("%4u: %s\n", pc, text);
        }
    }
}

// Accepted here only: of a known class, and it runs without doing anything wrong.
static void explain(struct gen *g)
{
    const char *words = kernel_last_words(), *example = getenv("SOUNDNESS_EXAMPLE");
    uint16_t rule;
    CHECK(judge_program(g, RUNS, &rule));
    if (example != NULL && strstr(words, example) != NULL) {
        print_program(&g->program, words);
    }
    if (kernel_path_is_never_taken(judge_visited)) {
        not_reached++;
        return;
    }
    int class = kernel_find_difference(&g->program, words);
    if (class >= 0) {
        known[class]++;
        return;
    }
    unexplained++;
    if (kernel_is_the_one_of_the_classes()) {
        test_fail(__FILE__, __LINE__, "accepted here, refused by the kernel: %s", words);
    }
    if (unexplained <= 20) {
        print_program(&g->program, words);
    }
}

// True when both accept.
static bool compare(struct gen *g)
{
    uint16_t rule;
    bool here = judge_program(g, 0, &rule), there = kernel_accepts(&g->program, map_fds);
    if (here && there) {
        agreed_good++;
    } else if (!here && !there) {
        agreed_bad++;
    } else if (there) {
        stricter[rule]++;
    } else {
        explain(g);
    }
    return here && there;
}

static void print_statistics(void)
{
    printf("kernel: both accept %u, both refuse %u\n", agreed_good, agreed_bad);
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (stricter[i] != 0) {
            printf("  refused here only   %6u %s\n", stricter[i], rule_row(i)->name);
        }
    }
    for (size_t i = 0; i < kernel_difference_count; i++) {
        if (known[i] != 0) {
            printf("  refused there only  %6u %s: %s\n", known[i], kernel_differences[i].text,
                   kernel_differences[i].why);
        }
    }
    printf("  refused there only  %6u on a path that is never taken\n", not_reached);
    printf("  refused there only  %6u without explanation\n", unexplained);
}

static bool open_maps(void)
{
    gen_program(&gen, 1);
    for (unsigned i = 0; i < GEN_MAPS; i++) {
        map_fds[i] = kernel_create_map(&gen.maps[i]);
        if (map_fds[i] < 0) {
            while (i > 0) {
                close(map_fds[--i]);
            }
            return false;
        }
    }
    return true;
}

static void kernel_agrees_on_mutants(void)
{
    uint64_t left = test_setting("SOUNDNESS_MUTANTS", 300), next = test_setting("SOUNDNESS_SEED", 1);
    static struct gen mutant;
    if (!open_maps()) {
        SKIP("bpf(2) is not permitted");
    }
    REQUIRE(judge_open() && kernel_difference_count <= CLASSES);
    while (left > 0) {
        gen_program(&gen, next++);
        bool xdp = gen.program.type == PROG_TYPE_XDP && gen.program.dialect == DIALECT_LINUX;
        if (gen.failed || !xdp || !compare(&gen)) {
            continue; // what the kernel refuses as it is says nothing about its mutants
        }
        for (unsigned i = 0; i < MUTANTS_PER_PROGRAM && left > 0; i++, left--) {
            mutate(&gen, &mutant);
            compare(&mutant);
        }
    }
    if (getenv("SOUNDNESS_VERBOSE") != NULL) {
        print_statistics();
    }
    for (unsigned i = 0; i < GEN_MAPS; i++) {
        close(map_fds[i]);
    }
    judge_close();
}

TEST_SUITE(kernel)
{
    RUN(kernel_agrees_on_mutants);
}
