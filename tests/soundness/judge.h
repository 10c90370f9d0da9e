// SPDX-License-Identifier: MIT
// judge: what the verifier says of a program, and whether an accepted one keeps the promise.
#pragma once

#include "tests/soundness/gen.h"
#include "verifier/verifier.h"

// A runtime with the generator's maps.
bool judge_open(void);
void judge_close(void);
// Verifies the program; when it is accepted, runs it `runs` times on random packets, contexts and maps under
// the watch, which ends the process at the first wrong step. *rule is the rule of a refusal.
bool judge_program(struct gen *g, unsigned runs, uint16_t *rule);
// The verifier saw instruction `pc` of the program that judge_program ran last.
bool judge_visited(uint32_t pc);
