// SPDX-License-Identifier: MIT
// Many programs, each looked at briefly: random ones, mutants of mutants, and instructions thrown together.
// No crash, no hang (steps and time of a verdict are bounded), no acceptance that a run in the simulated
// machine refutes.
//
// FUZZ_PROGRAMS=N is how many (default 100,000 in optimised builds and a part of that elsewhere; with
// EBPF_NIGHTLY=1 10,000,000), FUZZ_SEED=N where the seeds start.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/soundness/gen_int.h"
#include "tests/soundness/mutate.h"
#include "tests/soundness/oracle.h"
#include "tests/test.h"

#if defined(NDEBUG)
enum { PROGRAMS = 100000, NIGHTLY = 10000000 };
#else
enum { PROGRAMS = 6000, NIGHTLY = 300000 };
#endif
enum { GENERATIONS = 6, SOUP = 40, SLOWEST = 20 };

static struct gen subject, mutant;
static clock_t slowest;

// Accepted: false only when a run refutes it.
static bool judge(struct gen *g)
{
    struct oracle_options options = {
        .spec = spec_builtin(), .runs = 2, .seed = gen_random(g), .run_steps = 1000, .max_steps = 5000};
    uint16_t rule;
    clock_t start = clock();
    enum oracle_verdict verdict = oracle_judge(&g->program, &options, &rule);
    clock_t taken = clock() - start;
    slowest = taken > slowest ? taken : slowest;
    CHECK(verdict != ORACLE_WRONG);
    return verdict != ORACLE_WRONG;
}

// Any instructions with any operands, which program_check mostly takes.
static void make_soup(struct gen *g, uint64_t seed)
{
    gen_program(g, seed); // for the type and the maps
    g->count = 4 + gen_pick(g, SOUP);
    for (uint32_t pc = 0; pc < g->count; pc++) {
        uint32_t id = 1 + gen_pick(g, INSN_ID_COUNT - 1);
        unsigned form = insn_info(id)->form;
        struct insn in = {
            .id = (uint16_t)id, .dst = (uint8_t)gen_pick(g, 10), .src = (uint8_t)gen_pick(g, 11)};
        bool jumps =
            form == FORM_JMP_IMM || form == FORM_JMP_REG || form == FORM_JA16 || form == FORM_MAY_GOTO;
        in.off = jumps ? (int16_t)(gen_pick(g, 9) - 2) : (int16_t)(8 * gen_pick(g, 12) - 64);
        in.imm = form == FORM_CALL ? (int64_t)(1 + gen_pick(g, HELPER_COUNT - 1)) : gen_imm(g);
        if (form == FORM_LDDW || in.id == INSN_CALL_LOCAL || form == FORM_JA32 || form == FORM_CALLX) {
            in = (struct insn){.id = INSN_MOV64_IMM, .dst = in.dst, .imm = gen_imm(g)};
        }
        g->insns[pc] = in;
    }
    g->insns[g->count++] = (struct insn){.id = INSN_MOV64_IMM, .imm = 1};
    g->insns[g->count++] = (struct insn){.id = INSN_EXIT};
    g->program.insn_count = g->count;
    g->program.func_count = 1;
    g->funcs[0] = (struct func){.end = g->count};
}

// The program and a line of mutants, each made of the one before when that was accepted.
static bool follow(uint64_t left)
{
    bool good = judge(&subject);
    for (unsigned i = 0; good && i < GENERATIONS && oracle_totals.programs < left; i++) {
        uint64_t accepted = oracle_totals.accepted;
        mutate(&subject, &mutant);
        good = judge(&mutant);
        if (oracle_totals.accepted > accepted) {
            struct program p = mutant.program;
            subject = mutant;
            subject.program = p;
            subject.program.insns = subject.insns;
            subject.program.funcs = subject.funcs;
            subject.program.maps = subject.maps;
        }
    }
    return good;
}

static void nothing_is_wrong_with_many_programs(void)
{
    uint64_t wanted = test_setting("FUZZ_PROGRAMS", test_is_nightly() ? NIGHTLY : PROGRAMS),
             seed = test_setting("FUZZ_SEED", 1);
    bool good = oracle_open();
    memset(&oracle_totals, 0, sizeof(oracle_totals));
    for (; good && oracle_totals.programs < wanted; seed++) {
        switch (seed % 3) {
        case 0: gen_program(&subject, seed); break;
        case 1: gen_raw_program(&subject, seed); break;
        default: make_soup(&subject, seed); break;
        }
        good = subject.failed || follow(wanted);
    }
    if (getenv("ORACLE_VERBOSE") != NULL) {
        printf("fuzz: %llu programs, %llu accepted, %llu instructions run, slowest verdict %ld ms\n",
               (unsigned long long)oracle_totals.programs, (unsigned long long)oracle_totals.accepted,
               (unsigned long long)oracle_totals.steps, (long)(slowest * 1000 / CLOCKS_PER_SEC));
    }
    CHECK(oracle_totals.accepted > oracle_totals.programs / 10);
    CHECK(slowest < (clock_t)SLOWEST * CLOCKS_PER_SEC); // a hang, not a figure
    oracle_close();
}

TEST_SUITE(fuzz)
{
    RUN(nothing_is_wrong_with_many_programs);
}
