// SPDX-License-Identifier: MIT
// lower_address: sums become parts of addresses, for all targets. Inside the folder only.
#pragma once

#include "jit/ir.h"

// Whether the target can encode ADDR operation `v` (or LEA) with the fields that it has; asked about copies.
typedef bool (*lower_legal_fn)(const struct jit *j, const struct ir_value *v);

// All goes by the uses that values had when they were last counted: wrong numbers cost instructions, not
// correctness.

static inline bool lower_is_atomic(unsigned op)
{
    return op >= IR_ATOMIC_ADD && op <= IR_CMPXCHG;
}
// Loads, stores and atomics: they follow one another.
static inline bool lower_has_address(unsigned op)
{
    return op >= IR_LOAD && op <= IR_CMPXCHG;
}

// Operations with addresses, and sums, chained through ir_value.slot, which nobody needs before allocation.
struct lower_list {
    uint32_t first;
    uint32_t *link;
};
struct lower_lists {
    struct lower_list addresses, sums;
};
static inline void lower_begin(struct lower_lists *l)
{
    l->addresses = (struct lower_list){IR_NONE, &l->addresses.first};
    l->sums = (struct lower_list){IR_NONE, &l->sums.first};
}
static inline void lower_chain(struct lower_list *l, uint32_t value, struct ir_value *v)
{
    *l->link = value;
    l->link = &v->slot;
}
// Of every value, definitions first. Its marks: uses as an address of its own. What is used comes before its
// users, so it is clear by then.
static inline void lower_note(const struct ir *ir, struct lower_lists *l, uint32_t value)
{
    struct ir_value *v = ir_at(ir, value);
    v->mark = 0;
    if (lower_has_address(v->op)) {
        v->a = ir_resolve(ir, v->a);
        lower_chain(&l->addresses, value, v);
        if (!lower_is_atomic(v->op)) {
            struct ir_value *a = ir_at(ir, v->a);
            a->mark += v->b == IR_NONE && v->a != IR_NONE && a->mark < UINT8_MAX;
            v->b = ir_resolve(ir, v->b);
        }
    } else if (v->op == IR_ADD && (v->flags & IR_STEP) == 0) {
        lower_chain(&l->sums, value, v);
    }
}
// An operand that changed; IR_NONE: there was none, there is none. (lower_tidy.c)
struct lower_change {
    uint32_t before, after;
};
struct lower_changes {
    struct jit *j;
    struct lower_change *list;
    uint32_t count, capacity;
    size_t mark; // of the memory
    bool tidy;   // the function was, and there is room to note all; otherwise nothing is noted
};
static inline void lower_begin_changes(struct lower_changes *c, struct jit *j)
{
    *c = (struct lower_changes){.j = j, .mark = j->memory.used, .tidy = j->ir.tidy};
}
bool lower_more_changes(struct lower_changes *c);
static inline void lower_changed(struct lower_changes *c, uint32_t before, uint32_t after)
{
    if (before != after && c->tidy && (c->count < c->capacity || lower_more_changes(c))) {
        c->list[c->count++] = (struct lower_change){before, after};
    }
}
// At the end: the function is tidy again when it was. Values that became COPYs have marked blocks, and their
// users are redirected; `copies`: but for PHIs of loops.
void lower_settle(struct lower_changes *c, bool copies);

// Folds sums, shifts and constants into loads and stores, and constants into the displacements of atomics.
// Then turns sums of sums and of shifted values into LEA where that saves an operation. Values that are not
// needed any more are left. `changes` may be NULL.
void lower_finish(struct jit *j, struct lower_lists *l, struct lower_changes *changes, lower_legal_fn legal);
// The same for a whole function.
void lower_addresses(struct jit *j, lower_legal_fn legal);
