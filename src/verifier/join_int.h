// SPDX-License-Identifier: MIT
// join_int: what the parts of a join share.
#pragma once

#include "verifier/join.h"

struct joining {
    struct packed_scratch *t;
    struct domain_state *s; // the result
    const struct packed *a, *b;
    const struct join_options *options;
    const struct packed_entry *spans_a[INSN_MAX_FRAMES], *spans_b[INSN_MAX_FRAMES];
};

// References make pairs of their own.
#define REF_SIDE ((int64_t)1 << 40)

// The pair is about a number: neither nullness nor a reference.
static inline bool join_is_number(const struct packed_pair *p)
{
    return p->shift_a != REF_SIDE && p->a != PACKED_NULL && p->a != PACKED_NOT_NULL && p->b != PACKED_NULL &&
           p->b != PACKED_NOT_NULL;
}

// join_rows.c. Rows of one of the two states that hold in both.
void join_carry_rows(struct joining *j, bool in_a);
// Numbers that the first turn of a loop raised, or lowered: rows that bound the turn counter by them.
void join_discover_rows(struct joining *j);
// Numbers that are offsets into packets of different lengths: how far each is below the length stays known.
void join_relate_length(struct joining *j);
