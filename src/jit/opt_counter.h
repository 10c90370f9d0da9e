// SPDX-License-Identifier: MIT
// opt_counter: loops that count. Inside the folder only.
#pragma once

#include "jit/opt.h"

// PHI that `step` is added to on the way round a loop that has one back edge.
struct counter {
    uint32_t phi, next; // next: what comes back
    uint32_t sum;       // the addition: next itself, or next is its low half
    uint32_t start;     // what comes in
    uint32_t head, latch, loop;
    unsigned width; // of the addition, or 32 where low halves are taken on the way
    int64_t step;   // not 0
};
// A test that decides about leaving the loop in every turn: it goes on while `t cond bound`.
struct counter_test {
    uint32_t branch, bound;
    bool of_next; // t is the next value, not the PHI
    bool low;     // only its low half is compared, extended with zeros
    bool fixed;   // the bound is the same in all turns
    uint8_t cond, cwidth;
};
bool counter_match(const struct ir *ir, uint32_t phi, struct counter *out);
// The test that ends `block`, if it is one.
bool counter_match_test(const struct ir *ir, const struct counter *c, uint32_t block,
                        struct counter_test *out);
// Range of the PHI from its start's fact, the test, and the fact of its bound; false: none, or it may wrap.
bool counter_range(const struct counter *c, const struct counter_test *t, struct opt_fact start,
                   struct opt_fact bound, struct opt_fact *range);
