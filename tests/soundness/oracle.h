// SPDX-License-Identifier: MIT
// oracle: is what the verifier says of a program true? An accepted program runs in the simulated machine on
// random inputs: no step may be wrong, before each one the machine must lie inside a state that the verifier
// explored there, and no state may come twice (a loop that does not end).
#pragma once

#include "spec/spec.h"
#include "verifier/verifier.h"

enum oracle_verdict { ORACLE_REFUSED, ORACLE_ACCEPTED, ORACLE_WRONG, ORACLE_NO_VERDICT };

struct oracle_options {
    const struct spec_view *spec;
    unsigned runs;
    uint64_t seed;
    uint64_t run_steps; // of one run; 0: 4000
    uint64_t max_steps; // of the verifier; 0: its own limit
    bool quiet;         // prints nothing when something is wrong
};

struct oracle_totals {
    uint64_t programs, accepted, runs, steps, unknown, too_many;
    uint64_t rules[RULE_COUNT];
};
extern struct oracle_totals oracle_totals;

// Prepares and frees the oracle's memory. False without memory.
bool oracle_open(void);
void oracle_close(void);
// *rule is the rule of a refusal. WRONG: what is wrong was printed, with the program.
enum oracle_verdict oracle_judge(const struct program *p, const struct oracle_options *options,
                                 uint16_t *rule);
// The verdict alone, without states and runs.
enum oracle_verdict oracle_verify(const struct program *p, const struct oracle_options *options,
                                  uint16_t *rule);
// The verifier explored instruction `pc` of the program that oracle_judge judged last.
bool oracle_visited(uint32_t pc);
