// SPDX-License-Identifier: MIT
// join: one packed state that stands for two, and how much that would lose. Only the engine joins; whoever
// checks its result needs entailment alone, so a wrong join is found by replaying (engine: replay).
#pragma once

#include "domain/domain.h"

// Locations that a later branch tests before they are overwritten: constants there tell states apart.
// The same shape as liveness.
struct join_hints {
    struct packed_live tested;
    bool loops;   // turn counters are such as well
    bool offsets; // and constant offsets of pointers (not at heads of loops, where they move)
};

struct join_options {
    const int64_t *thresholds; // sorted; where widened bounds stop
    size_t threshold_count;
    bool widen; // let bounds that grow jump to a threshold
    bool head;  // of a loop: numbers that differ become affine in one identity (x = cf * N + delta)
};

// Smallest state of ours that both entail, packed into scratch->buffer; NULL when the two cannot be joined at
// all (other frames, references, locks). `a` and `b` do not lie in scratch->buffer.
const struct packed *join_states(struct packed_scratch *scratch, const struct packed *a,
                                 const struct packed *b, const struct join_options *options);

// What joining would lose, in weights (kind 100, missing 60, null 40, initialised bytes 30,
// packet 20, tested constant 6, other number 1). *important counts facts that a later branch could use: 0 or
// 1 means that nothing that is correlated is lost. JOIN_IMPOSSIBLE when join_states would return NULL.
#define JOIN_IMPOSSIBLE (1 << 30)
int join_distance(const struct packed *a, const struct packed *b, const struct join_hints *hints,
                  int *important);
// Equal keys: the same kinds, nullness, maps, frames, initialised live bytes, references, locks, and the same
// constants at tested locations.
uint64_t join_key(const struct packed *p, const struct join_hints *hints);
