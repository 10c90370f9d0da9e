// SPDX-License-Identifier: MIT
// wto: weak topological orders (Bourdoncle 1993). Blocks of a function in an order in which every way back
// goes to the head of a component that holds both of its ends. Components are the loops, irreducible ones
// too: whatever runs for ever inside one passes through its head, or stays in one nested in it.
#pragma once

#include "verifier/cfg.h"

#define WTO_MAX_DEPTH 8u // what is nested more deeply is not looked into, see max_depth

struct wto_loop {
    uint32_t head;        // block
    uint32_t parent;      // loop around it, or CFG_NONE
    uint32_t depth;       // 0: outermost of its function
    uint32_t first, last; // positions of its blocks, the head's included
    uint32_t func;
    // What the platform bounds may be made anew inside it (an iterator): its events do not bound this loop.
    bool renews;
};

struct wto {
    uint32_t *position; // of each block, unique in the program; CFG_NONE: nothing leads there
    uint32_t *order;    // blocks by position, for each function from first_block[func] on
    uint32_t *loop;     // innermost loop of each block, or CFG_NONE
    struct wto_loop *loops;
    uint32_t loop_count;
    uint32_t max_depth; // of nesting; above WTO_MAX_DEPTH the order is not complete
    uint32_t deepest;   // one of the deepest, or CFG_NONE
};

// EBPF_NO_MEMORY.
ebpf_result_t wto_build(const struct program *p, const struct cfg *cfg, struct arena *arena,
                        struct wto *out) MUST_CHECK;
static inline bool wto_holds(const struct wto *w, uint32_t loop, uint32_t block)
{
    uint32_t at = w->position[block];
    return at >= w->loops[loop].first && at <= w->loops[loop].last;
}
// `block` is the head of a loop.
static inline bool wto_is_head(const struct wto *w, uint32_t block)
{
    return w->loop[block] != CFG_NONE && w->loops[w->loop[block]].head == block;
}
